"""Brokers die under load, one, two or all of three: producers wait and lose nothing, workers go on by themselves."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.engine.exits import Exit
from tests.chaos.cluster import Cluster, rig_on, three_brokers
from tests.chaos.conftest import MINE
from tests.chaos.results import Account
from tests.chaos.rig import CHANGELOG, COMMANDS, PARTITIONS, Rig
from tests.helpers import until

pytestmark = [pytest.mark.chaos, pytest.mark.broker]
OUTAGE = float(os.environ.get("CHAOS_OUTAGE_SECONDS", "20"))
"""How long all brokers are away; `CHAOS_OUTAGE_SECONDS=60` for the scenario in full."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with three_brokers(tmp_path_factory.mktemp("brokers")) as made:
        yield made


@pytest.fixture
def rig(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rig_on(cluster, tmp_path, request.node.stash.get(MINE, None)) as made:
        yield made


def acknowledged(rig: Rig, more: int, seconds: float = 40.0) -> float:
    """Waits for `more` acknowledgements; answers how many seconds they took."""
    began, before = time.monotonic(), len(rig.ledger.acked)
    until(lambda: len(rig.ledger.acked) >= before + more, f"{more} more commands acknowledged", seconds)
    return time.monotonic() - began


@pytest.mark.scenario("F5", "the leader of a partition killed under load, three brokers")
def test_a_leader_killed_under_load_loses_nothing(cluster: Cluster, rig: Rig, account: Account, rng: random.Random) -> None:
    rig.keep("case-live", tag="a")
    rig.keep("case-live", tag="b")
    rig.keep("analytics")
    rig.ready("case-live", "a")
    load = rig.load(per_second=200)
    acknowledged(rig, 300)
    victim = cluster.leader(COMMANDS, rng.randrange(PARTITIONS))
    victim.kill9()
    killed = time.monotonic()
    cluster.leader(COMMANDS, 0)
    account.window(f"broker {victim.id} of 3")
    acknowledged(rig, 300)
    account.figure("written again after s", time.monotonic() - killed)
    load.stop()
    rig.settled(bound=40, since=killed)  # without the victim: two of three are enough
    rig.judged()
    account.held()


@pytest.mark.scenario("F5", "two of three brokers away: below two copies nothing is acknowledged")
def test_with_one_of_three_brokers_left_producers_wait_and_lose_nothing(
    cluster: Cluster, rig: Rig, account: Account, rng: random.Random
) -> None:
    rig.keep("case-live")
    rig.ready("case-live")
    load = rig.load(per_second=200)
    acknowledged(rig, 300)
    victims = rng.sample(cluster.nodes, 2)
    for node in victims:
        node.kill9()
    killed = time.monotonic()
    account.window(f"brokers {victims[0].id} and {victims[1].id} of 3")
    time.sleep(2)  # what was under way comes back
    before = len(rig.ledger.acked)
    time.sleep(6)
    assert len(rig.ledger.acked) == before, "a write with one copy was acknowledged"
    cluster.start()
    back = time.monotonic()
    acknowledged(rig, 300)
    load.stop()
    account.figure("away s", back - killed)
    rig.settled(bound=30, since=back)
    rig.judged()
    account.held()


@pytest.mark.scenario("F5", "every broker away: workers wait")
def test_workers_wait_for_brokers_that_are_all_away_and_go_on_by_themselves(cluster: Cluster, rig: Rig, account: Account) -> None:
    away(cluster, rig, account)
    rig.judged()
    account.held()


@pytest.mark.scenario("F5", "every broker away for longer than the watchdog waits")
def test_the_watchdog_ends_a_worker_that_waits_too_long_for_its_brokers(cluster: Cluster, rig: Rig, account: Account) -> None:
    away(cluster, rig, account, "impatient")
    assert rig.exits[Exit.STANDSTILL], rig.exits
    rig.judged()
    account.held()


def away(cluster: Cluster, rig: Rig, account: Account, *controls: str) -> None:
    """All brokers killed under load, back after a while."""
    rig.keep("case-live", *controls)
    rig.keep("analytics", *controls)
    rig.ready("case-live")
    load = rig.load(per_second=200)
    acknowledged(rig, 300)
    cluster.kill9()
    account.figure("away s", OUTAGE)
    time.sleep(OUTAGE)
    cluster.start()
    back = time.monotonic()
    acknowledged(rig, 300)
    load.stop()
    rig.settled(bound=60, since=back)


@pytest.mark.scenario("F5", "the active controller killed under load")
def test_a_controller_killed_under_load_loses_nothing(cluster: Cluster, rig: Rig, account: Account) -> None:
    rig.keep("case-live")
    rig.ready("case-live")
    load = rig.load(per_second=200)
    acknowledged(rig, 300)
    victim = cluster.controller()
    victim.kill9()
    killed = time.monotonic()
    assert cluster.controller() is not victim
    account.figure("controller again after s", time.monotonic() - killed)
    acknowledged(rig, 300)
    victim.start()
    load.stop()
    rig.settled(bound=40, since=killed)
    rig.judged()
    account.held()


@pytest.mark.scenario("F5", "a broker killed and started again while a worker restores from it")
def test_a_broker_restarted_in_the_midst_of_a_restore_delays_it_only(cluster: Cluster, rig: Rig, account: Account) -> None:
    rig.start("case-live")
    rig.send(cases=500, steps=4)
    rig.drained()
    rig.stop_workers()
    victim = cluster.leader(CHANGELOG, 0)
    assert victim.proxy is not None
    victim.proxy.throttle(50_000)
    before = victim.proxy.bytes
    key = rig.keep("case-live", tag="second")
    until(lambda: victim.proxy.bytes > before + 100_000, "the restore is under way", 40)  # type: ignore[union-attr]
    victim.kill9()
    account.window(f"broker {victim.id} of 3, its changelog partly read")
    victim.proxy.heal()
    victim.start()
    back = time.monotonic()
    rig.send(cases=500, steps=3, from_step=4)
    rig.settled(bound=60, since=back)
    assert "restored" in (rig.home / f"{key}.log").read_text()
    rig.judged()
    account.held()
