"""A worker is killed, frozen, or loses its broker at every step of the order of commitment: nothing is lost, nothing twice.

Each guard has its negative control: the same fault with the guard off must make the oracle go red.
"""

from __future__ import annotations

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from streams.engine.exits import Exit
from tests.chaos.results import Account
from tests.chaos.rig import ANALYTICS_GROUP, COMMANDS, EVENTS, Rig, judge
from tests.helpers import until

pytestmark = [pytest.mark.chaos, pytest.mark.broker]
STEPS = ["after_decide", "after_changelog", "after_outputs", "before_commit"]


def killed_at(rig: Rig, point: str, *controls: str) -> None:
    """Load, death at the failpoint in the midst of it, a second worker that finishes."""
    rig.start("case-live", *controls, failpoint=f"{point}@{2 if point == 'before_commit' else 6}")  # commits are few, chunks many
    rig.ready("case-live")
    rig.send(cases=300, steps=3, pause=0.02)
    assert rig.ended("case-live") == -signal.SIGKILL, "the failpoint was not hit"
    rig.account.window(f"killed {point.replace('_', ' ')}")
    rig.start("case-live", *controls, tag="second")
    rig.send(cases=300, steps=1, first=300)
    rig.drained()


@pytest.mark.scenario("F1", "kill -9 of a stateful worker")
@pytest.mark.parametrize("point", STEPS)
def test_kill_at_each_step_loses_nothing_and_doubles_nothing(rig: Rig, account: Account, point: str) -> None:
    killed_at(rig, point)
    assert judge(rig).acknowledged == 1200
    account.held()


@pytest.mark.scenario("F1", "the whole chain under load: case workers, analytics and sink killed at 10, 50 and 90 %")
def test_kills_along_the_whole_chain_leave_every_table_exact(rig: Rig, account: Account, rng: random.Random) -> None:
    keys = [rig.keep("case-live", tag="a"), rig.keep("case-live", tag="b"), rig.keep("analytics")]
    warehouse = rig.keep_warehouse()
    load = rig.load(per_second=300)
    for share in (10, 50, 90):
        enough = len(rig.ledger.acked) + 1200
        until(lambda enough=enough: len(rig.ledger.acked) > enough, "load under way", 60)  # type: ignore[misc]
        victims = rng.sample(keys, 2)
        pids = {key: rig.workers[key].pid for key in victims}
        for key in victims:
            rig.workers[key].kill()
        if share == 50 or rng.random() < 0.5:
            warehouse.kill()
            victims.append("warehouse")
        account.window(f"{share} %: {', '.join(victims)}")
        for key, pid in pids.items():
            rig.restarted(key, pid)
    load.stop()
    rig.settled(bound=60)
    assert rig.judged().acknowledged > 3000
    account.held()


@pytest.mark.control("F1", "no outbox: state stored, outputs forgotten by a kill after the changelog")
def test_without_the_outbox_a_kill_after_the_changelog_loses_events(rig: Rig, account: Account) -> None:
    killed_at(rig, "after_changelog", "without_outbox")
    assert judge(rig).missing_events
    account.red("I1")


@pytest.mark.control("F1", "ack before the flush")
def test_acking_before_the_flush_loses_commands(rig: Rig, account: Account) -> None:
    killed_at(rig, "after_decide", "ack_first")
    assert judge(rig).missing_events
    account.red("I1", "I8")


@pytest.mark.scenario("F3", "SIGSTOP beyond the session, then SIGCONT")
@pytest.mark.parametrize("point", STEPS)
def test_a_worker_frozen_at_each_step_that_wakes_after_its_session_writes_nothing(rig: Rig, account: Account, point: str) -> None:
    frozen_and_woken(rig, point)
    assert rig.ended("case-livea", 20) == Exit.LEASE_LOST
    rig.settled()
    judge(rig)
    account.held()


def frozen_and_woken(rig: Rig, point: str, *controls: str) -> None:
    """Worker a freezes with work in hand, worker b takes over, a wakes."""
    rig.start("case-live", *controls, tag="a", failpoint=f"{point}@{2 if point == 'before_commit' else 10}:stop")
    rig.ready("case-live", "a")
    rig.send(cases=300, steps=3, pause=0.02)
    rig.start("case-live", tag="b")
    rig.drained()  # b owns everything now and has finished it
    rig.account.window(f"frozen {point.replace('_', ' ')}")
    rig.signal("case-livea", signal.SIGCONT)


def zombie_wrote(rig: Rig) -> None:
    """Without a lease the woken worker writes behind the new owner, and one of them notices."""
    frozen_and_woken(rig, "after_decide", "no_lease")
    code = until(lambda: rig.workers["case-livea"].poll() or rig.workers["case-liveb"].poll(), "one worker notices a foreign write", 30)
    assert code == Exit.FOREIGN_WRITE
    rig.account.window("a foreign write was noticed")
    rig.stop_workers()


@pytest.mark.scenario("F3", "a zombie that did write (no lease): highest version wins, marks drop its outputs")
def test_without_a_lease_a_zombie_writes_and_the_highest_version_still_wins(rig: Rig, account: Account) -> None:
    zombie_wrote(rig)
    rig.start("case-live", tag="c")
    rig.send(cases=300, steps=2, from_step=3)
    rig.settled()
    judge(rig)
    account.held()


@pytest.mark.control("F3", "restore keeps the newest record instead of the highest version, after a zombie's write")
def test_when_the_newest_record_wins_instead_a_restore_takes_the_zombies_state(rig: Rig, account: Account) -> None:
    zombie_wrote(rig)
    rig.start("case-live", "last_wins", tag="c")
    rig.send(cases=300, steps=2, from_step=3)
    rig.drained()
    assert judge(rig).missing_events
    account.red("I1")


@pytest.mark.scenario("F1", "analytics killed before its marks are stored, its input repeated")
def test_analytics_killed_before_its_marks_are_stored_counts_nothing_twice(rig: Rig, account: Account) -> None:
    analytics_killed(rig)
    assert judge(rig, deltas=True).repeats
    account.held()


def analytics_killed(rig: Rig, *controls: str) -> None:
    """The case lane repeats events after its own death, and the analytics lane dies as well."""
    rig.start("analytics", *controls, failpoint="after_outputs@5")
    rig.ready("analytics")
    killed_at(rig, "after_outputs")
    assert rig.ended("analytics") == -signal.SIGKILL
    rig.start("analytics", *controls, tag="second")
    rig.drained(ANALYTICS_GROUP, EVENTS)


@pytest.mark.control("F1", "src marks off in the analytics lane")
def test_without_marks_repeated_events_are_counted_twice(rig: Rig, account: Account) -> None:
    analytics_killed(rig, "no_marks")
    assert judge(rig, deltas=True).unexpected_deltas
    account.red("I1")


@pytest.mark.scenario("F5", "two workers under load, the only broker killed twice")
def test_two_workers_under_load_go_on_after_broker_kills(rig: Rig, account: Account) -> None:
    """The open fault F2 of research/engine-experiment.md: workers stood still after the broker came back."""
    rig.start("case-live", tag="a")
    rig.start("case-live", tag="b")
    rig.ready("case-live", "a")
    rig.ready("case-live", "b")
    with ThreadPoolExecutor(1) as pool:
        for turn in range(2):
            load = pool.submit(rig.send, cases=1000, steps=2, first=1000 * turn, pause=0.05)
            until(lambda turn=turn: len(rig.ledger.acked) > 2000 * turn + 500, "load under way")  # type: ignore[misc]
            rig.broker.kill9()
            rig.broker.restart()
            came_back = time.monotonic()
            load.result(120)
            rig.settled(bound=30, since=came_back)
            account.window(f"kill {turn + 1} with load under way")
    judge(rig)
    account.held()


@pytest.mark.scenario("F5", "a worker started while no broker answers")
def test_a_worker_that_starts_before_its_broker_waits_for_it(rig: Rig, account: Account) -> None:
    rig.send(cases=100, steps=2)
    rig.broker.kill9()
    rig.keep("case-live")
    until(lambda: b"no broker answers" in (rig.home / "case-live.log").read_bytes(), "the worker says that it waits")
    rig.broker.restart()
    account.window("broker away at the start")
    rig.settled(bound=40)
    judge(rig)
    assert not rig.exits, "it waited; it did not end to be started again"
    account.held()


@pytest.mark.scenario("F5", "a worker told to stop while its broker is gone, with chunks in flight")
def test_a_worker_told_to_stop_without_a_broker_ends_in_its_time_and_loses_nothing(rig: Rig, account: Account) -> None:
    """Its drain waits for acknowledgements that nobody can give: as after a crash that took broker and supervisor with it."""
    rig.start("case-live", "impatient")
    rig.ready("case-live")
    load = rig.load(per_second=300)
    until(lambda: len(rig.ledger.acked) > 300, "load under way")
    rig.broker.kill9()
    until(lambda: b"Unable connect" in (rig.home / "case-live.log").read_bytes(), "the worker misses it")
    rig.signal("case-live", signal.SIGTERM)
    assert rig.ended("case-live", seconds=15) in (0, Exit.DRAIN_TIMED_OUT)
    account.window("told to stop, no broker")
    rig.broker.restart()
    rig.start("case-live", tag="second")
    load.stop()
    rig.drained()
    judge(rig)
    account.held()


def test_a_run_without_faults_is_clean_and_its_numbers_are_the_ledgers(rig: Rig) -> None:
    rig.start("case-live")
    rig.send(cases=100, steps=2)
    rig.ready("case-live")
    rig.drained()
    verdict = judge(rig)
    assert verdict.broken == {}
    assert verdict.acknowledged == len(rig.read(COMMANDS)) == len(rig.read(EVENTS)) == 200
