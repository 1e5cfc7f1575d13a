"""One suite for every engine behind the warehouse port: embedded chDB, HTTP to a test server, a real ClickHouse in a container."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.avro.handover.event import Handover
from schemas.avro.incident_event.event import IncidentEvent
from schemas.realms import Realm
from schemas.registry import latest
from schemas.state.clock import Clock, Pause
from services.embedded.ports import free_port
from services.sink import container, fence, repair
from services.sink.container import varint
from services.sink.plan import Planner
from services.sink.streams import DELTAS, EVENTS, HANDOVERS, STREAMS, Stream
from services.warehouse.accounts import HASH, rollup_mismatches, row_hash
from services.warehouse.backend import ENDING, Fenced, Handle, Warehouse, WarehouseError, open_warehouse, scalar
from services.warehouse.migrate import dump, migrate
from services.warehouse.read_port.ask import FOLDER, sql
from tests import numbered
from tests.clickhouse_http import ClickHouseServer

ENGINES = ["chdb", "http", pytest.param("container", marks=pytest.mark.docker)]


@dataclass
class Records:
    """Kafka records of one partition, as the sink reads them."""

    stream: Stream
    make: Callable[..., Any]

    def container(self, block: int, numbers: range, behind: dict[int, bytes] | None = None) -> bytes:
        """These records of partition 0 as the container of a block; `behind`: bytes a foreign writer left behind a datum, by number."""
        topic = self.stream.topic.in_realm(Realm.LIVE)
        rows = []
        for number in numbers:
            record = self.make(number, 0)
            row = {"topic": topic, "partition": 0, "offset": number, "timestamp": numbered.START_MS + number, "key": b"k"}
            value = numbered.encode(record) + (behind or {}).get(number, b"")
            rows.append(SimpleNamespace(**row, value=value, headers=(numbered.header(record),)))
        planner = Planner({}, {}, [latest(self.stream.type).id], self.stream.marked)
        planner.add((topic, 0), rows, 0.0)
        cut = planner.cut(1_000_000)
        return container.build(cut.schema_id, block, cut.month, cut.rows)


EVENT_ROWS = Records(EVENTS, numbered.event)
DELTA_ROWS = Records(DELTAS, numbered.delta)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("engine")
    if request.param == "chdb":
        warehouse = open_warehouse(folder)
        migrate(warehouse)
        yield warehouse
        warehouse.close()
    elif request.param == "http":
        server = ClickHouseServer(folder, free_port()).start()
        warehouse = open_warehouse(folder, server.url)
        migrate(warehouse)
        yield warehouse
        warehouse.close()
        server.kill()
    else:
        yield from _container(folder)


def _container(folder: Path) -> Iterator[Warehouse]:
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine here: the suite did not run against a real ClickHouse server")
    from testcontainers.community.clickhouse import ClickHouseContainer

    with ClickHouseContainer("clickhouse/clickhouse-server:26.3").with_exposed_ports(8123) as server:
        host, port = server.get_container_host_ip(), server.get_exposed_port(8123)
        warehouse = open_warehouse(folder, f"http://{server.username}:{server.password}@{host}:{port}")
        migrate(warehouse)
        yield warehouse
        warehouse.close()


@pytest.fixture
def handle(engine: Warehouse) -> Iterator[Handle]:
    own = engine.handle()
    for stream in STREAMS:
        for table in (stream.facts, *stream.rollups):
            own.run(f"TRUNCATE TABLE {table}")
    yield own
    own.close()


def test_bytes_of_kafka_become_rows_field_by_field(handle: Handle) -> None:
    handle.insert_avro(EVENTS.inlet, EVENT_ROWS.container(7, range(3)))
    row = handle.rows("SELECT *, toUnixTimestamp64Milli(received_at) AS ms FROM incident_events WHERE case_seq = 2")[0]
    expected = numbered.event(1, 0)
    plain = [name for name in IncidentEvent.__struct_fields__ if not name.endswith("_at") and name not in ("ack_by", "clocks")]
    assert {name: row[name] for name in plain} == {name: getattr(expected, name) for name in plain}
    assert (row["ms"], row["_blk"], row["_off"], row["_topic"]) == (expected.received_at, 7, 1, "incident.events")


def test_the_clocks_of_an_event_become_named_tuples_with_their_pauses(handle: Handle) -> None:
    pause = Pause("expert_appraisal", numbered.START_MS, 0, "chief")
    held: dict[str, Any] = {"holder": "water", "level": "county", "unit": "working_day", "until": "business", "budget": 5, "extended": 0}
    told: dict[str, Any] = {"stopped_at": 0, "told": 1, "breached_at": 0, "retracted": False, "epoch": 2}
    times: dict[str, Any] = {
        "calendar": "2026",
        "policy": "sla_default 1/clocks/2",
        "started_at": numbered.START_MS,
        "due_at": numbered.START_MS + 5,
    }
    clock = Clock(purpose="handle", round=1, pauses=(pause,), **held, **told, **times)
    rows = Records(EVENTS, lambda number, partition: numbered.event(number, partition, clocks=(clock,) * number))
    handle.insert_avro(EVENTS.inlet, rows.container(7, range(3)))
    found = handle.rows(
        "SELECT c.purpose AS purpose, c.holder AS holder, toUnixTimestamp64Milli(c.due_at) AS due, c.epoch AS epoch, c.retracted AS no, "
        "c.pauses.reason AS reasons, toUnixTimestamp64Milli(c.pauses.since[1]) AS since FROM incident_events ARRAY JOIN clocks AS c"
    )
    row = {"purpose": "handle", "holder": "water", "due": clock.due_at, "epoch": 2, "no": False}
    assert [dict(one) for one in found] == [row | {"reasons": ["expert_appraisal"], "since": pause.since}] * 3


def test_hand_overs_of_every_level_lie_in_one_table(handle: Handle) -> None:
    fields = {"kind": "offered", "to_desk": "440300-desk", "to_level": "city", "due_at": numbered.START_MS + 7, "realm": "live"}
    rows = Records(HANDOVERS, lambda number, _: numbered.made(Handover, handover_id=f"h{number}", case_id="c", src_offset=number, **fields))
    handle.insert_avro(HANDOVERS.inlet, rows.container(3, range(4)))
    found = handle.rows(
        "SELECT to_desk, toUnixTimestamp64Milli(due_at) AS due, count() AS rows, max(_blk) AS blk FROM handovers GROUP BY 1, 2"
    )
    assert [dict(one) for one in found] == [{"to_desk": "440300-desk", "due": numbered.START_MS + 7, "rows": 4, "blk": 3}]


def test_an_insert_fills_facts_and_every_rollup(handle: Handle) -> None:
    for number, start in enumerate(range(0, 300, 100), 1):
        handle.insert_avro(DELTAS.inlet, DELTA_ROWS.container(number, range(start, start + 100)))
    assert scalar(handle, "SELECT sum(cases) FROM state_totals") == 60
    assert scalar(handle, "SELECT sum(opened) - sum(closed) FROM flow_by_hour") == 0
    assert scalar(handle, "SELECT count() FROM openings") == 60
    assert [repair.highest_block(handle, table) for table in (DELTAS.facts, *DELTAS.rollups)] == [3] * 5
    assert rollup_mismatches(handle, DELTAS, Realm.LIVE) == {}


@pytest.mark.parametrize("lost", [*DELTAS.rollups, DELTAS.facts, "everything"])
def test_each_table_of_a_half_done_insert_is_repaired_by_itself(handle: Handle, lost: str) -> None:
    whole = DELTA_ROWS.container(1, range(50))
    handle.insert_avro(DELTAS.inlet, whole)
    built = DELTA_ROWS.container(2, range(50, 80))
    handle.insert_avro(DELTAS.inlet, built)
    for table in (DELTAS.facts, *DELTAS.rollups):
        if lost in (table, "everything"):
            handle.run(f"TRUNCATE TABLE {table}")
            _insert_only(handle, DELTAS, table, whole, 1)
    assert repair.make_whole(handle, DELTAS, 2, 30, built) == (5 if lost == "everything" else 1)
    assert scalar(handle, "SELECT count() = 80 AND uniqExact(event_id) = 80 FROM live_deltas")
    assert rollup_mismatches(handle, DELTAS, Realm.LIVE) == {}
    assert repair.make_whole(handle, DELTAS, 2, 30, built) == 0, "a second repair finds nothing to do"


def _insert_only(handle: Handle, stream: Stream, table: str, built: bytes, block: int) -> None:
    """Block `block` into one table alone, as if the others had been cut off."""
    if table == stream.facts:
        handle.insert_avro(table, built)
        return
    view = repair.View.of(handle, stream, table)
    handle.insert_select(table, view.columns, view.select(f"SELECT * FROM {stream.facts} WHERE _blk = {block}"))


def test_facts_that_hold_part_of_a_block_stop_the_sink(handle: Handle) -> None:
    handle.insert_avro(DELTAS.facts, DELTA_ROWS.container(1, range(10)))
    with pytest.raises(repair.Inconsistent, match="10 rows of 30"):
        repair.make_whole(handle, DELTAS, 1, 30, DELTA_ROWS.container(1, range(30)))


def test_a_rollup_that_counts_otherwise_is_seen(handle: Handle) -> None:
    handle.insert_avro(DELTAS.inlet, DELTA_ROWS.container(1, range(50)))
    handle.run("INSERT INTO flow_by_hour (realm, hour, county, opened, closed, events, _blk) VALUES ('live', now(), '440305', 1, 0, 1, 1)")
    assert list(rollup_mismatches(handle, DELTAS, Realm.LIVE)) == ["flow_by_hour"]


def test_case_now_holds_the_newest_row_whatever_the_order(handle: Handle) -> None:
    handle.insert_avro(EVENTS.inlet, EVENT_ROWS.container(2, range(3, 5)))
    handle.insert_avro(EVENTS.inlet, EVENT_ROWS.container(1, range(3)))
    assert handle.rows("SELECT case_seq, state FROM case_now FINAL") == [{"case_seq": 5, "state": "closed"}]


def test_hashes_are_the_same_in_the_engine_and_here(handle: Handle) -> None:
    handle.insert_avro(EVENTS.inlet, EVENT_ROWS.container(1, range(20)))
    ours = sum(row_hash(numbered.command_id("live", 0, number), number) for number in range(20)) % (1 << 64)
    assert scalar(handle, f"SELECT sum({HASH}) FROM incident_events") == ours


def test_an_error_tells_the_engine_s_code(handle: Handle) -> None:
    with pytest.raises(WarehouseError) as refused:
        handle.rows("SELECT * FROM no_such_table")
    assert refused.value.code == 60
    with pytest.raises(WarehouseError) as broken:
        handle.insert_avro(EVENTS.inlet, b"Obj\x01 no container")
    assert broken.value.broken_input


FORGED = varint(ENDING)  # a whole row's end, as if the datum ended here


@pytest.mark.parametrize("table", [DELTAS.inlet, DELTAS.facts])
@pytest.mark.parametrize("number", [0, 2, 4])
@pytest.mark.parametrize("left", [b"\0", b"\0\0", b"\0" * 80, b"\0" * 8 + FORGED, b"\xff" * 40], ids=lambda left: f"{len(left)}-bytes")
def test_bytes_left_behind_a_datum_are_refused_with_their_block(handle: Handle, table: str, number: int, left: bytes) -> None:
    with pytest.raises(WarehouseError) as refused:
        handle.insert_avro(table, DELTA_ROWS.container(1, range(5), {number: left}))
    assert refused.value.broken_input
    assert {scalar(handle, f"SELECT count() FROM {name}") for name in (DELTAS.facts, *DELTAS.rollups)} == {0}


def test_a_forged_end_of_a_row_takes_nothing_from_its_neighbours(handle: Handle) -> None:
    whole = DELTA_ROWS.container(9, range(3))  # behind the forged end a whole block of other rows
    handle.insert_avro(DELTAS.inlet, DELTA_ROWS.container(1, range(5), {2: FORGED + whole}))
    stored = handle.rows(f"SELECT _off AS place, event_id FROM {DELTAS.facts} ORDER BY place")
    assert [(row["place"], row["event_id"]) for row in stored] == [(n, numbered.delta(n, 0).event_id) for n in range(5)]


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.sql")))
def test_every_named_query_runs(engine: Warehouse, name: str) -> None:
    values: dict[str, Any] = {"String": "44", "UInt32": 10, "Int32": 0, "Int64": 0, "Bool": True}
    parameters = {parameter: values[kind] for parameter, kind in re.findall(r"\{(\w+):(\w+)\}", sql(name))}
    with engine.reader() as reader:
        reader.rows(sql(name), parameters)


def test_values_are_bound_never_spliced(engine: Warehouse) -> None:
    evil = "x' OR 1=1 --"
    with engine.reader() as reader:
        assert reader.rows("SELECT {a:String} AS a", {"a": evil}) == [{"a": evil}]


def test_migrating_again_changes_nothing(engine: Warehouse) -> None:
    before = dump(engine)
    assert migrate(engine) == []
    assert dump(engine) == before


def test_readers_do_not_wait_for_the_sink_s_handle(engine: Warehouse) -> None:
    with engine.reader() as first, engine.reader() as second:
        assert first is not second
        assert scalar(first, "SELECT 1") == scalar(second, "SELECT 1") == 1


def test_only_the_newest_claim_on_a_stream_may_insert(engine: Warehouse, handle: Handle) -> None:
    if not engine.shared:
        pytest.skip("an embedded engine has one process")
    older, other, newer = engine.handle(), engine.handle(), engine.handle()
    fence.claim(older, DELTAS)
    older.insert_avro(DELTAS.inlet, DELTA_ROWS.container(1, range(100)))
    assert scalar(handle, f"SELECT count() FROM {DELTAS.facts}") == 100
    assert rollup_mismatches(handle, DELTAS, Realm.LIVE) == {}
    fence.claim(other, EVENTS)  # another stream's claim is none of its business
    older.insert_avro(DELTAS.inlet, DELTA_ROWS.container(2, range(100, 200)))
    fence.claim(newer, DELTAS)
    view = repair.View.of(handle, DELTAS, "state_totals")
    for table in (DELTAS.inlet, DELTAS.facts):
        with pytest.raises(Fenced):
            older.insert_avro(table, DELTA_ROWS.container(3, range(200, 300)))
    with pytest.raises(Fenced):
        older.insert_select("state_totals", view.columns, view.select(f"SELECT * FROM {DELTAS.facts}"))
    with pytest.raises(Fenced):
        older.truncate("state_totals")
    newer.insert_avro(DELTAS.inlet, DELTA_ROWS.container(3, range(200, 300)))
    assert scalar(handle, f"SELECT count() FROM {DELTAS.facts}") == 300
    assert rollup_mismatches(handle, DELTAS, Realm.LIVE) == {}
    for one in (older, other, newer):
        one.close()


def test_an_insert_is_one_part_however_many_rows(engine: Warehouse, handle: Handle) -> None:
    if engine.shared:
        fence.claim(handle, DELTAS)
    handle.run(f"SYSTEM STOP MERGES {DELTAS.facts}")
    try:
        handle.insert_avro(DELTAS.inlet, DELTA_ROWS.container(1, range(70_000)))  # more than a block of the engine's own choice
        parts = f"SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = '{DELTAS.facts}'"
        assert scalar(handle, parts) == 1
        assert scalar(handle, f"SELECT count() FROM {DELTAS.facts}") == 70_000
    finally:
        handle.run(f"SYSTEM START MERGES {DELTAS.facts}")
