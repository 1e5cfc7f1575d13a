"""Making one block whole in every table, and what the tables say about where the sink stands.

An insert fills facts and rollups one after the other, so a kill or an error leaves any part of them undone. Each table keeps the number
of the blocks it holds, so each is repaired by itself, and every step is one part: it is there or it is not.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.topics import LOG
from services.sink.marks import Marks
from services.sink.plan import Place
from services.sink.streams import Stream
from services.warehouse.backend import DATABASE, Handle, scalar

OF_THIS_LOG = f"position(_topic, '{LOG}') = 0"  # rows carried over from before a repartitioning name places of the old one


class Inconsistent(Exception):
    """The tables contradict the commit in a way no fault we know of makes: stop and let a person look."""


def highest_block(handle: Handle, table: str) -> int:
    """Number of the newest block in the table; 0 when it is empty."""
    return int(scalar(handle, f"SELECT max(_blk) FROM {table}") or 0)


def rows_of(handle: Handle, stream: Stream, block: int) -> int:
    return int(scalar(handle, f"SELECT count() FROM {stream.facts} WHERE _blk = {block:d}") or 0)


def settle(handle: Handle, stream: Stream) -> None:
    """Ends what an earlier process or attempt may still be inserting, so that nothing lands behind our back."""
    handle.run(f"KILL QUERY WHERE query_id LIKE '{query_id(stream, '')}%' SYNC")


def query_id(stream: Stream, block: int | str) -> str:
    return f"liandong-sink-{stream.name}-{block}"


def make_whole(handle: Handle, stream: Stream, block: int, rows: int, container: bytes) -> int:
    """After an insert of unknown fate: facts if they are missing, then every rollup. Answers the number of tables repaired."""
    repaired = 0
    found = rows_of(handle, stream, block)
    if found not in (0, rows):
        raise Inconsistent(f"{stream.facts}: block {block} has {found} rows of {rows}")
    if found != rows:
        handle.insert_avro(stream.facts, container, query_id(stream, f"{block}-facts"))
        repaired += 1
    return repaired + repair_rollups(handle, stream)


def repair_rollups(handle: Handle, stream: Stream) -> int:
    """Fills each rollup from the facts, block by block, up to the newest block of the facts. Answers the number of fills."""
    newest = highest_block(handle, stream.facts)
    fills = 0
    for rollup in stream.rollups:
        level = highest_block(handle, rollup)
        if level > newest:  # facts came back from an older copy
            handle.truncate(rollup)
            level = 0
        if level == newest:
            continue
        view = View.of(handle, stream, rollup)
        for row in handle.rows(f"SELECT DISTINCT _blk AS block FROM {stream.facts} WHERE _blk > {level:d} ORDER BY block"):
            select = view.select(f"SELECT * FROM {stream.facts} WHERE _blk = {row['block']:d}")
            handle.insert_select(rollup, view.columns, select, query_id(stream, f"{row['block']}-{rollup}"))
            fills += 1
    return fills


@dataclass(frozen=True, slots=True)
class View:
    """A rollup's own SELECT, taken from the engine: the one definition of what it counts."""

    columns: tuple[str, ...]
    text: str
    inlet: str

    @classmethod
    def of(cls, handle: Handle, stream: Stream, rollup: str) -> View:
        name = f"{rollup}_mv"
        where = f"database = '{DATABASE}' AND"
        text = scalar(handle, f"SELECT as_select FROM system.tables WHERE {where} name = {{name:String}}", {"name": name})
        columns = handle.rows(f"SELECT name FROM system.columns WHERE {where} table = {{name:String}} ORDER BY position", {"name": name})
        return cls(tuple(row["name"] for row in columns), str(text), f"{DATABASE}.{stream.inlet}")

    def select(self, source: str) -> str:
        """The same SELECT over other rows."""
        if self.inlet not in self.text:
            raise Inconsistent(f"the view does not read {self.inlet}: {self.text}")
        return self.text.replace(self.inlet, f"({source})", 1)


def offsets_in_table(handle: Handle, stream: Stream) -> dict[Place, int]:
    """Next offset after the newest row, by partition of this log."""
    rows = handle.rows(
        f"SELECT _topic AS topic, _part AS part, max(_off) + 1 AS next FROM {stream.facts} WHERE {OF_THIS_LOG} GROUP BY topic, part"
    )
    return {(row["topic"], row["part"]): row["next"] for row in rows}


def marks_in_table(handle: Handle, stream: Stream, below: int | None = None) -> dict[Place, Marks]:
    """Highest source place by partition and source; with `below`, only of blocks before that one."""
    if not stream.marked:
        return {}
    only = "" if below is None else f" AND _blk < {below:d}"
    rows = handle.rows(
        "SELECT _topic AS topic, _part AS part, src_topic, src_partition, max((src_offset, src_position)) AS place "
        f"FROM {stream.facts} WHERE src_topic != '' AND {OF_THIS_LOG}{only} GROUP BY topic, part, src_topic, src_partition"
    )
    found: dict[Place, Marks] = {}
    for row in rows:
        marks = found.setdefault((row["topic"], row["part"]), {})
        offset, position = row["place"].values() if isinstance(row["place"], dict) else row["place"]
        marks[f"{row['src_topic']}:{row['src_partition']}"] = (offset, position)
    return found
