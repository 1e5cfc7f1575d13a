"""The tables' own fence: on a server that several processes can reach, only the newest claim on a stream may insert.

A sink claims its stream before it looks at the tables. Each of its inserts then carries a condition which the server evaluates as the
insert begins, and which throws when a newer claim is there. What began before that claim is ended by `repair.settle`, which comes next: a
query is in the server's list before its condition is evaluated, so it is either ended or refused, however long it lay in the network.

Claims are rows: (epoch, token), the highest is the owner. Two that claim the same epoch at once see the same winner. With several replicas
behind one address a claim may not be seen everywhere at once: use one replica's address (not verified otherwise).
"""

from __future__ import annotations

import secrets

from services.sink.streams import Stream
from services.warehouse.backend import FENCED, Fenced, Handle, expand_engines, scalar

TABLE = """
CREATE TABLE IF NOT EXISTS sink_owners
(
    stream String,
    epoch UInt64,
    token String,
    claimed_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {engine:MergeTree}
ORDER BY (stream, epoch)
"""


def claim(handle: Handle, stream: Stream, replicated: bool = False) -> None:
    """Makes this handle the only one whose inserts into the stream's tables the server takes. Fenced when another claimed just now."""
    handle.run(expand_engines(TABLE, replicated))
    token = secrets.token_hex(16)
    newest = int(scalar(handle, f"SELECT max(epoch) FROM sink_owners WHERE stream = '{stream.name}'") or 0)
    handle.run(f"INSERT INTO sink_owners (stream, epoch, token) VALUES ('{stream.name}', {newest + 1}, '{token}')")
    owner = f"(SELECT argMax(token, (epoch, token)) FROM sink_owners WHERE stream = '{stream.name}')"
    if scalar(handle, f"SELECT {owner}") != token:
        raise Fenced(f"another sink claimed {stream.name} at the same time")
    handle.guard = f"throwIf({owner} != '{token}', '{FENCED}') = 0"
