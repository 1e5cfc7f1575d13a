"""Words of the policies: purposes, levels, certainties, and lengths of time as people write them ("5 working days")."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from schemas.clocks import Unit


class Certainty(StrEnum):
    """How far a figure may be relied on; shown wherever the figure is."""

    PRIMARY = "P"  # the primary text was read
    SECONDARY = "S"  # a secondary source quotes it
    DESIGN = "D"  # our own choice: binds nobody but us
    UNVERIFIED = "U"  # seen, not verified: never to be presented as law


class Purpose(StrEnum):
    """What a clock measures."""

    ACCEPT = "accept"  # 受理: from capture until accepted or declined
    SIGN = "sign"  # 签收: from assignment until signed or objected to
    HANDLE = "handle"  # 办理: from signing until reported as done; one for each holder
    REPLY = "reply"  # 答复: until a desk that was asked or supervised answers
    REPORT_UP = "report_up"  # 上报: one hop of a report to the level above
    SUPPLEMENT = "supplement"  # 补报期: in which a change of what was reported is reported again; closes, and is never breached
    TOTAL = "total"  # 总时限: the whole case; never reset by a change of holder


NEVER_PAUSE = frozenset({Purpose.ACCEPT, Purpose.SIGN, Purpose.REPORT_UP, Purpose.SUPPLEMENT})
"""Response and report-up clocks run on whatever is suspended (research/mission.md 3.1)."""


class Starts(StrEnum):
    """Which moment starts a clock."""

    OCCURRED = "occurred"  # occurred_at: what the source says
    RECEIVED = "received"  # received_at: our first append
    EVENT = "event"  # the event that opens the step, e.g. the assignment


class Level(StrEnum):
    """Levels from below; one may be absent (东莞 and 中山 have no county)."""

    UNIT = "unit"  # the body where it happened
    GRID = "grid"
    VILLAGE = "village"
    TOWN = "town"
    COUNTY = "county"
    CITY = "city"
    PROVINCE = "province"
    STATE = "state"  # the State Council and its departments: outside this platform

    def above(self, other: Level) -> bool:
        return LEVELS.index(self) > LEVELS.index(other)


LEVELS = tuple(Level)


class Grantor(StrEnum):
    """Who may grant or approve."""

    OWN_HEAD = "own_head"  # 本单位负责人: head of the handling body
    SUPERIOR = "superior"  # 上一级: the desk one level above the holder


class Whom(StrEnum):
    """Whom a step of the lateness ladder tells."""

    DESK = "desk"  # the holder's duty desk
    HEAD = "head"  # head of the holder's organisation
    SUPERIOR_DESK = "superior_desk"  # duty desk one level above the holder


class Rank(StrEnum):
    """Least rank of a person who issues a paper of supervision 督办."""

    DUTY_OFFICER = "duty_officer"  # 值班员
    DESK_CHIEF = "desk_chief"  # 值班长
    BODY_HEAD = "body_head"  # 部门负责人
    LEADER = "leader"  # 分管领导


WORDS: dict[str, tuple[Unit, int]] = {
    "second": (Unit.MS, 1000),
    "minute": (Unit.MS, 60_000),
    "hour": (Unit.MS, 3_600_000),
    "working minute": (Unit.WORKING_MS, 60_000),
    "working hour": (Unit.WORKING_MS, 3_600_000),
    "working day": (Unit.WORKING_DAY, 1),
    "calendar day": (Unit.CALENDAR_DAY, 1),
}
LENGTH = rf"^([1-9][0-9]{{0,4}}) ({'|'.join(WORDS)})s?$"
LENGTHS = "a whole number and a unit, such as 30 minutes, 2 hours, 4 working hours, 5 working days, 60 calendar days"
_LENGTH = re.compile(LENGTH)


class Length(msgspec.Struct, frozen=True):
    """A length of time. `amount`: milliseconds or days, by unit."""

    unit: Unit
    amount: int

    def __str__(self) -> str:
        """As it is written in a document, in the largest unit that fits."""
        name, size = next((n, s) for n, (unit, s) in reversed(WORDS.items()) if unit is self.unit and self.amount % s == 0)
        count = self.amount // size
        return f"{count} {name}{'s' * (count != 1)}"


def length(text: str) -> Length:
    """ValueError for what is not written like one of LENGTHS."""
    found = _LENGTH.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no length of time; allowed: {LENGTHS}")
    unit, size = WORDS[found[2]]
    return Length(unit, int(found[1]) * size)
