"""The warehouse's side of reconciliation: what it holds of a realm by source partition, and whether rollups are a recount of their facts.

A row's hash is the first eight bytes of MD5 over "<command id>:<source offset>"; sums of it do not depend on order and count repeats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from schemas.realms import Realm
from schemas.topics import INCIDENT_COMMANDS
from services.sink.repair import View
from services.sink.streams import Stream
from services.warehouse.backend import DATABASE, Handle, Row

WRAP = 1 << 64
HASH = "reinterpretAsUInt64(substring(MD5(concat(command_id, ':', toString(src_offset))), 1, 8))"
FROM_COMMANDS = f"realm = {{realm:String}} AND endsWith(src_topic, '{INCIDENT_COMMANDS.name}')"
EXAMPLES = 5
Cut = Mapping[int, int]  # offset of incident.commands up to which is counted, by partition


def row_hash(command_id: str, offset: int) -> int:
    """The same hash as the engine's."""
    return int.from_bytes(hashlib.md5(f"{command_id}:{offset}".encode(), usedforsecurity=False).digest()[:8], "little")


def held(handle: Handle, realm: Realm, cut: Cut) -> dict[str, Any]:
    """Outcomes and facts of commands before the cut, by partition of incident.commands."""
    before = _before(cut)
    outcomes = handle.rows(
        "SELECT src_partition AS partition, count() AS rows, uniqExact(src_offset) AS sources, uniqExact(command_id) AS ids, "
        "countIf(outcome = 'applied') AS applied, countIf(outcome = 'repeated') AS repeated, countIf(outcome = 'refused') AS refused, "
        f"countIf(outcome = 'dead') AS dead, toString(sum({HASH})) AS hash, toString(sumIf({HASH}, outcome = 'applied')) AS applied_hash "
        f"FROM outcomes WHERE {FROM_COMMANDS} AND {before} GROUP BY partition ORDER BY partition",
        {"realm": realm.value},
    )
    facts = handle.rows(
        "SELECT src_partition AS partition, count() AS rows, uniqExact(src_offset, src_position) AS sources, uniqExact(event_id) AS ids, "
        f"toString(sum({HASH})) AS hash FROM incident_events WHERE {FROM_COMMANDS} AND {before} GROUP BY partition ORDER BY partition",
        {"realm": realm.value},
    )
    letters = handle.rows("SELECT DISTINCT topic, partition, offset FROM dead_letters WHERE realm = {realm:String}", {"realm": realm.value})
    others = handle.rows(
        "SELECT DISTINCT src_topic AS topic, src_partition AS partition, src_offset AS offset, outcome FROM outcomes "
        f"WHERE realm = {{realm:String}} AND NOT endsWith(src_topic, '{INCIDENT_COMMANDS.name}')",
        {"realm": realm.value},
    )
    return {"outcomes": outcomes, "facts": facts, "letters": letters, "other_outcomes": others}


def detail(handle: Handle, realm: Realm, partition: int, cut: int) -> dict[str, list[list[Any]]]:
    """Every outcome [offset, command id, outcome] and fact [offset, command id] of one source partition before the cut."""
    where = f"{FROM_COMMANDS} AND src_partition = {partition:d} AND src_offset < {cut:d}"
    asked = {"realm": realm.value}
    outcomes = handle.rows(f"SELECT src_offset, command_id, outcome FROM outcomes WHERE {where}", asked)
    facts = handle.rows(f"SELECT src_offset, command_id FROM incident_events WHERE {where}", asked)
    return {
        "outcomes": [[row["src_offset"], row["command_id"], row["outcome"]] for row in outcomes],
        "facts": [[row["src_offset"], row["command_id"]] for row in facts],
    }


def _before(cut: Cut) -> str:
    if not cut:
        return "0"
    return "(" + " OR ".join(f"(src_partition = {part:d} AND src_offset < {end:d})" for part, end in sorted(cut.items())) + ")"


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
    engine = handle.rows(f"SELECT engine FROM system.tables WHERE database = '{DATABASE}' AND name = '{rollup}'")[0]["engine"]
    newest = "Replacing" in engine
    sums = [row["name"] for row in columns if row["type"].startswith("SimpleAggregateFunction(sum")]
    keys = [row["name"] for row in columns if row["name"] not in (*sums, "_blk")]
    view = View.of(handle, stream, rollup)
    recount = f"({view.select(f'SELECT * FROM {stream.facts} WHERE realm = {{realm:String}}')})"
    if newest:
        recount = f"(SELECT * FROM {recount} ORDER BY case_seq DESC LIMIT 1 BY realm, case_id)"
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
