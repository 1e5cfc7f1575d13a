"""Thousands of deadlines fall due while workers die, freeze and change places, and while desks act on them: each is told once, never early.

The clock is that of a call for rescue (policy sla_emergency): accepted within two minutes, warned after 90 s, due 30 s later. Commands say
that they were received up to 90 s ago, so that it falls due within the test.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Sequence

import msgspec
import psutil
import pytest

from schemas.avro.incident_command.event import IncidentCommand
from tests.chaos.oracle import Oracle
from tests.chaos.results import Account
from tests.chaos.rig import Rig, command
from tests.helpers import until

pytestmark = [pytest.mark.chaos, pytest.mark.broker]
WARNED_MS = 90_000  # after the call was received
CASES = 2_000
RACES = 200


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def call(case: int, warned_at: int) -> IncidentCommand:
    return msgspec.structs.replace(command(case, 0), incident_type="L01", received_at=warned_at - WARNED_MS)


def accepted(case: int) -> IncidentCommand:
    return msgspec.structs.replace(command(case, 1), incident_type="L01")


async def _post(rig: Rig, made: Sequence[IncidentCommand]) -> None:
    async with rig.producer() as producer:
        for start in range(0, len(made), 200):
            await rig.post(producer, list(made[start : start + 200]))


async def _race(rig: Rig, warned: dict[int, int], chance: random.Random) -> None:
    """Accepts each case within 50 ms of its warning."""
    async with rig.producer() as producer:

        async def one(case: int, at: int) -> None:
            await asyncio.sleep(max(0.0, (at + chance.randrange(-50, 50) - now_ms()) / 1000))
            await rig.post(producer, [accepted(case)])

        await asyncio.gather(*(one(case, at) for case, at in warned.items()))


def called(rig: Rig, chance: random.Random, after_ms: int, within_ms: int) -> dict[int, int]:
    """Calls whose warnings fall due from `after_ms` from now on, within so many; when, by case."""
    began = now_ms() + after_ms
    warned = {case: began + chance.randrange(within_ms) for case in range(CASES)}
    asyncio.run(_post(rig, [call(case, at) for case, at in warned.items()]))
    return warned


def ended(rig: Rig, account: Account, warned: dict[int, int], until_ms: int, raced: Sequence[int] = ()) -> Oracle:
    """Waits till everything due by then is told; then every call is accepted, so that nothing more falls due, and all is drained."""
    oracle = Oracle(rig)
    until(lambda: now_ms() > until_ms and oracle.open_timers(until_ms) == 0, "every deadline settled", 180, every=0.5)
    asyncio.run(_post(rig, [accepted(case) for case in warned if case not in set(raced)]))
    rig.settled()
    rig.judged(oracle)
    late = sorted(oracle.lateness)
    account.figure("timers told", len(late))
    account.figure("late p50 ms", late[len(late) // 2])
    account.figure("late p99 ms", late[len(late) * 99 // 100])
    return oracle


@pytest.mark.scenario("F10", "2,000 deadlines within 4 s, workers killed and frozen, desks act within 50 ms of the moment")
@pytest.mark.parametrize(
    ("point", "fault"), [("before_wake", "kill"), ("after_wake", "kill"), ("after_decide", "kill"), ("before_wake", "stop")]
)
def test_deadlines_are_told_once_and_never_early_whoever_dies(
    rig: Rig, account: Account, rng: random.Random, point: str, fault: str
) -> None:
    struck_while_due(rig, account, rng, f"{point}@{rng.randrange(3, 12)}" + (":stop" if fault == "stop" else ""))
    account.held()
    assert account.entry.figures["timers told"] > 2 * CASES * 0.9, "warnings and deadlines"


@pytest.mark.control("F10", "timer without epoch: a wake-up is taken at its word, the worker killed after it was sent")
def test_when_a_wake_up_is_taken_at_its_word_deadlines_are_told_twice(rig: Rig, account: Account, rng: random.Random) -> None:
    struck_while_due(rig, account, rng, "after_wake@3", "timers_without_epoch")
    account.red("I5")


def struck_while_due(rig: Rig, account: Account, rng: random.Random, failpoint: str, *controls: str) -> None:
    first = rig.keep("case-live", *controls, failpoint=failpoint, tag="a")
    rig.keep("case-live", *controls, tag="b")
    rig.ready("case-live", "a")
    rig.ready("case-live", "b")
    pid = rig.workers[first].pid
    warned = called(rig, rng, 8_000, 4_000)
    raced = {case: warned[case] for case in rng.sample(sorted(warned), RACES)}
    asyncio.run(_race(rig, raced, rng))
    if failpoint.endswith(":stop"):
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "the worker froze", 30)
        time.sleep(8)  # beyond its session: another one has its partitions
        rig.signal(first, signal.SIGCONT)
    rig.restarted(first, pid)
    account.window(failpoint.partition("@")[0].replace("_", " ") + (", frozen" if failpoint.endswith("stop") else ", killed"))
    ended(rig, account, warned, max(warned.values()) + 30_000, list(raced))


@pytest.mark.scenario("F10", "no worker while 2,000 deadlines pass; they are caught up in their order")
def test_after_a_downtime_every_deadline_is_told_with_its_own_time(rig: Rig, account: Account, rng: random.Random) -> None:
    rig.start("case-live")
    rig.ready("case-live")
    warned = called(rig, rng, 4_000, 4_000)
    rig.drained()
    rig.stop_workers()
    until(lambda: now_ms() > max(warned.values()) + 5_000, "all warnings passed with nobody there", 60)
    rig.keep("case-live", tag="second")
    account.window("down for 10 s")
    oracle = ended(rig, account, warned, max(warned.values()) + 30_000)
    account.held()
    assert max(oracle.lateness) > 4_000, "they were late"
