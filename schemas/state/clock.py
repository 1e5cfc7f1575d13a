"""A clock 时限 of a case and its pauses, as they lie inside the state of a case. Times are UTC milliseconds, 0 where there is none."""

from __future__ import annotations

from typing import Protocol

import msgspec

Key = tuple[str, str, int]


class Kept(Protocol):
    """A clock, or what is kept about one."""

    @property
    def purpose(self) -> str: ...
    @property
    def holder(self) -> str: ...
    @property
    def started_at(self) -> int: ...


def key_of(one: Kept) -> Key:
    """By which a clock of a case is known: its purpose, holder and start."""
    return one.purpose, one.holder, one.started_at


class Pause(msgspec.Struct, frozen=True):
    """A stretch that does not count: only reasons of the suspension policy, never free text."""

    reason: str
    since: int
    until: int  # 0: it lasts
    approver: str


class Clock(msgspec.Struct, frozen=True):
    """One limit on one holder. `streams.domain.clocks` starts, moves and reads it; nobody else computes with it."""

    purpose: str  # accept, sign, handle, total, …
    round: int
    holder: str
    level: str
    unit: str  # schemas.clocks.Unit
    until: str  # schemas.clocks.Until: when the last day of a limit in days ends
    budget: int  # in the unit: milliseconds or days
    extended: int  # granted on top, in the unit; 0: not extended
    calendar: str  # version of the working days that due_at was computed with
    policy: str  # the document and version it came from
    started_at: int
    due_at: int  # while a pause lasts: as if it ended at once
    stopped_at: int  # 0: it runs
    pauses: tuple[Pause, ...]  # in order, none inside another; only the last may last
    told: int  # bits of the marks that were told, schemas.clocks.Mark
    breached_at: int  # the due time that passed unmet
    retracted: bool  # the breach was withdrawn: the work had been done in time, or the calendar was corrected
    epoch: int  # counts every change, so that an older wake-up is known
