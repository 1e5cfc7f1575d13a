"""The network between clients and brokers fails: what is acknowledged is there once, what is not acknowledged is not promised."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.conftest import MINE
from tests.chaos.results import Account
from tests.chaos.rig import CASE_GROUP, CHANGELOG, Rig
from tests.chaos.standing import Standing, acknowledged

pytestmark = [pytest.mark.chaos, pytest.mark.broker]


@pytest.fixture
def rig(standing: Standing, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with standing.rig(request.node.stash[MINE]) as made:
        yield made


def under_load(cluster: Cluster, standing: Standing, fault: Callable[[], None], seconds: float, bound: float = 30) -> None:
    """`fault` is on for so long between the workers and the brokers; then all is healed, settles and is judged."""
    load = standing.load()
    fault()
    time.sleep(seconds)
    for proxy in cluster.proxies:
        proxy.heal()
    healed = time.monotonic()
    load.stop()
    standing.settled(bound, healed)


@pytest.mark.scenario("F6", "one of three brokers a black hole for its clients")
def test_a_black_holed_leader_holds_up_its_partitions_only_as_long_as_it_lasts(
    cluster: Cluster, standing: Standing, rig: Rig, account: Account
) -> None:
    leader = cluster.leader(CHANGELOG, 0)
    account.window(f"broker {leader.id} of 3, which leads changelog partition 0")
    assert leader.proxy is not None
    under_load(cluster, standing, leader.proxy.black_hole, 10)


@pytest.mark.scenario("F6", "the group's coordinator a black hole for longer than the session")
def test_a_black_holed_coordinator_makes_no_second_owner_that_doubles(
    cluster: Cluster, standing: Standing, rig: Rig, account: Account
) -> None:
    coordinator = cluster.coordinator(CASE_GROUP)
    account.window(f"broker {coordinator.id} of 3")
    assert coordinator.proxy is not None
    under_load(cluster, standing, coordinator.proxy.black_hole, 9)


@pytest.mark.scenario("F6", "acknowledgements of produced batches lost, of one broker after the other")
def test_lost_acknowledgements_write_nothing_twice(cluster: Cluster, standing: Standing, rig: Rig) -> None:
    def lost() -> None:
        for proxy in cluster.proxies:
            proxy.drop_replies()
            time.sleep(3)
            proxy.heal()
            acknowledged(rig, 100)

    under_load(cluster, standing, lost, 0)


@pytest.mark.scenario("F6", "acknowledgements of commits lost")
def test_lost_commit_acknowledgements_never_commit_too_much(cluster: Cluster, standing: Standing, rig: Rig, account: Account) -> None:
    coordinator = cluster.coordinator(CASE_GROUP)
    assert coordinator.proxy is not None
    account.window(f"answers of broker {coordinator.id} of 3")
    under_load(cluster, standing, coordinator.proxy.drop_replies, 9)


@pytest.mark.scenario("F6", "500 ms of jitter each way on every connection")
def test_half_a_second_of_jitter_slows_and_breaks_nothing(cluster: Cluster, standing: Standing, rig: Rig) -> None:
    def jitter() -> None:
        for number, proxy in enumerate(cluster.proxies):
            proxy.delay(0.0, jitter=0.5, seed=number)

    under_load(cluster, standing, jitter, 6)


@pytest.mark.scenario("F6", "half-open sockets: the client's end closed, the broker's open")
def test_half_open_sockets_are_left_behind(cluster: Cluster, standing: Standing, rig: Rig) -> None:
    def half_closed() -> None:
        for _ in range(4):
            for proxy in cluster.proxies:
                proxy.half_close()
            time.sleep(1)

    under_load(cluster, standing, half_closed, 1)


@pytest.mark.scenario("F6", "every connection reset once a second")
def test_resets_every_second_lose_nothing(cluster: Cluster, standing: Standing, rig: Rig) -> None:
    def resets() -> None:
        for _ in range(6):
            for proxy in cluster.proxies:
                proxy.reset()
            time.sleep(1)

    under_load(cluster, standing, resets, 0)
