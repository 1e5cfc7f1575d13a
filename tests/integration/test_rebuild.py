"""All tables built anew from Kafka: exact wherever it is killed and under load, and honest about what nobody has any more."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from typer.testing import CliRunner

from schemas.realms import Realm
from schemas.topics import CASE_TABLE, INCIDENT_EVENTS, LIVE_DELTAS, OUTCOMES, Topic
from services.commands import rebuild
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from services.sink.streams import STREAMS
from services.warehouse.backend import scalar
from services.warehouse.rebuild.book import ASIDE, place_order
from tests import numbered
from tests.audits import audited, put_state, state_of
from tests.conftest import TEST_PARTITIONS
from tests.helpers import until
from tests.ledger import Ledger
from tests.warehouse_process import WarehouseProcess, Writer

pytestmark = pytest.mark.broker
_orders = itertools.count(1)
POINTS = (
    "rebuild_before_begun", "rebuild_put_aside", "rebuild_before_aside", "rebuild_before_cut", "rebuild_before_block",
    "rebuild_after_block", "rebuild_after_block@2", "rebuild_before_carried", "rebuild_after_commit", "rebuild_before_filling",
    "sink_after_intent", "sink_after_insert", "rebuild_before_filling@2", "rebuild_before_filling@3", "rebuild_before_done",
)  # fmt: skip


class Filled(Ledger):
    """A ledger whose cases also stand in the case table, so that it can be audited."""

    def write(self, count: int, *realms: str) -> bool:
        writer = Writer(self.bootstrap)
        for partition in range(TEST_PARTITIONS):
            done = self.acked["live", partition]
            for number in range(done, done + count):
                put_state(writer, "live", partition, number, state_of(numbered.event(number, partition)))
        writer.flush()
        return super().write(count)

    def repeat(self, count: int, realm: str = "live") -> None:
        """Deltas and outcomes only: so an event's number stays its offset, which its delta names."""
        writer = Writer(self.bootstrap)
        for partition in range(TEST_PARTITIONS):
            done = self.acked[realm, partition]
            for topic, make in ((LIVE_DELTAS, numbered.delta), (OUTCOMES, numbered.outcome)):
                writer.put(topic, realm, partition, numbered.stream(make, range(done - count, done), partition, realm))
        writer.flush()


def forget(bootstrap: str, topic: Topic, offset: int) -> None:
    """Kafka deletes what is older, as it does by age."""

    async def delete() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            places = [TopicPartition(topic.in_realm(Realm.LIVE), partition) for partition in range(TEST_PARTITIONS)]
            await admin.delete_records({place: RecordsToDelete(before_offset=offset) for place in places})
        finally:
            await admin.close()

    asyncio.run(delete())


def ordered(warehouse: WarehouseProcess) -> int:
    order = next(_orders)
    place_order(warehouse.settings.data_dir, order)
    return order


def result_of(warehouse: WarehouseProcess, order: int, seconds: float = 120) -> dict[str, Any]:
    def done() -> Any:
        with contextlib.suppress(httpx.HTTPError):
            found = warehouse.get("/internal/rebuild").json()
            return found["order"] == order and found["step"] == "done" and found["result"]

    found: dict[str, Any] = until(done, "the rebuild is done", seconds)
    return found


def rebuilt(warehouse: WarehouseProcess, *kills: str) -> dict[str, Any]:
    """Orders a rebuild; the process ends for it and is started again, as the supervisor does, also after each kill."""
    order = ordered(warehouse)
    until(warehouse.ended, "the process ends for the rebuild")
    for point in kills:
        warehouse.start(point, wait=False)
        until(warehouse.ended, f"killed at {point}", 90)
    warehouse.start()
    return result_of(warehouse, order)


def check(warehouse: WarehouseProcess, ledger: Ledger) -> None:
    """The auditor and the ledger agree, and nothing is left aside."""
    report = audited(warehouse)
    assert report.agrees, report.document()
    warehouse.drained()
    assert warehouse.stop() == 0
    tables = warehouse.tables()
    assert ledger.faults(tables) == []
    with tables.reader() as handle:
        assert not scalar(handle, f"SELECT count() FROM system.tables WHERE database = '{ASIDE}' AND name != 'steps'")
    tables.close()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WarehouseProcess, Ledger]]:
    broker = Broker(tmp_path_factory.mktemp("broker"), heap_mb=256).start()
    asyncio.run(ensure_topics(broker.bootstrap, ["live"], TEST_PARTITIONS))
    made = WarehouseProcess.new(tmp_path_factory.mktemp("platform"), broker.bootstrap, realms="live")
    ledger = Filled(broker.bootstrap)
    ledger.write(120)
    made.start()
    made.drained()
    ledger.repeat(10)
    ledger.write(80)
    made.drained()
    yield made, ledger
    made.close()
    broker.stop()


def test_tables_are_the_same_after_a_rebuild(own: tuple[WarehouseProcess, Ledger]) -> None:
    warehouse, ledger = own
    result = rebuilt(warehouse)
    assert (result["missing"], result["derived_deltas"], sum(result["carried"].values())) == ([], 0, 0)
    check(warehouse, ledger)
    warehouse.start()


def test_rows_that_kafka_has_forgotten_are_carried_over_wherever_it_is_killed(own: tuple[WarehouseProcess, Ledger]) -> None:
    warehouse, ledger = own
    forget(ledger.bootstrap, LIVE_DELTAS, 70)
    forget(ledger.bootstrap, OUTCOMES, 125)  # between a record and its repeat
    for point in POINTS:
        result = rebuilt(warehouse, point)
        assert (result["missing"], result["derived_deltas"]) == ([], 0), point
        assert (result["carried"]["deltas"], result["carried"]["outcomes"]) == (70 * TEST_PARTITIONS, 120 * TEST_PARTITIONS), point
        check(warehouse, ledger)
        warehouse.start()


def test_a_row_that_stood_in_two_blocks_stands_once_after_a_rebuild(own: tuple[WarehouseProcess, Ledger]) -> None:
    """What a second sink leaves; here among the rows that only the old tables have."""
    warehouse, ledger = own
    warehouse.drained()
    assert warehouse.stop() == 0
    tables = warehouse.tables()
    with tables.reader() as handle:
        handle.run("INSERT INTO live_deltas_in SELECT * REPLACE (_blk + 1000 AS _blk) FROM live_deltas WHERE _off < 5")
    assert ledger.faults(tables) != []
    tables.close()
    warehouse.start()
    rebuilt(warehouse)
    check(warehouse, ledger)
    warehouse.start()


def test_readers_are_told_and_the_load_goes_on(own: tuple[WarehouseProcess, Ledger]) -> None:
    warehouse, ledger = own
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            ledger.write(5)

    writing = threading.Thread(target=load)
    writing.start()
    try:
        order = ordered(warehouse)
        until(warehouse.ended, "the process ends for the rebuild")
        warehouse.start("rebuild_before_block:stop")  # it serves readers before its streams begin
        until(warehouse.frozen, "frozen while it carries rows")
        warehouse.thaw()
        warehouse.kill()
        warehouse.start("rebuild_before_done@1:stop", wait=False)
        until(warehouse.frozen, "frozen before the end", 90)
        warehouse.kill()
        warehouse.start("rebuild_before_filling@3:stop", wait=False)
        told = None
        with contextlib.suppress(AssertionError):
            told = until(lambda: _refusal(warehouse), "a reader is told", 5)
        assert told is None or "being rebuilt from Kafka" in told["detail"]
        if warehouse.frozen():
            warehouse.thaw()
        result_of(warehouse, order)
    finally:
        ended.set()
        writing.join()
    check(warehouse, ledger)
    warehouse.start()


def _refusal(warehouse: WarehouseProcess) -> Any:
    with contextlib.suppress(httpx.HTTPError, FileNotFoundError):
        answer = warehouse.get("/v1/snapshot")
        return answer.status_code == 503 and answer.json()
    return None


def test_without_the_old_tables_it_says_what_is_missing_and_makes_deltas_from_events(own: tuple[WarehouseProcess, Ledger]) -> None:
    warehouse, ledger = own
    warehouse.drained()
    assert warehouse.stop() == 0
    shutil.rmtree(warehouse.settings.warehouse_dir)
    warehouse.start()
    result = rebuilt(warehouse, "rebuild_after_block")
    gone = [{"topic": OUTCOMES.name, "partition": partition, "from": 0, "to": 125} for partition in range(TEST_PARTITIONS)]
    assert result["missing"] == gone
    assert result["derived_deltas"] == 70 * TEST_PARTITIONS
    report = audited(warehouse)
    assert report.agrees, report.document()
    warehouse.drained()
    assert warehouse.stop() == 0
    tables = warehouse.tables()
    faults = ledger.faults(tables)
    assert faults
    assert all(fault.startswith("outcomes") for fault in faults), faults
    tables.close()
    warehouse.start()


def test_the_command_follows_it_to_its_end(own: tuple[WarehouseProcess, Ledger], monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse, _ = own
    state = {"read": warehouse.url, "bootstrap": warehouse.settings.bootstrap, "keys": warehouse.keys}
    monkeypatch.setattr(rebuild, "running", lambda _: (warehouse.settings.model_copy(), state))
    fixed = warehouse.settings.model_copy(update={"read_port": int(warehouse.url.rsplit(":", 1)[1])})
    warehouse.settings = fixed  # the supervisor keeps the port over restarts
    again = threading.Thread(target=lambda: (until(warehouse.ended, "it ends for the rebuild"), warehouse.start()))
    again.start()
    ran = CliRunner().invoke(rebuild.app, ["warehouse", "--yes", "--json"])
    again.join()
    found = json.loads(ran.stdout)
    assert (ran.exit_code, found["whole"]) == (1, False), ran.output
    assert {gap["topic"] for gap in found["missing"]} == {OUTCOMES.name}


def test_every_stream_is_rebuilt() -> None:
    assert {stream.topic for stream in STREAMS} >= {INCIDENT_EVENTS, LIVE_DELTAS, OUTCOMES}
    assert CASE_TABLE not in {stream.topic for stream in STREAMS}
