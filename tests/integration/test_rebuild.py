"""All tables built anew from Kafka: exact wherever it is killed and under load, and honest about what nobody has any more."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from typer.testing import CliRunner

from schemas.realms import Realm
from schemas.topics import LIVE_DELTAS, OUTCOMES, Topic
from services.commands import rebuild
from services.embedded.broker import Broker
from services.embedded.ports import free_port
from services.embedded.topics import ensure_topics
from services.warehouse.backend import scalar
from services.warehouse.rebuild.book import ASIDE, place_order
from tests import numbered
from tests.audits import audited, put_state, state_of
from tests.clickhouse_http import ClickHouseServer
from tests.conftest import TEST_PARTITIONS
from tests.helpers import until
from tests.ledger import Ledger
from tests.warehouse_process import WarehouseProcess, Writer

pytestmark = pytest.mark.broker
_orders = itertools.count(1)
# One life of the process each, all within one rebuild: every next one goes on where the last one was killed.
POINTS = (
    "rebuild_before_begun", "rebuild_put_aside", "rebuild_before_aside", "rebuild_before_cut", "rebuild_before_block",
    "rebuild_after_block", "rebuild_after_block", "rebuild_before_carried", "rebuild_after_commit", "rebuild_before_filling",
    "rebuild_before_filling@2", "rebuild_before_filling@2", "sink_after_intent", "rebuild_before_done",
)  # fmt: skip
OTHERS = ("rebuild_put_aside", "rebuild_after_block", "sink_after_insert", "rebuild_before_done")


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
        with contextlib.suppress(httpx.HTTPError, OSError):
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


@pytest.fixture(scope="module")
def forgotten(own: tuple[WarehouseProcess, Ledger]) -> tuple[WarehouseProcess, Ledger]:
    """Kafka no longer has all that the tables have."""
    forget(own[1].bootstrap, LIVE_DELTAS, 70)
    forget(own[1].bootstrap, OUTCOMES, 125)  # between records and their repeats
    return own


def test_rows_that_kafka_has_forgotten_are_carried_over_wherever_it_is_killed(forgotten: tuple[WarehouseProcess, Ledger]) -> None:
    warehouse, ledger = forgotten
    for kills in (POINTS, OTHERS):
        result = rebuilt(warehouse, *kills)
        assert (result["missing"], result["derived_deltas"]) == ([], 0)
        assert (result["carried"]["deltas"], result["carried"]["outcomes"]) == (70 * TEST_PARTITIONS, 120 * TEST_PARTITIONS)
        check(warehouse, ledger)
        warehouse.start()


def test_a_row_that_stood_in_two_blocks_stands_once_after_a_rebuild(forgotten: tuple[WarehouseProcess, Ledger]) -> None:
    """What a second sink leaves; here among the rows that only the old tables have."""
    warehouse, ledger = forgotten
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


def test_readers_are_told_and_the_load_goes_on(forgotten: tuple[WarehouseProcess, Ledger]) -> None:
    warehouse, ledger = forgotten
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            ledger.write(5)

    writing = threading.Thread(target=load)
    writing.start()
    try:
        with kept_up(warehouse, "rebuild_after_block", "sink_after_intent", "rebuild_before_done"):
            order = ordered(warehouse)
            told = until(lambda: refusal(warehouse), "a reader is told", 120, 0.01)
            result_of(warehouse, order, 180)
    finally:
        ended.set()
        writing.join()
    assert "being rebuilt from Kafka" in told["detail"]
    check(warehouse, ledger)
    warehouse.start()


@contextlib.contextmanager
def kept_up(warehouse: WarehouseProcess, *kills: str) -> Iterator[None]:
    """Starts the process again whenever it ends, as the supervisor does; in each of its first lives it is killed at one of these points."""
    stop, left = threading.Event(), list(kills)

    def keep() -> None:
        while not stop.wait(0.05):
            if warehouse.ended():
                warehouse.start(left.pop(0) if left else "", wait=False)

    keeping = threading.Thread(target=keep)
    keeping.start()
    try:
        yield
    finally:
        stop.set()
        keeping.join()
        assert not left


def refusal(warehouse: WarehouseProcess) -> Any:
    with contextlib.suppress(httpx.HTTPError, OSError):
        answer = warehouse.get("/v1/snapshot")
        return answer.status_code == 503 and answer.json()
    return None


def test_without_the_old_tables_it_says_what_is_missing_and_makes_deltas_from_events(forgotten: tuple[WarehouseProcess, Ledger]) -> None:
    warehouse, ledger = forgotten
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


def test_the_command_follows_it_to_its_end(forgotten: tuple[WarehouseProcess, Ledger], monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse, _ = forgotten
    port = int(warehouse.url.rsplit(":", 1)[1])
    warehouse.settings = warehouse.settings.model_copy(update={"read_port": port})  # the supervisor keeps ports over restarts
    state = {"read": warehouse.url, "bootstrap": warehouse.settings.bootstrap, "keys": warehouse.keys}
    monkeypatch.setattr(rebuild, "running", lambda _: (warehouse.settings, state))
    with kept_up(warehouse, "rebuild_before_done"):
        ran = CliRunner().invoke(rebuild.app, ["warehouse", "--yes", "--json"])
    found = json.loads(ran.stdout)
    assert (ran.exit_code, found["whole"]) == (1, False), ran.output
    assert {gap["topic"] for gap in found["missing"]} == {OUTCOMES.name}


def test_it_works_on_a_server_as_well(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker", heap_mb=256).start()
    server = ClickHouseServer(tmp_path / "server", free_port()).start()
    asyncio.run(ensure_topics(broker.bootstrap, ["live"], TEST_PARTITIONS))
    warehouse = WarehouseProcess.new(
        tmp_path / "platform", broker.bootstrap, realms="live", clickhouse_url=f"http://127.0.0.1:{server.port}"
    )
    try:
        ledger = Filled(broker.bootstrap)
        ledger.write(100)
        warehouse.start()
        warehouse.drained()
        forget(broker.bootstrap, LIVE_DELTAS, 40)
        result = rebuilt(warehouse, "rebuild_put_aside", "rebuild_after_block", "sink_after_intent")
        assert (result["missing"], result["carried"]["deltas"]) == ([], 40 * TEST_PARTITIONS)
        check(warehouse, ledger)
    finally:
        warehouse.close()
        server.kill()
        broker.stop()
