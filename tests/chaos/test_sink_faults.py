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
from tests.chaos import disk, strace, token_sink
from tests.chaos.results import Account
from tests.clickhouse_http import ClickHouseServer
from tests.conftest import TEST_PARTITIONS
from tests.helpers import until
from tests.ledger import STORED, Ledger
from tests.warehouse_process import WarehouseProcess

pytestmark = [pytest.mark.broker, pytest.mark.chaos]
POINTS = ("sink_after_intent", "sink_in_insert", "sink_after_insert", "sink_before_commit")
BATCH = 300
BOUND = 45.0  # s to be drained after a fault, on a busy machine
KILLS = 5
DISK_MB = 256


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


def judge(account: Account, warehouse: WarehouseProcess, ledger: Ledger) -> None:
    """Drains, stops, and says what the tables are."""
    began = time.monotonic()
    warehouse.drained()
    account.recovered(time.monotonic() - began, BOUND)
    assert warehouse.stop() == 0
    tables = warehouse.tables()
    try:
        found = ledger.broken(tables)
    finally:
        tables.close()
    account.verdict({name: len(texts) for name, texts in found.items()}, {text: 1 for texts in found.values() for text in texts[:1]})


def hit(warehouse: WarehouseProcess, ledger: Ledger, point: str, frozen: bool = False) -> None:
    """Starts a warehouse and writes till it is killed, or frozen, at the failpoint."""
    warehouse.start(f"{point}@3{':stop' if frozen else ''}", wait=False)
    there = warehouse.frozen if frozen else warehouse.ended
    until(lambda: there() or ledger.write(5, "live", "sandbox"), f"{point} is reached", 90, every=0.3)


@pytest.mark.scenario("F2", "killed at every step of the order of commitment, and while it repairs")
def test_nothing_is_lost_or_doubled_when_the_sink_is_killed(warehouse: WarehouseProcess, ledger: Ledger, account: Account) -> None:
    """One warehouse for all: what a kill left is found by the start after it, and the tables are compared at the end."""
    ledger.write(BATCH)
    for point in POINTS:
        hit(warehouse, ledger, point)
        account.window(point)
        if point == "sink_after_intent":  # the next start has facts to insert again: killed when they are there and the rollups are not
            warehouse.start("sink_in_repair@1", wait=False)
            until(warehouse.ended, "the repair is reached", 60)
            account.window("sink_in_repair")
    warehouse.start()
    ledger.write(BATCH)
    judge(account, warehouse, ledger)
    account.held()


@pytest.mark.scenario("F2", "frozen at every step of the order of commitment, and thawed")
def test_nothing_is_lost_or_doubled_when_the_sink_is_frozen_and_thawed(
    warehouse: WarehouseProcess, ledger: Ledger, account: Account
) -> None:
    ledger.write(BATCH)
    for point in POINTS:
        hit(warehouse, ledger, point, frozen=True)
        account.window(point)
        ledger.write(20)
        warehouse.thaw()
        until(warehouse.note.exists, "the warehouse is ready", 30)
        warehouse.drained()
        assert warehouse.stop() == 0
    warehouse.start()
    judge(account, warehouse, ledger)
    account.held()


@pytest.mark.scenario("F2", "killed at random moments under load")
def test_nothing_is_lost_or_doubled_under_kills_at_random_moments(
    warehouse: WarehouseProcess, ledger: Ledger, account: Account, rng: random.Random
) -> None:
    for _ in range(5):
        warehouse.start()
        kill_at = time.monotonic() + rng.uniform(0.1, 1.2)
        while time.monotonic() < kill_at:
            ledger.write(20, "live", "sandbox")
        warehouse.kill()
    warehouse.start()
    judge(account, warehouse, ledger)
    account.held()


@pytest.mark.skipif(not strace.available(), reason=strace.WHY_NOT)
@pytest.mark.scenario("F2", "killed exactly as a part is renamed into its table")
def test_nothing_is_lost_or_doubled_by_kills_at_a_part_s_rename(
    warehouse: WarehouseProcess, ledger: Ledger, account: Account, rng: random.Random
) -> None:
    """Facts and rollups of several streams are renamed one after the other: which one is cut, chance says."""
    for _ in range(KILLS):
        warehouse.start()
        cut = rng.randint(1, 8)
        with strace.kill_at_rename(warehouse.pid, cut):
            until(lambda: warehouse.ended() or ledger.write(5), "a rename is cut", 60, every=0.2)
        account.window(f"rename {cut}")
    warehouse.start()
    judge(account, warehouse, ledger)
    account.held()


@pytest.mark.skipif(not strace.available(), reason=strace.WHY_NOT)
@pytest.mark.control("F2", "museum: deduplication by token, killed as a part is renamed")
def test_control_a_sink_of_deduplication_tokens_loses_rows_at_a_rename(account: Account, tmp_path: Path) -> None:
    """It repeats its last insert under the same token after every stop. Cut between the token's entry and the rename, the repeat is
    dropped as a duplicate of a part that is not there."""
    for cut in range(1, 5):
        with token_sink.run(tmp_path) as process, strace.kill_at_rename(process.pid, cut):
            process.communicate(b"go\n", 60)
    acknowledged, stored = token_sink.count(tmp_path)
    account.verdict({"I1": max(0, acknowledged - stored)})
    account.red("I1")


@pytest.mark.control("F2", "no repair")
def test_control_without_repair_a_kill_loses_rows(
    warehouse: WarehouseProcess, ledger: Ledger, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.write(BATCH)
    warehouse.start("sink_after_intent@1", wait=False)
    until(warehouse.ended, "the sink was killed", 60)
    monkeypatch.setenv("LIANDONG_TEST_UNGUARDED", "repair")
    warehouse.start(module="tests.chaos.unguarded")
    ledger.write(BATCH)
    judge(account, warehouse, ledger)
    account.red("I1")


@pytest.mark.scenario("F2", "records written twice by a worker")
def test_records_written_twice_by_a_worker_count_once(warehouse: WarehouseProcess, ledger: Ledger, account: Account) -> None:
    ledger.write(BATCH)
    warehouse.start()
    ledger.repeat(50)
    ledger.write(20)
    ledger.repeat(10)
    judge(account, warehouse, ledger)
    warehouse.start()  # marks come back from the commit
    ledger.repeat(10)
    ledger.write(20)
    judge(account, warehouse, ledger)
    account.held()


@pytest.mark.control("F2", "no marks: records written twice")
def test_control_without_marks_records_written_twice_count_twice(
    warehouse: WarehouseProcess, ledger: Ledger, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.write(BATCH)
    ledger.repeat(50)
    monkeypatch.setenv("LIANDONG_TEST_UNGUARDED", "marks")
    warehouse.start(module="tests.chaos.unguarded")
    judge(account, warehouse, ledger)
    account.red("I1")


@pytest.mark.scenario("F8", "tables came back from an older copy")
def test_tables_that_came_back_from_an_older_copy_are_filled_again(
    warehouse: WarehouseProcess, ledger: Ledger, account: Account, tmp_path: Path
) -> None:
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
    judge(account, warehouse, ledger)
    assert "rewound to the tables" in warehouse.log.read_text()
    account.held()


@pytest.mark.scenario("F5", "the sink's only broker killed and started again")
def test_a_broker_killed_and_started_again_is_waited_for(own_broker: Broker, tmp_path: Path, account: Account) -> None:
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
        judge(account, warehouse, ledger)
    finally:
        warehouse.close()
    account.held()


@pytest.mark.scenario("F7", "a ClickHouse server killed in the middle of inserts, again and again")
def test_a_clickhouse_server_killed_again_and_again_is_waited_for(
    ledger: Ledger, tmp_path: Path, account: Account, rng: random.Random
) -> None:
    server = ClickHouseServer(tmp_path / "server", free_port()).start()
    warehouse = WarehouseProcess.new(tmp_path / "platform", ledger.bootstrap, clickhouse_url=server.url)
    try:
        warehouse.start()
        for _ in range(4):
            kill_at = time.monotonic() + rng.uniform(0.1, 1.0)
            while time.monotonic() < kill_at:
                ledger.write(20)
            server.kill()
            ledger.write(20)
            assert until(lambda: warehouse.get("/v1/cases/any").status_code == 503, "reads say that the warehouse is away")
            server.start()
        assert not warehouse.ended(), "the process waits, it does not die"
        judge(account, warehouse, ledger)
    finally:
        warehouse.close()
        server.kill()
    account.held()


@pytest.mark.skipif(not disk.available(), reason=disk.WHY_NOT)
@pytest.mark.scenario("F7", "the embedded engine's disk is full, then it has room again")
def test_a_full_disk_is_waited_for(warehouse: WarehouseProcess, ledger: Ledger, account: Account) -> None:
    with disk.small_disk(warehouse.settings.warehouse_dir, DISK_MB) as place:
        try:
            warehouse.start()
            ledger.write(BATCH)
            warehouse.drained()
            disk.fill(place)
            ledger.write(BATCH)
            until(lambda: not warehouse.health()["ok"], "the sink says that there is no room", 30)
            ledger.write(BATCH)
            assert not warehouse.ended(), "the process waits, it does not die"
            disk.free(place)
            judge(account, warehouse, ledger)
        finally:
            warehouse.close()
    account.held()


@pytest.mark.scenario("F2", "a second warehouse process on the same embedded tables")
def test_a_second_process_on_the_same_embedded_tables_is_refused(warehouse: WarehouseProcess, ledger: Ledger, account: Account) -> None:
    ledger.write(BATCH)
    warehouse.start()
    second = WarehouseProcess(warehouse.settings, warehouse.keys)
    note = warehouse.note.read_text()
    second.start(wait=False)
    assert second.process
    assert second.process.wait(60) == 1
    assert "another warehouse process uses it" in second.log.read_text()
    warehouse.note.write_text(note)  # both write the same one
    ledger.write(BATCH)
    judge(account, warehouse, ledger)
    account.held()


@pytest.mark.scenario("F8", "the group's offsets were deleted")
def test_lost_offsets_go_on_after_the_newest_row(warehouse: WarehouseProcess, ledger: Ledger, account: Account) -> None:
    ledger.write(BATCH)
    warehouse.start()
    warehouse.drained()
    assert warehouse.stop() == 0
    admin = AdminClient({"bootstrap.servers": ledger.bootstrap})
    for group in admin.delete_consumer_groups([stream.group for stream in STORED], request_timeout=20).values():
        group.result(30)
    warehouse.start()
    ledger.write(20)
    judge(account, warehouse, ledger)
    assert "offsets lost" in warehouse.log.read_text()
    account.held()
