"""The sink killed and frozen at every step of its order of commitment: the tables stay exactly what Kafka acknowledged."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from services.embedded.broker import Broker
from services.embedded.ports import free_port
from services.embedded.topics import ensure_topics
from tests.clickhouse_http import ClickHouseServer
from tests.conftest import TEST_PARTITIONS
from tests.helpers import until
from tests.ledger import STORED, Ledger
from tests.warehouse_process import WarehouseProcess

pytestmark = [pytest.mark.broker, pytest.mark.chaos]
POINTS = ("sink_after_intent", "sink_in_insert", "sink_after_insert", "sink_before_commit")
BATCH = 300


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    broker = Broker(tmp_path_factory.mktemp("broker"), heap_mb=256).start()
    asyncio.run(ensure_topics(broker.bootstrap, ["live", "sandbox"], TEST_PARTITIONS))
    yield Ledger(broker.bootstrap)
    broker.stop()


@pytest.fixture
def warehouse(ledger: Ledger, tmp_path: Path) -> Iterator[WarehouseProcess]:
    """A new, empty warehouse on topics that already hold what earlier tests wrote."""
    made = WarehouseProcess.new(tmp_path, ledger.bootstrap)
    yield made
    made.close()


def faults(warehouse: WarehouseProcess, ledger: Ledger) -> list[str]:
    """Drains, stops and counts."""
    warehouse.drained()
    assert warehouse.stop() == 0
    tables = warehouse.tables()
    try:
        return ledger.faults(tables)
    finally:
        tables.close()


@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_lost_or_doubled_when_the_sink_is_killed(point: str, warehouse: WarehouseProcess, ledger: Ledger) -> None:
    ledger.write(BATCH)
    warehouse.start(f"{point}@3", wait=False)
    until(lambda: warehouse.ended() or ledger.write(5, "live", "sandbox"), f"{point} is reached", 60, every=0.3)
    warehouse.start()
    ledger.write(BATCH)
    assert faults(warehouse, ledger) == []


@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_lost_or_doubled_when_the_sink_is_frozen_and_thawed(point: str, warehouse: WarehouseProcess, ledger: Ledger) -> None:
    ledger.write(BATCH)
    warehouse.start(f"{point}@3:stop", wait=False)
    until(lambda: warehouse.frozen() or ledger.write(5), f"{point} is reached", 60, every=0.3)
    ledger.write(BATCH)
    warehouse.thaw()
    until(warehouse.note.exists, "the warehouse is ready", 30)
    assert faults(warehouse, ledger) == []


def test_nothing_is_lost_or_doubled_under_kills_at_random_moments(warehouse: WarehouseProcess, ledger: Ledger) -> None:
    moments = random.Random(20261122)
    for _ in range(6):
        warehouse.start()
        kill_at = time.monotonic() + moments.uniform(0.1, 1.2)
        while time.monotonic() < kill_at:
            ledger.write(20, "live", "sandbox")
        warehouse.kill()
    warehouse.start()
    assert faults(warehouse, ledger) == []


def test_control_without_repair_a_kill_loses_rows(warehouse: WarehouseProcess, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.write(BATCH)
    warehouse.start("sink_after_intent@1", wait=False)
    until(warehouse.ended, "the sink was killed", 60)
    monkeypatch.setenv("LIANDONG_TEST_UNGUARDED", "repair")
    warehouse.start(module="tests.chaos.unguarded")
    ledger.write(BATCH)
    assert faults(warehouse, ledger) != []


def test_records_written_twice_by_a_worker_count_once(warehouse: WarehouseProcess, ledger: Ledger) -> None:
    ledger.write(BATCH)
    warehouse.start()
    ledger.repeat(50)
    ledger.write(20)
    ledger.repeat(10)
    assert faults(warehouse, ledger) == []
    warehouse.start()  # marks come back from the commit
    ledger.repeat(10)
    ledger.write(20)
    assert faults(warehouse, ledger) == []


def test_control_without_marks_records_written_twice_count_twice(
    warehouse: WarehouseProcess, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.write(BATCH)
    ledger.repeat(50)
    monkeypatch.setenv("LIANDONG_TEST_UNGUARDED", "marks")
    warehouse.start(module="tests.chaos.unguarded")
    assert faults(warehouse, ledger) != []


def test_tables_that_came_back_from_an_older_copy_are_filled_again(warehouse: WarehouseProcess, ledger: Ledger, tmp_path: Path) -> None:
    ledger.write(BATCH)
    warehouse.start()
    warehouse.drained()
    assert warehouse.stop() == 0
    shutil.copytree(warehouse.settings.warehouse_dir, tmp_path / "copy", symlinks=True)
    warehouse.start()
    ledger.write(BATCH)
    warehouse.drained()
    assert warehouse.stop() == 0
    shutil.rmtree(warehouse.settings.warehouse_dir)
    shutil.copytree(tmp_path / "copy", warehouse.settings.warehouse_dir, symlinks=True)
    warehouse.start()
    ledger.write(20)
    assert faults(warehouse, ledger) == []
    assert "rewound to the tables" in warehouse.log.read_text()


def test_a_broker_killed_and_started_again_is_waited_for(own_broker: Broker, tmp_path: Path) -> None:
    asyncio.run(ensure_topics(own_broker.bootstrap, ["live"], TEST_PARTITIONS))
    ledger = Ledger(own_broker.bootstrap)
    warehouse = WarehouseProcess.new(tmp_path / "platform", own_broker.bootstrap, realms="live")
    try:
        ledger.write(BATCH)
        warehouse.start()
        for _ in range(2):
            ledger.write(BATCH)
            own_broker.kill9()
            assert warehouse.get("/v1/cases/case-live-0-0", min_seq=0).status_code in (200, 404), "reads need no Kafka"
            own_broker.start()
            ledger.write(20)
        assert not warehouse.ended(), "the process waits, it does not die"
        assert faults(warehouse, ledger) == []
    finally:
        warehouse.close()


def test_a_clickhouse_server_killed_again_and_again_is_waited_for(ledger: Ledger, tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path / "server", free_port()).start()
    warehouse = WarehouseProcess.new(tmp_path / "platform", ledger.bootstrap, clickhouse_url=server.url)
    moments = random.Random(20261122)
    try:
        warehouse.start()
        for _ in range(4):
            kill_at = time.monotonic() + moments.uniform(0.1, 1.0)
            while time.monotonic() < kill_at:
                ledger.write(20)
            server.kill()
            ledger.write(20)
            assert until(lambda: warehouse.get("/v1/cases/any").status_code == 503, "reads say that the warehouse is away")
            server.start()
        assert not warehouse.ended(), "the process waits, it does not die"
        assert faults(warehouse, ledger) == []
    finally:
        warehouse.close()
        server.kill()


def test_lost_offsets_go_on_after_the_newest_row(warehouse: WarehouseProcess, ledger: Ledger) -> None:
    ledger.write(BATCH)
    warehouse.start()
    warehouse.drained()
    assert warehouse.stop() == 0
    admin = AdminClient({"bootstrap.servers": ledger.bootstrap})
    for group in admin.delete_consumer_groups([stream.group for stream in STORED], request_timeout=20).values():
        group.result(30)
    warehouse.start()
    ledger.write(20)
    assert faults(warehouse, ledger) == []
    assert "offsets lost" in warehouse.log.read_text()
