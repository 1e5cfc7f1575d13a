"""Two warehouse processes on one ClickHouse server: one works, and what the other one still has under way is refused."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from functools import partial

import httpx
import pytest
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import LeaveGroupRequest

from services.warehouse.main import OWNERS
from streams.engine.exits import Exit
from tests.chaos import sinks
from tests.chaos.results import Account
from tests.chaos.sinks import BATCH, judge, tell
from tests.clickhouse_http import ClickHouseServer
from tests.helpers import until
from tests.ledger import Ledger
from tests.warehouse_process import WarehouseProcess

ledger, server, warehouses = sinks.ledger, sinks.server, sinks.warehouses  # fixtures
pytestmark = [pytest.mark.broker, pytest.mark.chaos]
TAKE_OVER = 30.0  # s: 10 till a dead one's session ends, then a start


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
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, server: ClickHouseServer, module: str = "services.cli"
) -> None:
    """An insert lies in the network while its sender is frozen and another sink takes over and repairs its block; then it arrives."""
    first, second = warehouses("first"), warehouses("second")
    first.start(module=module)
    ledger.write(BATCH)
    first.drained()
    server.hold()
    ledger.write(BATCH)
    until(server.holds, "an insert is in the network", 30)
    os.kill(first.pid, signal.SIGSTOP)
    evict(ledger.bootstrap, OWNERS)
    second.start(module=module)
    second.drained()
    server.release()
    ledger.write(BATCH)
    judge(account, ledger, second)
    first.thaw()
    assert first.process
    assert first.process.wait(60) == Exit.OWNER_LOST


@pytest.mark.scenario("F2", "an insert arrives after another sink has taken over and repaired its block")
def test_an_insert_that_arrives_after_a_take_over_is_refused(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, server: ClickHouseServer
) -> None:
    late_insert(warehouses, ledger, account, server)
    account.held()


@pytest.mark.control("F2", "no claim in the tables: an insert arrives after a take over")
def test_control_without_a_claim_an_insert_that_arrives_late_doubles_rows(
    warehouses: Callable[..., WarehouseProcess],
    ledger: Ledger,
    account: Account,
    server: ClickHouseServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIANDONG_TEST_UNGUARDED", "fence")
    late_insert(warehouses, ledger, account, server, "tests.chaos.unguarded")
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
        answer = warehouse.get("/internal/waiting", realm="live")
    except (httpx.HTTPError, FileNotFoundError):
        return False
    return answer.status_code == 200 and not any(answer.json()["waiting"].values())
