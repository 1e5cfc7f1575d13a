"""F4: workers come and go under load: rolling restarts, scaling, a storm, rebalances in the midst of rebalances.

With static membership (the default) a worker that comes back within its session takes its own partitions again and nobody else stops;
without it each start and end is a rebalance of the whole group.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable

import pytest

from streams.engine.exits import Exit
from tests.chaos.results import Account
from tests.chaos.rig import PARTITIONS, Rig
from tests.helpers import until

pytestmark = [pytest.mark.chaos, pytest.mark.broker]
SESSION = 6.0  # s, of the rig's workers
members = pytest.mark.parametrize("members", ["static", "dynamic"])


def controls_of(members: str) -> tuple[str, ...]:
    return ("dynamic",) if members == "dynamic" else ()


def workers(rig: Rig, tags: str, *controls: str) -> list[str]:
    """Kept and ready, by their keys."""
    keys = [rig.keep("case-live", *controls, tag=tag) for tag in tags]
    for tag in tags:
        rig.ready("case-live", tag)
    return keys


def flowing(rig: Rig, more: int = 150) -> None:
    """Waits for so many more acknowledged commands."""
    wanted = len(rig.ledger.acked) + more
    until(lambda: len(rig.ledger.acked) >= wanted, "load under way")


def rebalances(rig: Rig, key: str) -> int:
    """How often a worker got partitions, over all its lives."""
    return (rig.home / f"{key}.log").read_text().count(" partitions in ")


def gap(rig: Rig, key: str, number: signal.Signals) -> float:
    """Seconds from a signal till the kept worker is back and ready."""
    before, since = rig.workers[key].pid, time.monotonic()
    rig.signal(key, number)
    rig.restarted(key, before)
    return time.monotonic() - since


@pytest.mark.scenario("F4", "rolling restart of two workers under load")
@members
def test_a_rolling_restart_loses_nothing(rig: Rig, account: Account, members: str) -> None:
    keys = workers(rig, "ab", *controls_of(members))
    load = rig.load(150)
    flowing(rig)
    seen = rebalances(rig, "case-liveb")
    term, kill = gap(rig, "case-livea", signal.SIGTERM), gap(rig, "case-livea", signal.SIGKILL)
    disturbed = rebalances(rig, "case-liveb") - seen
    account.figure("back after SIGTERM s", term)
    account.figure("back after kill -9 s", kill)
    account.figure("rebalances of the other", disturbed)
    for key in keys:
        gap(rig, key, signal.SIGTERM)
    flowing(rig)
    load.stop()
    rig.settled(30)
    rig.judged()
    account.held()
    assert set(rig.exits) <= {0, -signal.SIGKILL, Exit.LEASE_LOST}, rig.exits
    if members == "static" and max(term, kill) < SESSION:  # on a machine so busy that a restart takes longer the place is gone
        assert disturbed == 0


@pytest.mark.scenario("F4", "one worker, then three, then two, under load")
def test_scaling_out_and_in_loses_nothing(rig: Rig, account: Account) -> None:
    workers(rig, "a")
    load = rig.load(150)
    flowing(rig)
    since = time.monotonic()
    workers(rig, "bc")
    account.figure("out s", time.monotonic() - since)
    flowing(rig)
    assert rig.let_go("case-liveb") in (0, Exit.LEASE_LOST)
    flowing(rig)
    load.stop()
    account.figure("in s", rig.settled(30))
    rig.judged()
    account.held()


@pytest.mark.scenario("F4", "a rebalance storm")
@members
def test_a_rebalance_storm_loses_nothing(rig: Rig, account: Account, rng: random.Random, members: str) -> None:
    """Five blows at four workers, often two at once, so that rebalances and restores meet others."""
    keys = workers(rig, "abcd", *controls_of(members))
    load = rig.load(150)
    for _ in range(5):
        for key in rng.sample(keys, rng.choice((1, 2))):
            name = rng.choice(("term", "kill", "short stop", "long stop"))
            BLOWS[name](rig, key)
            account.window(name)
        time.sleep(rng.uniform(2.0, 3.5))  # the beat of the storm
    load.stop()
    account.figure("blows", 5)
    rig.settled(45)
    rig.judged()
    account.held()
    unexpected = {code: count for code, count in rig.exits.items() if code not in (0, -signal.SIGKILL, -signal.SIGTERM, Exit.LEASE_LOST)}
    assert not unexpected, unexpected


def pause(rig: Rig, key: str, seconds: float) -> None:
    """Freezes a worker for so long; it wakes by itself, whoever it is by then."""
    process = rig.workers[key]
    process.send_signal(signal.SIGSTOP)
    threading.Timer(seconds, process.send_signal, (signal.SIGCONT,)).start()


BLOWS: dict[str, Callable[[Rig, str], None]] = {
    "term": lambda rig, key: rig.signal(key, signal.SIGTERM),
    "kill": lambda rig, key: rig.signal(key, signal.SIGKILL),
    "short stop": lambda rig, key: pause(rig, key, 2.0),
    "long stop": lambda rig, key: pause(rig, key, SESSION + 1.5),
}


@pytest.mark.scenario("F4", "killed in the midst of a rebalance")
@pytest.mark.parametrize("point", ["revoking@2", "revoked@2", "restoring@2"])
def test_a_kill_in_the_midst_of_a_rebalance_loses_nothing(rig: Rig, account: Account, point: str) -> None:
    """The first hit is the worker's own start, the second comes when another joins."""
    key = rig.keep("case-live", "dynamic", failpoint=point, tag="a")
    rig.ready("case-live", "a")
    first = rig.workers[key].pid
    load = rig.load(150)
    flowing(rig)
    since = time.monotonic()
    rig.keep("case-live", tag="b")
    rig.restarted(key, first)
    account.window(point)
    assert rig.exits[-signal.SIGKILL] == 1
    rig.ready("case-live", "b")
    flowing(rig)
    load.stop()
    account.figure("back s", time.monotonic() - since)
    rig.settled(30)
    rig.judged()
    account.held()


@pytest.mark.scenario("F4", "rebalances while tables are restored")
def test_rebalances_in_the_midst_of_a_restore_lose_nothing_and_end_nobody(rig: Rig, account: Account) -> None:
    """Each restore takes seconds; workers join and leave meanwhile, so restores end while the group is being put together anew and
    partitions come back that had just gone."""
    workers(rig, "a", "slow_restore")
    load = rig.load(150)
    flowing(rig)
    rig.keep("case-live", "slow_restore", "dynamic", tag="b")
    until(lambda: rebalances(rig, "case-livea") >= 2, "a restores")
    rig.keep("case-live", "slow_restore", "dynamic", tag="c")
    rig.ready("case-live", "b")
    rig.signal("case-livec", signal.SIGTERM)
    flowing(rig)
    load.stop()
    rig.settled(45)
    rig.judged()
    account.held()
    assert set(rig.exits) <= {0, -signal.SIGTERM, Exit.LEASE_LOST}, rig.exits


@pytest.mark.scenario("F4", "a restore that ends while the group is being put together")
def test_a_restore_that_ends_in_the_midst_of_a_rebalance_gives_nothing_to_the_agents(rig: Rig, account: Account) -> None:
    """The group waits for a frozen member; a worker whose own restore ends meanwhile must not begin to work."""
    workers(rig, "a", "slow_restore")
    load = rig.load(150)
    flowing(rig)
    rig.keep("case-live", "slow_restore", "dynamic", tag="b")
    until(lambda: assignments(rig, "case-livea") >= 2, "a restores")
    pause(rig, "case-liveb", SESSION + 1.5)
    rig.keep("case-live", "slow_restore", "dynamic", tag="c")
    until(lambda: assignments(rig, "case-livea") >= 3, "the group goes on without the frozen one", 40)
    rig.ready("case-live", "c")
    flowing(rig)
    load.stop()
    rig.settled(45)
    rig.judged()
    account.held()
    log = (rig.home / "case-livea.log").read_text()
    account.window(f"{log.count('Restore complete')} restores of {assignments(rig, 'case-livea')} assignments")
    assert set(rig.exits) <= {0, Exit.LEASE_LOST}, rig.exits


def assignments(rig: Rig, key: str) -> int:
    """How often a worker was told its partitions."""
    return (rig.home / f"{key}.log").read_text().count("Executing _on_partitions_assigned")


@pytest.mark.scenario("F4", "two processes of one name, by mistake")
def test_of_two_namesakes_one_ends_and_nothing_is_lost(rig: Rig, account: Account) -> None:
    """As when a data directory was copied: the broker gives the place to whoever came last; the other sees it and says so."""
    rig.start("case-live", "namesake", tag="a")
    rig.ready("case-live", "a")
    load = rig.load(150)
    flowing(rig)
    rig.start("case-live", "namesake", tag="b")
    since = time.monotonic()
    codes = until(lambda: [w.poll() for w in rig.workers.values() if w.poll() is not None], "one of them ends", 20)
    account.figure("seen s", time.monotonic() - since)
    assert set(codes) <= {Exit.REPLACED, Exit.FOREIGN_WRITE}, codes
    for tag in "ab":
        if rig.workers[f"case-live{tag}"].poll() is not None:
            rig.start("case-live", tag=tag)
    flowing(rig)
    load.stop()
    rig.settled(30)
    rig.judged()
    account.held()


@pytest.mark.control("F4", "two agent bodies over one partition, a slow event")
def test_with_two_agent_bodies_a_slow_event_is_overtaken_and_lost(rig: Rig, account: Account) -> None:
    rig.start("case-live", "two_bodies")
    rig.ready("case-live")
    load = rig.load(150)
    flowing(rig, 400)
    load.stop()
    rig.drained()
    rig.judged()
    account.red("I1")


@pytest.mark.scenario("F4", "more workers than partitions")
def test_a_spare_worker_without_partitions_is_ready(rig: Rig, account: Account) -> None:
    """It waits for somebody's end; neither the supervisor nor the watchdog may take it for one that hangs."""
    tags = "abcde"[: PARTITIONS + 1]
    for tag in tags:
        rig.start("case-live", "dynamic", tag=tag)
    for tag in tags:
        rig.ready("case-live", tag, 60)
    rig.send(cases=50, steps=2)
    rig.settled(30)
    rig.judged()
    account.held()
