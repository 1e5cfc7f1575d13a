"""Where the sink begins, from commits and tables alone: each way a stop can leave them, and the ways no stop can."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.registry import latest
from services.sink import container, intent
from services.sink.intent import Intent
from services.sink.plan import Block, Place, Planner, Record
from services.sink.recover import Recovery, Start, moved_intents
from services.sink.repair import Inconsistent
from services.sink.streams import DELTAS
from services.warehouse.backend import Handle, open_warehouse, scalar
from services.warehouse.migrate import migrate
from tests import numbered

TOPIC = "live.deltas"
PLACES: list[Place] = [(TOPIC, 0), (TOPIC, 1)]
SCHEMA = latest("live_delta").id
Commits = dict[Place, tuple[int, str]]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handle]:
    warehouse = open_warehouse(tmp_path_factory.mktemp("engine"))
    migrate(warehouse)
    yield warehouse.handle()
    warehouse.close()


@pytest.fixture
def handle(engine: Handle) -> Handle:
    for table in (DELTAS.facts, *DELTAS.rollups):
        engine.run(f"TRUNCATE TABLE {table}")
    return engine


def record(place: Place, offset: int) -> Any:
    made = numbered.delta(offset, place[1])
    fields = {"topic": place[0], "partition": place[1], "offset": offset, "timestamp": numbered.START_MS + offset, "key": b"k"}
    return SimpleNamespace(**fields, value=numbered.encode(made), headers=(numbered.header(made),))


async def reread(ranges: Mapping[Place, tuple[int, int]]) -> Mapping[Place, Sequence[Record]]:
    return {place: [record(place, offset) for offset in range(low, high)] for place, (low, high) in ranges.items()}


class Sink:
    """Blocks as the loop makes them: intents, containers, marks."""

    def __init__(self) -> None:
        self.planner = Planner(dict.fromkeys(PLACES, 0), {}, [SCHEMA])
        self.number = 0
        self.commits: Commits = {}

    def block(self, upto: int, places: Sequence[Place] = tuple(PLACES)) -> Block:
        """Up to offset `upto` of these partitions; its intent is committed."""
        for place in places:
            start = self.planner.positions.get(place, 0)
            self.planner.add(place, [record(place, offset) for offset in range(start, upto)], 0.0)
        block = self.planner.cut(1 << 60)
        self.number += 1
        share = Intent(0, 0, self.number, self.number - 1, len(block.rows), len(block.ranges), block.digest, {}, {})
        for place, (low, high) in block.ranges.items():
            one = replace(share, start=low, end=high, before=block.before[place], after=block.after[place])
            self.commits[place] = (low, intent.encode(one))
        return block

    def container(self, block: Block) -> bytes:
        return container.build(block.schema_id, self.number, block.month, block.rows)


def begin(handle: Handle, commits: Commits, again: Any = reread) -> Start:
    return asyncio.run(Recovery(DELTAS, handle, again, [SCHEMA]).run(commits, PLACES))


def stored(handle: Handle) -> tuple[int, int, int]:
    row = handle.rows("SELECT count() AS rows, uniqExact(event_id) AS ids FROM live_deltas")[0]
    return row["rows"], row["ids"], int(scalar(handle, "SELECT sum(events) FROM flow_by_hour") or 0)


def test_nothing_stored_and_nothing_committed_begins_at_the_beginning(handle: Handle) -> None:
    start = begin(handle, {})
    assert (start.positions, start.block, start.moved) == ({}, 0, False)


def test_an_open_block_that_is_absent_is_read_again_and_stored(handle: Handle) -> None:
    sink = Sink()
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(10)))
    sink.block(25)
    start = begin(handle, sink.commits)
    assert (stored(handle), start.positions, start.block) == ((50, 50, 50), dict.fromkeys(PLACES, 25), 2)
    assert start.marks == {place: {f"incident.events:{place[1]}": (24, 0)} for place in PLACES}


def test_an_open_block_that_is_there_is_left_alone(handle: Handle) -> None:
    sink = Sink()
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(10)))
    start = begin(handle, sink.commits)
    assert (stored(handle), start.positions, start.repairs) == ((20, 20, 20), dict.fromkeys(PLACES, 10), 0)


def test_a_partition_left_out_of_the_last_block_goes_on_where_its_own_last_block_ended(handle: Handle) -> None:
    sink = Sink()
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(10)))
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(15, PLACES[:1])))
    assert begin(handle, sink.commits).positions == {PLACES[0]: 15, PLACES[1]: 10}


def test_a_partition_whose_commit_expired_goes_on_after_its_newest_row(handle: Handle) -> None:
    sink = Sink()
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(10)))
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(15, PLACES[:1])))
    del sink.commits[PLACES[1]]
    start = begin(handle, sink.commits)
    assert start.positions == {PLACES[0]: 15, PLACES[1]: 10}
    assert start.marks[PLACES[1]] == {"incident.events:1": (9, 0)}


def test_tables_behind_the_commit_move_every_partition_back(handle: Handle) -> None:
    sink = Sink()
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(10)))
    for upto in (15, 20):
        sink.block(upto)
    start = begin(handle, sink.commits)  # block 2 is gone: the commit of block 3 says it was whole
    assert (start.positions, start.block, start.moved) == (dict.fromkeys(PLACES, 10), 3, True)


@pytest.mark.parametrize("committed_at_once", [True, False])
def test_a_kill_after_a_move_finds_every_partition_moved(handle: Handle, committed_at_once: bool) -> None:
    """Control: without the commit of all partitions, those outside the first block after the move would skip what was lost."""
    sink = Sink()
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(10)))
    for upto in (15, 20):
        sink.block(upto)
    start = begin(handle, sink.commits)
    if committed_at_once:
        sink.commits |= {place: (i.start, intent.encode(i)) for place, i in moved_intents(start).items()}
    sink.planner = Planner(start.positions, start.marks, [SCHEMA])
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(20, PLACES[:1])))  # killed after a block of one partition
    positions = begin(handle, sink.commits).positions
    assert positions[PLACES[0]] == 20
    assert (positions[PLACES[1]] == 10) is committed_at_once


def test_marks_too_long_for_a_commit_come_from_the_facts(handle: Handle) -> None:
    sink = Sink()
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(10)))
    sink.block(25)
    for place, (low, note) in sink.commits.items():
        sink.commits[place] = (low, "|".join([*note.split("|")[:-2], "*", "*"]))
    start = begin(handle, sink.commits)
    assert stored(handle) == (50, 50, 50)
    assert start.marks == {place: {f"incident.events:{place[1]}": (24, 0)} for place in PLACES}


def test_a_rollup_ahead_of_the_facts_is_made_anew(handle: Handle) -> None:
    sink = Sink()
    handle.insert_avro(DELTAS.inlet, sink.container(sink.block(10)))
    handle.run("INSERT INTO flow_by_hour (realm, hour, county, opened, closed, events, _blk) VALUES ('live', now(), 'x', 9, 9, 9, 7)")
    begin(handle, sink.commits)
    assert stored(handle) == (20, 20, 20)


def test_other_bytes_at_the_same_offsets_stop_the_sink(handle: Handle) -> None:
    sink = Sink()
    sink.block(10)

    async def another_topic(ranges: Mapping[Place, tuple[int, int]]) -> Mapping[Place, Sequence[Record]]:
        found = {place: list(records) for place, records in (await reread(ranges)).items()}
        for rows in found.values():
            rows[0].value = numbered.encode(numbered.delta(0, rows[0].partition, title="of another topic"))
        return found

    with pytest.raises(Inconsistent, match="no longer holds"):
        begin(handle, sink.commits, another_topic)


def test_a_torn_commit_stops_the_sink(handle: Handle) -> None:
    sink = Sink()
    sink.block(10)
    del sink.commits[PLACES[0]]
    with pytest.raises(Inconsistent, match="torn"):
        begin(handle, sink.commits)


def test_facts_with_part_of_a_block_stop_the_sink(handle: Handle) -> None:
    sink = Sink()
    block = sink.block(10)
    block.rows = block.rows[:5]
    handle.insert_avro(DELTAS.facts, sink.container(block))
    with pytest.raises(Inconsistent, match="5 rows of 20"):
        begin(handle, sink.commits)
