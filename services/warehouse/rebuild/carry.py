"""Moving rows into the new tables in blocks, each once whatever ends the process: the rule is the sink's own.

A block is one insert into the inlet, so one part in the facts: there or not. Blocks go in rising order under numbers that follow from the
source alone, so after a kill those that are there are left out, and what their rollups lack is filled from the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.sink import repair
from services.sink.streams import Stream
from services.warehouse.backend import DATABASE, Handle, Row, scalar

BLOCK_ROWS = 100_000
PAGE = 50_000
SPILLS = "SETTINGS max_bytes_before_external_group_by = 500000000"
Progress = Callable[[int], None]  # rows moved so far, of one stream


@dataclass(frozen=True, slots=True)
class Source:
    """Rows to move: a table with the places of rows, a condition, and what else than the column of that name goes into the inlet
    ({column: expression over `source.<column>`})."""

    table: str
    where: str
    instead: dict[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of the source whose `_blk` is within [low, high]; all of one month."""

    low: int
    high: int
    month: int
    rows: int


def move(handle: Handle, stream: Stream, source: Source, above: int, hit: Callable[[str], None], progress: Progress) -> int:
    """Moves all that is not there yet; answers how many rows there are now under numbers above `above`, where those of these blocks begin.
    `hit` names the places where tests kill."""
    repair.settle(handle, stream)
    repair.repair_rollups(handle, stream)
    once = _once(handle, source)
    columns = _columns(handle, source.table, stream)
    moved = 0
    for number, span in enumerate(_spans(handle, source, once), above + 1):
        found = repair.rows_of(handle, stream, number)
        if found not in (0, span.rows):
            raise repair.Inconsistent(f"{stream.facts}: block {number} of the rebuild has {found} rows of {span.rows}")
        if not found:
            given = {name: source.instead.get(name, f"source.{name}") for name in columns}
            given |= {"_blk": f"toUInt64({number})", "_month": f"toUInt32({span.month})"}
            inside = f"_month = {span.month} AND _blk >= {span.low} AND _blk <= {span.high}"
            rows = f"SELECT * FROM {source.table} WHERE {once} AND {inside} LIMIT 1 BY _topic, _part, _off"
            listed = ", ".join(f"{value} AS {name}" for name, value in given.items())
            hit("rebuild_before_block")
            handle.insert_select(
                stream.inlet, tuple(given), f"SELECT {listed} FROM ({rows}) AS source", repair.query_id(stream, f"rebuild-{number}")
            )
            hit("rebuild_after_block")
        moved += span.rows
        progress(moved)
    return moved


def _once(handle: Handle, source: Source) -> str:
    """The condition, without further copies of a row that stands in several blocks (a fault that a rebuild mends)."""
    places = f"FROM {source.table} WHERE {source.where} GROUP BY _topic, _part, _off HAVING uniqExact(_blk) > 1"
    if not scalar(handle, f"SELECT count() FROM (SELECT 1 {places}) {SPILLS}"):
        return source.where
    twice, first = f"SELECT _topic, _part, _off {places}", f"SELECT _topic, _part, _off, min(_blk) {places}"
    return f"{source.where} AND ((_topic, _part, _off) NOT IN ({twice}) OR (_topic, _part, _off, _blk) IN ({first}))"


def _spans(handle: Handle, source: Source, once: str) -> Iterator[Span]:
    """Runs of neighbouring blocks of one month, of up to BLOCK_ROWS rows (or one block)."""
    open_: Span | None = None
    for row in _blocks(handle, source, once):
        one = Span(row["block"], row["block"], row["month"], row["rows"])
        if open_ and open_.month == one.month and open_.rows + one.rows <= BLOCK_ROWS:
            open_ = Span(open_.low, one.high, one.month, open_.rows + one.rows)
            continue
        if open_:
            yield open_
        open_ = one
    if open_:
        yield open_


def _blocks(handle: Handle, source: Source, once: str) -> Iterator[Row]:
    """Rows by block and month, in their order, page by page: a small block every fifth of a second makes millions in a year."""
    after = "(0, 0)"
    while True:
        page = handle.rows(
            f"SELECT _blk AS block, _month AS month, uniqExact(_topic, _part, _off) AS rows FROM {source.table} "
            f"WHERE {once} AND (_blk, _month) > {after} GROUP BY block, month ORDER BY block, month LIMIT {PAGE}"
        )
        yield from page
        if len(page) < PAGE:
            return
        after = f"({page[-1]['block']}, {page[-1]['month']})"


def _columns(handle: Handle, table: str, stream: Stream) -> list[str]:
    """Columns of the inlet that the source has too; the others take their defaults."""
    database, _, name = table.rpartition(".")
    where = "database = {database:String} AND table = {table:String}"
    there = {
        row["name"]
        for row in handle.rows(f"SELECT name FROM system.columns WHERE {where}", {"database": database or DATABASE, "table": name})
    }
    inlet = handle.rows(f"SELECT name FROM system.columns WHERE {where} ORDER BY position", {"database": DATABASE, "table": stream.inlet})
    return [row["name"] for row in inlet if row["name"] in there]
