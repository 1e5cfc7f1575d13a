"""Words of the clocks 时限, shared by state, policies and the core: units, ends of a day, marks, and the rule a clock runs by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

THOUSAND = 1000  # shares are thousandths of a budget


class Unit(StrEnum):
    """In what a limit is counted."""

    MS = "ms"  # wall clock, for limits in hours (民法典 201 II: from the set moment on)
    WORKING_MS = "working_ms"  # business hours only
    WORKING_DAY = "working_day"  # whole working days, the day of the start excluded (民法典 201)
    CALENDAR_DAY = "calendar_day"  # whole days, the last one rolled past rest days (民法典 203)

    @property
    def in_days(self) -> bool:
        return self in (Unit.WORKING_DAY, Unit.CALENDAR_DAY)


class Until(StrEnum):
    """When the last day of a limit in days ends (民法典 203 II)."""

    BUSINESS = "business"  # at the close of business
    MIDNIGHT = "midnight"  # at 24:00


class Mark(IntEnum):
    """A moment of a clock that is told once; the bits of `Clock.told`, which is a plain number."""

    WARNING = 1  # the light turns yellow
    DUE = 2  # red: breached
    OVERDUE = 4  # deep red


class Light(StrEnum):
    """红黄绿灯: a function of a clock and the time, never stored."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    DEEP_RED = "deep_red"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a policy says of one clock. Made from the documents in `schemas/policies`."""

    purpose: str  # accept, sign, handle, total, …
    policy: str  # the document and version, kept in the clock
    source: str  # the article or paper it rests on, shown with the deadline
    unit: Unit
    budget: int  # in the unit: milliseconds or days, at least 1
    until: Until = Until.BUSINESS  # only for units in days
    warning: int = 750  # share at which the light turns yellow; 0: never
    overdue: int = 1500  # share at which it turns deep red, at least 1000; 0: never
    backdating_ms: int = 0  # how long before it is told a completion may lie; 0: it counts when it is told
    extension: int = 0  # the most an extension may add, in the unit; 0: none is allowed
    pausable: bool = True  # response and report-up clocks never pause
    window: bool = False  # nothing is owed by its end: it closes then, and nobody has missed anything
