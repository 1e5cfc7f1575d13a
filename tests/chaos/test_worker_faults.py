"""A worker is killed, frozen, or loses its broker at every step of the order of commitment: nothing is lost, nothing twice.

Each guard has its negative control: the same fault with the guard off must make the oracle go red.
"""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from streams.engine.exits import Exit
from tests.chaos.rig import COMMANDS, EVENTS, Rig, judge
from tests.helpers import until

pytestmark = [pytest.mark.chaos, pytest.mark.broker]


def killed_at(rig: Rig, point: str, *controls: str) -> None:
    """Load, death at the failpoint in the midst of it, a second worker that finishes."""
    rig.start("case-live", *controls, failpoint=f"{point}@{2 if point == 'before_commit' else 6}")  # commits are few, chunks many
    rig.ready("case-live")
    rig.send(cases=300, steps=3, pause=0.02)
    assert rig.ended("case-live") == -signal.SIGKILL, "the failpoint was not hit"
    rig.start("case-live", *controls, tag="second")
    rig.send(cases=300, steps=1, first=300)
    rig.drained()


@pytest.mark.parametrize("point", ["after_decide", "after_changelog", "after_outputs", "before_commit"])
def test_kill_at_each_step_loses_nothing_and_doubles_nothing(rig: Rig, point: str) -> None:
    killed_at(rig, point)
    verdict = judge(rig)
    assert verdict.broken == {}
    assert verdict.acknowledged == 1200


def test_without_the_outbox_a_kill_after_the_changelog_loses_events(rig: Rig) -> None:
    killed_at(rig, "after_changelog", "without_outbox")
    broken = judge(rig).broken
    assert broken.get("missing_events"), broken


def test_acking_before_the_flush_loses_commands(rig: Rig) -> None:
    killed_at(rig, "after_decide", "ack_first")
    broken = judge(rig).broken
    assert broken.get("missing_events"), broken


@pytest.mark.parametrize("point", ["after_decide", "after_changelog", "after_outputs", "before_commit"])
def test_a_worker_frozen_at_each_step_that_wakes_after_its_session_writes_nothing(rig: Rig, point: str) -> None:
    frozen_and_woken(rig, point)
    assert rig.ended("case-livea", 20) == Exit.LEASE_LOST
    rig.drained()
    assert judge(rig).broken == {}


def frozen_and_woken(rig: Rig, point: str, *controls: str) -> None:
    """Worker a freezes with work in hand, worker b takes over, a wakes."""
    rig.start("case-live", *controls, tag="a", failpoint=f"{point}@{2 if point == 'before_commit' else 10}:stop")
    rig.ready("case-live", "a")
    rig.send(cases=300, steps=3, pause=0.02)
    rig.start("case-live", tag="b")
    rig.drained()  # b owns everything now and has finished it
    rig.signal("case-livea", signal.SIGCONT)


def zombie_wrote(rig: Rig) -> None:
    """Without a lease the woken worker writes behind the new owner, and one of them notices."""
    frozen_and_woken(rig, "after_decide", "no_lease")
    code = until(lambda: rig.workers["case-livea"].poll() or rig.workers["case-liveb"].poll(), "one worker notices a foreign write", 30)
    assert code == Exit.FOREIGN_WRITE
    rig.stop()


def test_without_a_lease_a_zombie_writes_and_the_highest_version_still_wins(rig: Rig) -> None:
    zombie_wrote(rig)
    rig.start("case-live", tag="c")
    rig.send(cases=300, steps=2, from_step=3)
    rig.drained()
    assert judge(rig).broken == {}, "the second line of defence (highest version wins, marks) must hold"


def test_when_the_newest_record_wins_instead_a_restore_takes_the_zombies_state(rig: Rig) -> None:
    zombie_wrote(rig)
    rig.start("case-live", "last_wins", tag="c")
    rig.send(cases=300, steps=2, from_step=3)
    rig.drained()
    broken = judge(rig).broken
    assert broken.get("missing_events"), broken


def test_analytics_killed_before_its_marks_are_stored_counts_nothing_twice(rig: Rig) -> None:
    analytics_killed(rig)
    assert judge(rig, deltas=True).broken == {}


def analytics_killed(rig: Rig, *controls: str) -> None:
    """The case lane repeats events after its own death, and the analytics lane dies as well."""
    rig.start("analytics", *controls, failpoint="after_outputs@5")
    rig.ready("analytics")
    killed_at(rig, "after_outputs")
    assert rig.ended("analytics") == -signal.SIGKILL
    rig.start("analytics", *controls, tag="second")
    rig.drained("liandong.analytics", EVENTS)


def test_without_marks_repeated_events_are_counted_twice(rig: Rig) -> None:
    analytics_killed(rig, "no_marks")
    broken = judge(rig, deltas=True).broken
    assert broken.get("unexpected_deltas"), broken


def test_two_workers_under_load_go_on_after_broker_kills(rig: Rig) -> None:
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
            rig.drained(seconds=30)
            print(f"broker kill {turn + 1}: drained {time.monotonic() - came_back:.1f} s after the broker was back")
    assert judge(rig).broken == {}


def test_the_group_reads_every_partition(rig: Rig) -> None:
    """The rig itself: a fault-free run is clean, and its numbers are those of the ledger."""
    rig.start("case-live")
    rig.send(cases=100, steps=2)
    rig.ready("case-live")
    rig.drained()
    verdict = judge(rig)
    assert verdict.broken == {}
    assert verdict.acknowledged == len(rig.read(COMMANDS)) == len(rig.read(EVENTS)) == 200
