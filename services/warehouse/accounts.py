"""The warehouse's side of reconciliation: what it holds of a realm by source partition, and whether rollups are a recount of their facts.

A row's hash is the first eight bytes of MD5 over "<command id>:<source offset>"; sums of it do not depend on order and count repeats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from schemas.realms import Realm
from schemas.topics import ALARM, INCIDENT, KINDS, CaseKind
from services.sink.repair import View
from services.sink.streams import Stream
from services.warehouse.backend import DATABASE, Handle, Row

WRAP = 1 << 64
HASH = "reinterpretAsUInt64(substring(MD5(concat(command_id, ':', toString(src_offset))), 1, 8))"
FROM_COMMANDS = "realm = {realm:String} AND src_topic = {source:String}"
ASKED = f"{FROM_COMMANDS} AND command_id != ''"  # what a case does by itself when a deadline has passed answers no command
EXAMPLES = 5
Window = Mapping[int, tuple[int, int]]  # offsets of a topic of commands that are counted, from and up to, by partition


def row_hash(command_id: str, offset: int) -> int:
    """The same hash as the engine's."""
    return int.from_bytes(hashlib.md5(f"{command_id}:{offset}".encode(), usedforsecurity=False).digest()[:8], "little")


def _kind_of(source: str) -> CaseKind:
    """The kind whose commands a topic holds."""
    return next((kind for kind in KINDS if source.endswith(kind.commands.name)), INCIDENT)


def _facts(kind: CaseKind) -> str:
    """Table of the kind's events."""
    return kind.events.name.replace(".", "_")


def held(handle: Handle, realm: Realm, source: str, window: Window) -> dict[str, Any]:
    """Outcomes, facts, whom incidents told and pages of the window, by partition of `source`, the topic of commands (of an older log: with
    that log's name before it). Hashes leave out what was dead: its ids may be unreadable, so `dead` names its places."""
    kind = _kind_of(source)
    due = ", sum(pages) AS pages" if kind is ALARM else ""
    inside, asked = _inside(window), {"realm": realm.value, "source": source}
    outcomes = handle.rows(
        "SELECT src_partition AS partition, count() AS rows, uniqExact(src_offset) AS sources, countIf(outcome = 'applied') AS applied, "
        "countIf(outcome = 'repeated') AS repeated, countIf(outcome = 'refused') AS refused, countIf(outcome = 'dead') AS dead, "
        f"toString(sumIf({HASH}, outcome != 'dead')) AS hash, toString(sumIf({HASH}, outcome = 'applied')) AS applied_hash "
        f"FROM outcomes WHERE {FROM_COMMANDS} AND {inside} GROUP BY partition ORDER BY partition",
        asked,
    )
    facts = handle.rows(
        "SELECT src_partition AS partition, count() AS rows, uniqExact(src_offset) AS sources, "
        f"toString(sum({HASH})) AS hash{due} FROM {_facts(kind)} WHERE {ASKED} AND {inside} GROUP BY partition ORDER BY partition",
        asked,
    )
    told = handle.rows(
        "SELECT src_partition AS partition, sum(length(splitByChar('+', tell))) AS pages FROM incident_events "
        f"WHERE {FROM_COMMANDS} AND toUnixTimestamp64Milli(ack_by) > 0 AND {inside} GROUP BY partition",
        asked,
    )
    pages = handle.rows(
        f"SELECT src_partition AS partition, count() AS rows FROM notifications WHERE {FROM_COMMANDS} AND {inside} GROUP BY partition",
        asked,
    )
    dead = handle.rows(
        "SELECT DISTINCT src_partition AS partition, src_offset AS offset FROM outcomes "
        f"WHERE {FROM_COMMANDS} AND outcome = 'dead' AND {inside} ORDER BY partition, offset",
        asked,
    )
    letters = handle.rows("SELECT DISTINCT topic, partition, offset FROM dead_letters WHERE realm = {realm:String}", asked)
    places = [[row["partition"], row["offset"]] for row in dead]
    return {
        "outcomes": outcomes,
        "facts": facts,
        "told": told,
        "pages": pages,
        "dead": places,
        "letters": [[*row.values()] for row in letters],
    }


def detail(handle: Handle, realm: Realm, source: str, partition: int, window: tuple[int, int]) -> dict[str, list[list[Any]]]:
    """Every outcome [offset, command id, outcome] and fact [offset, command id] of one source partition in the window."""
    inside = _inside({partition: window})
    asked = {"realm": realm.value, "source": source}
    outcomes = handle.rows(f"SELECT src_offset, command_id, outcome FROM outcomes WHERE {FROM_COMMANDS} AND {inside}", asked)
    facts = handle.rows(f"SELECT src_offset, command_id FROM {_facts(_kind_of(source))} WHERE {ASKED} AND {inside}", asked)
    return {"outcomes": [[*row.values()] for row in outcomes], "facts": [[*row.values()] for row in facts]}


def _inside(window: Window) -> str:
    if not window:
        return "0"
    parts = [
        f"(src_partition = {part:d} AND src_offset >= {low:d} AND src_offset < {high:d})" for part, (low, high) in sorted(window.items())
    ]
    return f"({' OR '.join(parts)})"


def rollup_mismatches(handle: Handle, stream: Stream, realm: Realm) -> dict[str, list[Row]]:
    """Rollups of a stream that differ from a recount of its facts, with a few of the keys. Ask while the stream's gate is held."""
    found = {}
    for rollup in stream.rollups:
        rows = handle.rows(_difference(handle, stream, rollup), {"realm": realm.value})
        if rows:
            found[rollup] = rows
    return found


def _difference(handle: Handle, stream: Stream, rollup: str) -> str:
    """Keys whose sums are not the same in the rollup and in its view's own SELECT over the facts."""
    columns = handle.rows(
        f"SELECT name, type FROM system.columns WHERE database = '{DATABASE}' AND table = {{table:String}} ORDER BY position",
        {"table": rollup},
    )
    kind = handle.rows(f"SELECT engine, sorting_key FROM system.tables WHERE database = '{DATABASE}' AND name = '{rollup}'")[0]
    newest = "Replacing" in kind["engine"]
    sums = [row["name"] for row in columns if row["type"].startswith("SimpleAggregateFunction(sum")]
    keys = [row["name"] for row in columns if row["name"] not in (*sums, "_blk")]
    view = View.of(handle, stream, rollup)
    recount = f"({view.select(f'SELECT * FROM {stream.facts} WHERE realm = {{realm:String}}')})"
    if newest:
        recount = f"(SELECT * FROM {recount} ORDER BY case_seq DESC LIMIT 1 BY {kind['sorting_key']})"
    stored = f"(SELECT * FROM {rollup}{' FINAL' if newest else ''} WHERE realm = {{realm:String}})"
    listed = ", ".join(keys)
    sides = [
        f"SELECT {listed}, {', '.join(f'{sign} * toInt64({name}) AS d{i}' for i, name in enumerate(sums)) or f'{sign} AS d0'} FROM {table}"
        for sign, table in (("1", stored), ("-1", recount))
    ]
    totals = [f"sum(d{i})" for i in range(max(1, len(sums)))]
    shown = ", ".join(f"{total} AS diff_{i}" for i, total in enumerate(totals))
    differs = " OR ".join(f"{total} != 0" for total in totals)
    key = "concat(" + ", '|', ".join(f"toString({name})" for name in keys) + ")"
    inner = f"SELECT {key} AS key, {shown} FROM ({' UNION ALL '.join(sides)}) GROUP BY {listed} HAVING {differs}"
    return f"SELECT key, diff_0 AS stored_minus_recounted, count() OVER () AS keys FROM ({inner}) LIMIT {EXAMPLES}"
