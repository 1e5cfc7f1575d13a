"""Unexpected errors end the process at once, un-acked; the supervisor starts it again and it redoes its last work."""

from __future__ import annotations

import os
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """Why a worker ended itself; shown by `liandong status` and in the log."""

    SHIPMENT_FAILED = 70  # a send was refused or timed out
    RECOVERY_FAILED = 71  # the tables could not be restored
    CONSUMER_FAILED = 72  # the fetch loop broke
    REVOKE_TIMED_OUT = 73  # chunks in flight did not end within the session on a rebalance
    RECORD_TOO_LARGE = 74  # one record does not fit a batch
    LEASE_LOST = 75  # the process slept longer than its lease: another may own its partitions
    FOREIGN_WRITE = 76  # somebody else wrote to a changelog partition of ours
    STANDSTILL = 77  # recovery, commits or lag did not move
    LOOP_BLOCKED = 78  # the event loop did not turn
    OWNER_LOST = 79  # another warehouse process took the sink over
    CHANGELOG_LOST = 80  # a changelog ends before what commits say of it: going on would begin its cases anew
    INPUT_LOST = 81  # an input ends before its commit: going on would swallow what is written next
    REPLACED = 82  # another process is in the group under the same name
    TOO_OLD = 83  # a later release has written what this one cannot read: passing over it would lose it for good
    WRONG_PARTITIONS = 84  # the setting `partitions` is not what the topics have: keys would go to foreign partitions
    DRAIN_TIMED_OUT = 85  # told to stop, it did not drain in time, as when the broker is gone: what is un-acked is redone


def die(code: Exit, why: str) -> NoReturn:
    """Ends the process without running any handler: nothing may be acked or sent after this."""
    try:
        os.write(2, f'{{"event": "worker ends itself", "level": "critical", "exit": "{code.name}", "why": "{why}"}}\n'.encode())
    finally:
        os._exit(code)
