"""Who yields the processor to whom: alarms, what carries them (gateway, broker) and what people look at yield to nobody; the other lanes
and the simulation yield to them.

Raising one's own niceness needs no rights. Where Linux groups processes by session (sched_autogroup), niceness counts within a group
only, so the group of a process that leads its own session, as the supervisor's children do, is moved as well.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
TRIES, PAUSE = 100, 0.12  # the kernel takes one unprivileged change in 100 ms, machine-wide

OTHERS = {"simulation": 10}  # by process name; lanes say theirs in streams.agents


def yield_processor(nice: int) -> None:
    """Makes this process `nice` (0 to 19), never less than it is. Called before its threads start."""
    if nice <= os.getpriority(os.PRIO_PROCESS, 0):
        return
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    if AUTOGROUP.exists() and os.getsid(0) == os.getpid():
        threading.Thread(target=_move_group, args=(nice,), name="nice", daemon=True).start()


def _move_group(nice: int) -> None:
    for _ in range(TRIES):
        with contextlib.suppress(OSError):
            AUTOGROUP.write_text(str(nice), encoding="ascii")
            return
        time.sleep(PAUSE)
