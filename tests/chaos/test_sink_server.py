"""The sink on a ClickHouse server: the server away, slow, full or cut off, and a second warehouse process beside the first."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import LeaveGroupRequest

from services.embedded.broker import Broker
from services.embedded.ports import free_port
from services.embedded.topics import ensure_topics
from services.warehouse.main import OWNERS
from streams.engine.exits import Exit
from tests.chaos.proxy import Proxy
from tests.chaos.results import Account
from tests.clickhouse_http import ClickHouseServer
from tests.conftest import TEST_PARTITIONS
from tests.helpers import until
from tests.ledger import Ledger
from tests.warehouse_process import WarehouseProcess

pytestmark = [pytest.mark.broker, pytest.mark.chaos]
BATCH = 300
LONG = os.environ.get("CHAOS_LONG") == "1"
AWAY_SECONDS = 600.0 if LONG else 20.0
SLOW_SECONDS = 15.0 if LONG else 4.0  # each way
GROWTH_MB = 400  # a block being inserted, one built and one collected, of 20,000 rows each, for every stream; and what a fetch brings
BOUND = 45.0  # s to be drained after a fault
INSERT_BYTES = 50_000  # more than any question is long
TAKE_OVER = 30.0  # s: 10 till a dead one's session ends, then a start


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    broker = Broker(tmp_path_factory.mktemp("broker"), heap_mb=256).start()
    asyncio.run(ensure_topics(broker.bootstrap, ["live"], TEST_PARTITIONS))
    yield Ledger(broker.bootstrap)
    broker.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    started = ClickHouseServer(tmp_path / "server", free_port()).start()
    yield started
    started.kill()


@pytest.fixture
def proxy(server: ClickHouseServer) -> Iterator[Proxy]:
    started = Proxy(server.port).start()
    yield started
    started.stop()


@pytest.fixture
def warehouses(ledger: Ledger, server: ClickHouseServer, tmp_path: Path) -> Iterator[Callable[..., WarehouseProcess]]:
    """`warehouses("a", port)` makes a platform of its own with a warehouse process, on the one server (or what stands before it)."""
    made: list[WarehouseProcess] = []

    def make(name: str, port: int = 0) -> WarehouseProcess:
        url = f"http://127.0.0.1:{port or server.port}"
        made.append(WarehouseProcess.new(tmp_path / name, ledger.bootstrap, realms="live", clickhouse_url=url))
        return made[-1]

    yield make
    for one in made:
        one.close()


def judge(account: Account, ledger: Ledger, warehouse: WarehouseProcess, bound: float = BOUND) -> None:
    """Drains, stops, and says what the tables are."""
    began = time.monotonic()
    warehouse.drained(seconds=2 * bound)
    account.recovered(time.monotonic() - began, bound)
    assert warehouse.stop() == 0
    tell(account, ledger, warehouse)


def tell(account: Account, ledger: Ledger, warehouse: WarehouseProcess) -> None:
    tables = warehouse.tables()
    try:
        found = ledger.broken(tables)
    finally:
        tables.close()
    account.verdict({name: len(texts) for name, texts in found.items()}, {text: 1 for texts in found.values() for text in texts[:1]})


def waits(warehouse: WarehouseProcess) -> bool:
    return bool(warehouse.health()["owner"]["waits_for"])


def works(warehouse: WarehouseProcess) -> bool:
    report = warehouse.health()
    return report["owner"]["works"] and all(stream["ready"] for stream in report["streams"].values())


def evict(bootstrap: str, group: str) -> None:
    """Takes the member of a group out of it, as the end of its session does; only sooner."""

    async def leave() -> None:
        client = AIOKafkaClient(bootstrap_servers=bootstrap)
        await client.bootstrap()
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
        for member, *_ in (await client.send(node, DescribeGroupsRequest([group]))).groups[0][5]:
            await client.send(node, LeaveGroupRequest(group, member))
        await client.close()

    asyncio.run(leave())


@pytest.mark.scenario("F2", "a second warehouse by mistake waits; it takes over when the first dies or stops")
def test_of_two_warehouses_one_works_and_the_other_takes_over(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account
) -> None:
    first, second = warehouses("first"), warehouses("second")
    first.start()
    second.start()
    assert works(first)
    assert waits(second)
    assert second.health()["ok"]
    ledger.write(BATCH)
    first.drained()
    assert not works(second)
    first.kill()
    began = time.monotonic()
    until(lambda: works(second) or ledger.write(20), "the second takes over from a dead one", 60)
    account.recovered(time.monotonic() - began, TAKE_OVER)
    first.start()
    assert waits(first), "who comes back waits"
    ledger.write(BATCH)
    assert second.stop() == 0
    began = time.monotonic()
    until(lambda: works(first), "the first takes over from one that stopped", 60)
    account.recovered(time.monotonic() - began, TAKE_OVER)
    judge(account, ledger, first)
    assert "another warehouse process works, waiting" in second.log.read_text()
    account.held()


@pytest.mark.scenario("F2", "a sink frozen between intent and insert, or before a commit, wakes up after another took over")
def test_a_sink_that_wakes_up_after_a_take_over_writes_nothing(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account
) -> None:
    zombies = []
    for point in ("sink_after_intent", "sink_before_commit"):
        zombie = warehouses(point).start(f"{point}@3:stop", wait=False)
        until(partial(frozen, zombie, ledger), f"{point} is reached", 60, every=0.3)
        account.window(point)
        evict(ledger.bootstrap, OWNERS)
        zombies.append(zombie)
    last = warehouses("last").start()
    ledger.write(BATCH)
    last.drained()
    for zombie in zombies:
        zombie.thaw()
        assert zombie.process
        assert zombie.process.wait(30) == Exit.OWNER_LOST
    ledger.write(BATCH)
    judge(account, ledger, last)
    account.held()


def late_insert(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, proxy: Proxy, module: str = "services.cli"
) -> None:
    """An insert lies in the network while its sender is frozen and another sink takes over; then it arrives."""
    first, second = warehouses("first", proxy.port), warehouses("second")
    first.start(module=module)
    ledger.write(BATCH)
    first.drained()
    proxy.delay(12.0)
    ledger.write(BATCH)
    until(lambda: proxy.held > INSERT_BYTES, "an insert is in the network", 20)
    os.kill(first.pid, signal.SIGSTOP)
    sent = time.monotonic()
    evict(ledger.bootstrap, OWNERS)
    second.start(module=module)
    second.drained()
    if time.monotonic() - sent < 11.0:
        account.window("the insert arrives after the other one's repair")
    until(lambda: time.monotonic() - sent > 14.0, "the insert has arrived", 30)
    ledger.write(BATCH)
    judge(account, ledger, second)
    first.thaw()
    assert first.process
    assert first.process.wait(60) == Exit.OWNER_LOST


@pytest.mark.scenario("F2", "an insert arrives after another sink has taken over and repaired its block")
def test_an_insert_that_arrives_after_a_take_over_is_refused(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, proxy: Proxy
) -> None:
    late_insert(warehouses, ledger, account, proxy)
    account.held()


@pytest.mark.control("F2", "no claim in the tables: an insert arrives after a take over")
def test_control_without_a_claim_an_insert_that_arrives_late_doubles_rows(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIANDONG_TEST_UNGUARDED", "fence")
    late_insert(warehouses, ledger, account, proxy, "tests.chaos.unguarded")
    account.red("I1")


@pytest.mark.control("F2", "two sinks at once, no owner and no fence")
def test_control_two_sinks_without_a_fence_double_rows(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIANDONG_TEST_UNGUARDED", "owner")
    both = [warehouses(name).start(module="tests.chaos.unguarded") for name in ("first", "second")]
    for _ in range(5):
        ledger.write(BATCH // 5)
    for one in both:
        until(partial(drained, one), "it is drained, or ended by what it found", 60)
        one.stop()
    tell(account, ledger, both[0])
    account.red("I1")


def frozen(warehouse: WarehouseProcess, ledger: Ledger) -> bool:
    return warehouse.frozen() or ledger.write(5)


def drained(warehouse: WarehouseProcess) -> bool:
    if warehouse.ended():
        return True
    try:
        answer = warehouse.get("/internal/reconcile", realm="live")
    except (httpx.HTTPError, FileNotFoundError):
        return False
    return answer.status_code == 200 and not any(answer.json()["waiting"].values())


@pytest.mark.scenario("F7", "the server away under load, then slow, then cut off after it has stored: answers lost")
def test_a_server_that_is_away_or_slow_or_whose_answers_are_lost_is_waited_for(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, server: ClickHouseServer, proxy: Proxy
) -> None:
    """One run: each fault has a drain after it, and the tables are compared at the end and on the way by `drained`."""
    warehouse = warehouses("platform", proxy.port).start()
    ledger.write(BATCH)
    warehouse.drained()
    before = peak = resident_mb(warehouse)
    server.kill()  # in the middle of an insert, as likely as not
    until_back = time.monotonic() + AWAY_SECONDS
    while time.monotonic() < until_back:
        ledger.write(BATCH)
        peak = max(peak, resident_mb(warehouse))
    assert not warehouse.ended(), "the process waits, it does not die"
    assert not warehouse.health()["ok"]
    account.figure("waiting MB", peak - before)
    account.verdict({"I10": int(peak - before > GROWTH_MB)})
    server.start()
    back(account, warehouse)
    for _ in range(3):  # stored, but the sink never hears of it
        stored = int(run(server, "SELECT count() FROM liandong.outcomes"))
        proxy.drop_replies()
        ledger.write(BATCH)
        until(partial(more_outcomes, server, stored), "an insert is stored whose answer is lost", 30)
        proxy.heal()
        back(account, warehouse)
    proxy.delay(SLOW_SECONDS, jitter=0.5)
    ledger.write(BATCH)
    until(lambda: proxy.held > INSERT_BYTES, "an insert is on its slow way", 30)
    ledger.write(BATCH)
    back(account, warehouse, BOUND + 8 * SLOW_SECONDS)
    proxy.heal()
    judge(account, ledger, warehouse)
    account.held()


@pytest.mark.scenario("F7", "too many parts: the server refuses inserts till merges catch up")
def test_too_many_parts_are_waited_for(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, server: ClickHouseServer
) -> None:
    warehouse = warehouses("platform").start()
    ledger.write(BATCH)
    warehouse.drained()
    tables = ("incident_events", "state_totals", "outcome_counts")
    for table in tables:  # a fact table and two rollups: the facts are there, or only the rollup is not
        run(server, f"SYSTEM STOP MERGES liandong.{table}")
        run(server, f"ALTER TABLE liandong.{table} MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 1")
    ledger.write(BATCH)
    until(lambda: not warehouse.health()["ok"], "the sink says that the server refuses", 30)
    assert "TOO_MANY_PARTS" in warehouse.log.read_text()
    ledger.write(BATCH)
    for table in tables:
        run(server, f"ALTER TABLE liandong.{table} RESET SETTING parts_to_delay_insert, parts_to_throw_insert")
        run(server, f"SYSTEM START MERGES liandong.{table}")
    judge(account, ledger, warehouse)
    account.held()


@pytest.mark.scenario("F8", "a server's tables came back from an older copy; then the facts' newest part vanished")
def test_tables_of_a_server_that_lost_their_newest_rows_are_filled_again(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, server: ClickHouseServer, tmp_path: Path
) -> None:
    warehouse = warehouses("platform").start()
    ledger.write(BATCH)
    warehouse.drained()
    assert warehouse.stop() == 0
    server.kill()
    shutil.copytree(server.directory, tmp_path / "copy", symlinks=True)
    server.start()
    warehouse.start()
    ledger.write(BATCH)
    warehouse.drained()
    assert warehouse.stop() == 0
    server.kill()
    shutil.rmtree(server.directory)
    shutil.copytree(tmp_path / "copy", server.directory, symlinks=True)
    server.start()
    warehouse.start()
    account.window("an older copy")
    back(account, warehouse)
    for count in (3, 3, 3):  # several parts, not merged into one
        ledger.write(count)
        warehouse.drained()
    assert warehouse.stop() == 0
    for table in ("incident_events", "outcomes"):
        newest = (
            "SELECT name FROM system.parts WHERE active AND database = 'liandong' AND table = '{}' ORDER BY max_block_number DESC LIMIT 1"
        )
        part = run(server, newest.format(table)).strip()
        run(server, f"ALTER TABLE liandong.{table} DROP PART '{part}'")
    warehouse.start()
    account.window("the newest part of facts")
    judge(account, ledger, warehouse)
    assert warehouse.log.read_text().count("rewound to the tables") >= 2
    account.held()


def more_outcomes(server: ClickHouseServer, than: int) -> bool:
    return int(run(server, "SELECT count() FROM liandong.outcomes")) > than


def back(account: Account, warehouse: WarehouseProcess, bound: float = BOUND) -> None:
    began = time.monotonic()
    warehouse.drained(seconds=2 * bound)
    account.recovered(time.monotonic() - began, bound)


def resident_mb(warehouse: WarehouseProcess) -> float:
    return float(psutil.Process(warehouse.pid).memory_info().rss) / (1 << 20)


def run(server: ClickHouseServer, sql: str) -> str:
    answer = httpx.post(server.url, content=sql, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text
