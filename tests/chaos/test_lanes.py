"""Lanes stand apart: an alarm is paged while incidents flood the platform and while their workers die; and whoever dies, once."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tests.chaos.alarms import COMMANDS, GROUP, Judge, Presses
from tests.chaos.flood import Flood
from tests.chaos.results import Account
from tests.chaos.rig import CASE_GROUP, Rig
from tests.chaos.rig import COMMANDS as INCIDENTS
from tests.helpers import until

pytestmark = [pytest.mark.chaos, pytest.mark.broker]

RATE = 20.0  # presses/s
TIMES = 10  # the flood against what the case lane can do
GOAL_MS = 1000.0  # p99 from press to page, also in a flood, on two cores that send the flood as well
RESTART_SECONDS = 10.0  # within which a press is paged that comes while the worker is dead; on a busy machine twice what a start takes
FACTOR = 20.0  # on a machine that is busy with other things: at most so many times the quiet p99


def lag(rig: Rig) -> int:
    return asyncio.run(rig._lag(CASE_GROUP, INCIDENTS))


def capacity(rig: Rig) -> float:
    """Incidents/s the case lane decides when nothing else is to be done."""
    with Flood(rig.broker.bootstrap, INCIDENTS, 30_000) as burst:
        until(lambda: lag(rig) > 5_000, "a backlog to measure by", 30)
    began, waiting = time.monotonic(), lag(rig)
    until(lambda: lag(rig) <= waiting - min(20_000, waiting * 4 // 5), "a good part of the backlog decided", 240)
    found = (waiting - lag(rig)) / (time.monotonic() - began)
    print(f"case lane: {found:.0f} incidents/s from a backlog of {waiting} ({burst.result})")
    return found


@pytest.mark.scenario("lanes", "presses while incidents flood at ten times their lane's rate, and while its workers die")
def test_an_alarm_is_paged_while_incidents_flood_and_while_their_workers_die(rig: Rig, account: Account) -> None:
    for name in ("case-live", "alarm-live"):
        rig.start(name)
    for name in ("case-live", "alarm-live"):
        rig.ready(name)
    Presses(rig, "warm").run(20, RATE)

    quiet = Presses(rig, "quiet").run(240, RATE)

    able = capacity(rig)
    rig.drained(seconds=300)
    flooded = Presses(rig, "flood")
    with Flood(rig.broker.bootstrap, INCIDENTS, TIMES * able) as flood:
        until(lambda: lag(rig) > able, "the case lane is behind", 30)
        first, began = lag(rig), time.monotonic()
        flooded.run(400, RATE)
        last, seconds = lag(rig), time.monotonic() - began
    sent = flood.result["acknowledged"] / flood.result["seconds"]
    decided = max(1.0, sent - (last - first) / seconds)

    killed = Presses(rig, "kill")
    pressing = killed.background(300, RATE)
    rig.signal("case-live", signal.SIGKILL)
    rig.ended("case-live")
    rig.start("case-live", tag="b")
    rig.start("case-live", tag="c")
    rig.ready("case-live", "b")
    rig.ready("case-live", "c")
    rig.signal("case-liveb", signal.SIGKILL)
    pressing.join(120)
    assert not pressing.is_alive()
    rig.drained(GROUP, COMMANDS)

    judge = Judge(rig)
    runs = {"quiet": quiet, "flood": flooded, "kill": killed}
    missing = sum(judge.missing(run) for run in runs.values())
    account.verdict({"I1": judge.breaks + missing})
    print(f"flood: {sent:.0f}/s appended, {decided:.0f}/s decided, the backlog grew from {first} to {last} in {seconds:.1f} s")
    account.figure("flood times the lane's rate", round(sent / decided, 1))
    account.held()
    assert sum(run.failed for run in runs.values()) == 0
    waits = {name: judge.append_to_page(run) for name, run in runs.items()}
    for name, run in runs.items():
        print(f"{name}: press appended to page appended {waits[name]}; due to page appended {judge.due_to_page(run)}")
        account.figure(f"{name} p50 ms", waits[name].p50)
        account.figure(f"{name} p99 ms", waits[name].p99)
    assert last > first + able, "the flood was none: the case lane kept up"
    bound = max(GOAL_MS, FACTOR * waits["quiet"].p99)
    assert max(waits["flood"].p99, waits["kill"].p99) <= bound, f"above {bound:.0f} ms"


@pytest.mark.scenario("lanes", "the alarm worker dies at a step of its commitment")
@pytest.mark.parametrize("point", ["after_decide", "after_changelog", "after_outputs"])
def test_a_press_is_paged_once_wherever_the_alarm_worker_dies(rig: Rig, account: Account, point: str) -> None:
    began = time.monotonic()
    key = rig.keep("alarm-live", failpoint=f"{point}@20")
    rig.ready("alarm-live")
    start = time.monotonic() - began
    first = rig.workers[key].pid
    presses = Presses(rig, "").run(200, RATE)
    rig.restarted(key, first)
    rig.drained(GROUP, COMMANDS)
    assert rig.exits[-signal.SIGKILL] == 1, "the failpoint was not hit"
    judge = Judge(rig)
    account.window(f"killed {point.replace('_', ' ')}")
    account.verdict({"I1": judge.breaks + judge.missing(presses)})
    found = judge.append_to_page(presses)
    print(f"{point}: press appended to page appended {found}, {judge.repeats} records said again, a start takes {start:.1f} s")
    account.figure("p99 ms", found.p99)
    account.recovered(found.worst / 1000, max(RESTART_SECONDS, 2 * start))
    assert len(judge.paged) == len(presses.made) == 200
    account.held()
