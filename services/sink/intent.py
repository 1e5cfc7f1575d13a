"""What the sink writes into an offset commit before it inserts a block: enough to finish or repeat exactly that block after any stop."""

from __future__ import annotations

from dataclasses import dataclass

from services.sink import marks
from services.sink.marks import Marks

LIMIT = 4095  # characters of commit metadata a broker takes
VERSION = "1"


@dataclass(frozen=True, slots=True)
class Intent:
    """One partition's share of a block. The commit's offset is `start`; `end` is the next offset after the block.

    An intent with start == end is closed: the block it names is whole in every table.
    """

    start: int
    end: int
    block: int
    previous: int  # the block inserted before it: facts below that one were lost
    rows: int  # rows of the whole block, over all partitions
    partitions: int  # partitions in the block
    digest: str  # of the source bytes of all its rows
    before: Marks | None  # marks at `start`; None: too many to write, the facts hold them
    after: Marks | None  # marks at `end`


def encode(intent: Intent) -> str:
    """At most LIMIT characters: marks that do not fit are left to the facts."""
    head = f"{VERSION}|{intent.end}|{intent.digest}|{intent.block}|{intent.previous}|{intent.rows}|{intent.partitions}"
    if intent.before is not None and intent.after is not None:
        changed = {source: place for source, place in intent.after.items() if intent.before.get(source) != place}
        text = f"{head}|{marks.encode(intent.before)}|{marks.encode(changed)}"
        if len(text) <= LIMIT:
            return text
    return f"{head}|{marks.IN_TABLE}|{marks.IN_TABLE}"


def decode(start: int, metadata: str) -> Intent | None:
    """None for a commit that is not ours. ValueError for one that claims to be and cannot be read."""
    if not metadata.startswith(VERSION + "|"):
        return None
    _, end, digest, block, previous, rows, partitions, before, changed = metadata.split("|")
    known = None if before == marks.IN_TABLE else marks.decode(before)
    after = None if known is None else known | marks.decode(changed)
    return Intent(start, int(end), int(block), int(previous), int(rows), int(partitions), digest, known, after)
