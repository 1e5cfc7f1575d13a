"""Brokers die under load, one, two or all of three: producers wait and lose nothing, workers go on by themselves."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.engine.exits import Exit
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import MINE
from tests.chaos.results import Account
from tests.chaos.rig import CHANGELOG, COMMANDS, PARTITIONS, Rig
from tests.chaos.standing import Standing, acknowledged, rig_on
from tests.helpers import until

pytestmark = [pytest.mark.chaos, pytest.mark.broker]
OUTAGE = float(os.environ.get("CHAOS_OUTAGE_SECONDS", "12"))
"""How long all brokers are away; `CHAOS_OUTAGE_SECONDS=60` for the scenario in full."""


@pytest.fixture
def rig(standing: Standing, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Workers at work since the module's first test."""
    with standing.rig(request.node.stash[MINE]) as made:
        yield made


@pytest.fixture
def fresh(cluster: Cluster, standing: Standing, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """No worker yet."""
    standing.close()
    with rig_on(cluster, tmp_path, request.node.stash[MINE]) as made:
        yield made


@pytest.mark.scenario("F5", "the leader of a partition killed under load, three brokers")
def test_a_leader_killed_under_load_loses_nothing(
    cluster: Cluster, standing: Standing, rig: Rig, account: Account, rng: random.Random
) -> None:
    load = standing.load()
    victim = cluster.leader(COMMANDS, rng.randrange(PARTITIONS))
    account.window(f"broker {victim.id} of 3")
    victim.kill9()
    killed = time.monotonic()
    acknowledged(rig, 600)
    account.figure("600 more written after s", time.monotonic() - killed)
    load.stop()
    standing.settled(60, killed)  # without the victim: two of three are enough


@pytest.mark.scenario("F5", "two of three brokers away: below two copies nothing is acknowledged")
def test_with_one_of_three_brokers_left_producers_wait_and_lose_nothing(
    cluster: Cluster, standing: Standing, rig: Rig, account: Account, rng: random.Random
) -> None:
    load = standing.load()
    victims = rng.sample(cluster.nodes, 2)
    account.window(f"brokers {victims[0].id} and {victims[1].id} of 3")
    for node in victims:
        node.kill9()
    killed = time.monotonic()
    time.sleep(2)  # what was under way comes back
    before = len(rig.ledger.acked)
    time.sleep(4)
    assert len(rig.ledger.acked) == before, "a write with one copy was acknowledged"
    cluster.start()
    back = time.monotonic()
    account.figure("away s", back - killed)
    acknowledged(rig, 300)
    load.stop()
    standing.settled(30, back)


@pytest.mark.scenario("F5", "the active controller killed under load")
def test_a_controller_killed_under_load_loses_nothing(cluster: Cluster, standing: Standing, rig: Rig, account: Account) -> None:
    load = standing.load()
    victim = cluster.controller()
    account.window(f"broker {victim.id} of 3")
    victim.kill9()
    killed = time.monotonic()
    assert cluster.controller() is not victim
    account.figure("controller again after s", time.monotonic() - killed)
    acknowledged(rig, 300)
    victim.start()
    load.stop()
    standing.settled(60, killed)


@pytest.mark.scenario("F5", "every broker away for a while")
def test_workers_go_on_by_themselves_when_brokers_that_were_all_away_are_back(
    cluster: Cluster, standing: Standing, rig: Rig, account: Account
) -> None:
    load = standing.load()
    cluster.kill9()
    account.figure("away s", OUTAGE)
    time.sleep(OUTAGE)
    cluster.start()
    back = time.monotonic()
    acknowledged(rig, 300)
    load.stop()
    standing.settled(60, back)


@pytest.mark.scenario("F5", "every broker away for longer than the watchdog waits")
def test_the_watchdog_ends_a_worker_that_waits_too_long_for_its_brokers(cluster: Cluster, fresh: Rig, account: Account) -> None:
    fresh.keep("case-live", "impatient")
    fresh.ready("case-live")
    load = fresh.load(per_second=200)
    acknowledged(fresh, 300)
    cluster.kill9()
    killed = time.monotonic()
    until(lambda: fresh.exits[Exit.STANDSTILL], "the watchdog ends the worker", 30)
    account.figure("ended after s", time.monotonic() - killed)
    cluster.start()
    back = time.monotonic()
    acknowledged(fresh, 300)
    load.stop()
    fresh.settled(60, back)
    fresh.judged()
    account.held()


@pytest.mark.scenario("F5", "a broker killed and started again while a worker restores from it")
def test_a_broker_restarted_in_the_midst_of_a_restore_delays_it_only(cluster: Cluster, fresh: Rig, account: Account) -> None:
    fresh.start("case-live")
    fresh.send(cases=500, steps=4)
    fresh.drained()
    fresh.stop_workers()
    victim = cluster.leader(CHANGELOG, 0)
    proxy = victim.proxy
    assert proxy is not None
    proxy.throttle(40_000)
    before = proxy.bytes
    key = fresh.keep("case-live", tag="second")
    until(lambda: proxy.bytes > before + 40_000, "the restore is under way", 90)
    assert "restored" not in (fresh.home / f"{key}.log").read_text()
    account.window(f"broker {victim.id} of 3, its changelog partly read")
    victim.kill9()
    proxy.heal()
    victim.start()
    back = time.monotonic()
    fresh.send(cases=500, steps=3, from_step=4)
    fresh.settled(60, back)
    fresh.judged()
    account.held()
