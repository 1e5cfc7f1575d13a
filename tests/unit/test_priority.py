"""Alarms come first where the operating system lets us: every other process yields to their lane."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.realms import Realm
from services.commands.run import MODULES
from services.priority import AUTOGROUP, OTHERS
from streams.agents import LANES
from tests.helpers import until

CHILD = """
import os, pathlib, sys
from services.priority import yield_processor
yield_processor(int(sys.argv[1]))
yield_processor(0)
print(os.getpriority(os.PRIO_PROCESS, 0), flush=True)
sys.stdin.read()
"""


def test_every_lane_yields_to_the_live_alarms_and_rehearsals_yield_to_live() -> None:
    (alarm,) = [lane for lane in LANES if lane.name == "alarm"]
    others = [lane for lane in LANES if lane is not alarm]
    assert alarm.nice_in(Realm.LIVE) == 0
    assert all(lane.nice_in(Realm.LIVE if lane.per_realm else None) > 0 for lane in others)
    for lane in LANES:
        if lane.per_realm:
            assert lane.nice_in(Realm.REPLAY) > lane.nice_in(Realm.LIVE)
    assert all(alarm.fetch_wait_ms(Realm.LIVE) < lane.fetch_wait_ms(Realm.LIVE) for lane in others)
    assert set(OTHERS) == {"simulation"} < set(MODULES)


@pytest.mark.parametrize("nice", [0, 7])
def test_a_process_yields_with_its_whole_session_and_never_takes_back(nice: int) -> None:
    command = [sys.executable, "-c", CHILD, str(nice)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert child.stdin
    assert child.stdout
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert int(child.stdout.readline()) == max(nice, ours)
    if AUTOGROUP.exists() and nice > ours:
        group = Path(f"/proc/{child.pid}/autogroup")
        until(lambda: group.read_text().split()[-1] == str(nice), "its session's group yields too", 20)
    child.stdin.close()
    assert child.wait(20) == 0
