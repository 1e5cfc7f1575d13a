"""The network between clients and brokers fails: what is acknowledged is there once, what is not acknowledged is not promised."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.cluster import Cluster, rig_on, three_brokers
from tests.chaos.conftest import MINE
from tests.chaos.results import Account
from tests.chaos.rig import CASE_GROUP, CHANGELOG, EVENTS, OUTCOMES, Rig
from tests.helpers import until

pytestmark = [pytest.mark.chaos, pytest.mark.broker]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with three_brokers(tmp_path_factory.mktemp("brokers")) as made:
        yield made


@pytest.fixture
def rig(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rig_on(cluster, tmp_path, request.node.stash.get(MINE, None)) as made:
        yield made


def under_load(rig: Rig, fault: Callable[[], None], seconds: float, bound: float) -> None:
    """Two case workers and analytics under load while `fault` is on; then all is healed, settles and is judged."""
    cluster = rig.broker
    assert isinstance(cluster, Cluster)
    rig.keep("case-live", tag="a")
    rig.keep("case-live", tag="b")
    rig.keep("analytics")
    rig.ready("case-live", "a")
    rig.ready("case-live", "b")
    load = rig.load(per_second=150)  # straight to the brokers: the fault is between them and the workers
    until(lambda: len(rig.ledger.acked) > 300, "load under way")
    fault()
    time.sleep(seconds)
    for proxy in cluster.proxies:
        proxy.heal()
    healed = time.monotonic()
    load.stop()
    rig.settled(bound=bound, since=healed)
    rig.judged()
    rig.account.held()


@pytest.mark.scenario("F6", "one of three brokers a black hole for its clients")
def test_a_black_holed_leader_holds_up_its_partitions_only_as_long_as_it_lasts(cluster: Cluster, rig: Rig, account: Account) -> None:
    leader = cluster.leader(CHANGELOG, 0)
    account.window(f"broker {leader.id} of 3, which leads changelog partition 0")
    assert leader.proxy is not None
    under_load(rig, leader.proxy.black_hole, 12, 30)


@pytest.mark.scenario("F6", "the group's coordinator a black hole for longer than the session")
def test_a_black_holed_coordinator_makes_no_second_owner_that_doubles(cluster: Cluster, rig: Rig, account: Account) -> None:
    coordinator = cluster.coordinator(CASE_GROUP)
    account.window(f"broker {coordinator.id} of 3")
    assert coordinator.proxy is not None
    under_load(rig, coordinator.proxy.black_hole, 9, 30)


@pytest.mark.scenario("F6", "acknowledgements of produced batches lost")
@pytest.mark.parametrize("topic", [CHANGELOG, EVENTS, OUTCOMES])
def test_lost_acknowledgements_write_nothing_twice(cluster: Cluster, rig: Rig, account: Account, topic: str) -> None:
    leader = cluster.leader(topic, 1)
    assert leader.proxy is not None
    account.window(f"answers of broker {leader.id} of 3")
    under_load(rig, leader.proxy.drop_replies, 5, 30)


@pytest.mark.scenario("F6", "acknowledgements of commits lost")
def test_lost_commit_acknowledgements_never_commit_too_much(cluster: Cluster, rig: Rig, account: Account) -> None:
    coordinator = cluster.coordinator(CASE_GROUP)
    assert coordinator.proxy is not None
    account.window(f"answers of broker {coordinator.id} of 3")
    under_load(rig, coordinator.proxy.drop_replies, 9, 30)


@pytest.mark.scenario("F6", "500 ms of jitter each way on every connection")
def test_half_a_second_of_jitter_slows_and_breaks_nothing(cluster: Cluster, rig: Rig) -> None:
    def jitter() -> None:
        for number, proxy in enumerate(cluster.proxies):
            proxy.delay(0.0, jitter=0.5, seed=number)

    under_load(rig, jitter, 8, 30)


@pytest.mark.scenario("F6", "half-open sockets: the client's end closed, the broker's open")
def test_half_open_sockets_are_left_behind(cluster: Cluster, rig: Rig) -> None:
    def half_closed() -> None:
        for _ in range(4):
            for proxy in cluster.proxies:
                proxy.half_close()
            time.sleep(1)

    under_load(rig, half_closed, 1, 30)


@pytest.mark.scenario("F6", "every connection reset once a second")
def test_resets_every_second_lose_nothing(cluster: Cluster, rig: Rig) -> None:
    def resets() -> None:
        for _ in range(8):
            for proxy in cluster.proxies:
                proxy.reset()
            time.sleep(1)

    under_load(rig, resets, 0, 30)
