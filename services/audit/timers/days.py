"""Working time and limits in days, written anew from the text of the law; no calendar of the platform is asked.

民法典 201 I: a limit in days does not count the day it begins on. 201 II: one in hours runs from the set moment. 203 I: when the last day
is a statutory day of rest, the day after the rest is the last. 203 II: it ends at 24:00; where there are hours of business, when they end.
Days of rest and make-up Saturdays 调休 are those of the State Council's yearly notices (schemas/reference); a day beyond them counts by its
weekday. No law sets hours of business: 8:30 to 12:00 and 14:00 to 17:30.
"""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache

from schemas.calendar import FILES, FOLDER
from schemas.clocks import Until

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
EAST = 8 * HOUR  # Shanghai, without summer time since 1991
MORNING, AFTERNOON = (8 * HOUR + 30 * MINUTE, 12 * HOUR), (14 * HOUR, 17 * HOUR + 30 * MINUTE)
CLOSE = AFTERNOON[1]
THURSDAY = 3  # 1970-01-01, Monday being 0
FIRST, LAST = (date(1980, 1, 1) - date(1970, 1, 1)).days, (date(2120, 1, 1) - date(1970, 1, 1)).days
Stretch = tuple[int, int]  # since, until in UTC milliseconds; until 0: it lasts


class OutOfReach(ValueError):
    """A moment before 1980 or after 2119."""


class Days:
    """One version of the published days. Days are numbered from 1970-01-01 in Shanghai; moments are UTC milliseconds."""

    def __init__(self, version: str) -> None:
        with (FOLDER / FILES[version]).open(encoding="utf-8", newline="") as text:
            published = {row["date"]: row["is_workday"] == "1" for row in csv.DictReader(text)}
        self._works: list[bool] = []
        self._before = [0]  # business time before each midnight since FIRST
        for number in range(FIRST, LAST):
            name = (date(1970, 1, 1) + timedelta(days=number)).isoformat()
            works = published.get(name, (number + THURSDAY) % 7 < 5)
            self._works.append(works)
            self._before.append(self._before[-1] + (business(DAY) if works else 0))

    def works(self, day: int) -> bool:
        return self._works[_reached(day) - FIRST]

    def worked(self, since: int, until: int) -> int:
        """Business time between two moments, in milliseconds."""
        return self._worked(until) - self._worked(since)

    def after(self, at: int, amount: int) -> int:
        """The first moment at which so much business time has passed since `at`."""
        if not amount:
            return at
        wanted = self._worked(at) + amount
        index = bisect_left(self._before, wanted) - 1  # less before its midnight, enough before the next
        left = wanted - self._before[index]
        forenoon = MORNING[1] - MORNING[0]
        clock = MORNING[0] + left if left <= forenoon else AFTERNOON[0] + left - forenoon
        return midnight(index + FIRST) + clock

    def limit(self, start: int, count: int, until: str, pauses: Sequence[Stretch], *, working: bool) -> int:
        """When a limit of so many days ends. A day that ends within a pause is not counted."""
        day = day_of(start)  # not counted itself
        while count:
            day += 1
            count -= (self.works(day) or not working) and not _within(end_of(day, until), pauses)
        while not self.works(day) or _within(end_of(day, until), pauses):
            day += 1
        return end_of(day, until)

    def _worked(self, at: int) -> int:
        day = _reached(day_of(at))
        return self._before[day - FIRST] + (business(at - midnight(day)) if self._works[day - FIRST] else 0)


@cache
def days(version: str) -> Days:
    """KeyError for a version that was never released."""
    return Days(version)


def business(clock: int) -> int:
    """Business time of a working day up to an hour of it; with lunch between."""
    return sum(max(0, min(clock, closes) - opens) for opens, closes in (MORNING, AFTERNOON))


def day_of(at: int) -> int:
    return (at + EAST) // DAY


def midnight(day: int) -> int:
    return day * DAY - EAST


def end_of(day: int, until: str) -> int:
    return midnight(day) + (CLOSE if until == Until.BUSINESS else DAY)


def _within(at: int, pauses: Sequence[Stretch]) -> bool:
    """Whether a moment lies in a pause: after its beginning, up to its end."""
    return any(since < at <= until for since, until in pauses)


def _reached(day: int) -> int:
    if not FIRST <= day < LAST:
        raise OutOfReach(f"day {day} of 1970")
    return day
