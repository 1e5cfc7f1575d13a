"""Working days 工作日 of the mainland, read from reference/working_days.csv, and the hours of business.

A version is frozen: cases name the one their deadlines were computed with. Days are numbered from 1970-01-01 in Shanghai, which has been
UTC+8 without summer time since 1991.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "reference"
FILES = {"cn-2020-2026": "working_days.csv"}  # version to file, the newest last
LATEST = list(FILES)[-1]

EPOCH = date(1970, 1, 1).toordinal()
MONDAY = 3  # 1970-01-01 was a Thursday: day numbers plus this begin their weeks on Monday
MINUTE_MS = 60_000
HOURS = ((510, 720), (840, 1050))  # 8:30-12:00 and 14:00-17:30, in minutes of the local day; no law sets them

WORKDAY, WEEKEND, HOLIDAY, MAKE_UP = "workday", "weekend", "public_holiday", "adjusted_workday"


class Day(NamedTuple):
    """One published day. `name_zh`, `name_en`: the holiday it is or makes up for, "" for an ordinary day."""

    kind: str  # workday, weekend, public_holiday, adjusted_workday (a make-up day 调休: a weekend on which one works)
    name_zh: str = ""
    name_en: str = ""

    @property
    def works(self) -> bool:
        return self.kind in (WORKDAY, MAKE_UP)


class Span(NamedTuple):
    """A stretch of business within a day, in milliseconds of the local day."""

    opens: int
    closes: int
    before: int  # business time of the same day before it


class Calendar:
    """Published days from `first` on, without a gap; outside them Monday to Friday are taken for working days.

    Indices of working days run on through published and unpublished days, so that counting days is one subtraction.
    """

    __slots__ = ("_base", "_before", "_days", "_end", "_first", "_workdays", "close_ms", "daily_ms", "published_until", "spans", "version")

    def __init__(self, version: str, first: date, days: Sequence[Day], hours: Sequence[tuple[int, int]] = HOURS) -> None:
        """`hours`: open and close in minutes of the local day. ValueError unless they ascend within one day."""
        edges = [minute for span in hours for minute in span]
        if not edges or edges != sorted(set(edges)) or edges[0] < 0 or edges[-1] > 24 * 60:
            raise ValueError(f"hours of business must ascend within a day: {hours}")
        self.version = version
        self._days = tuple(days)
        self._first = number(first)
        self._end = self._first + len(self._days)
        self._base = _weekdays_before(self._first)
        self._before = tuple(accumulate((day.works for day in self._days), initial=self._base))
        self._workdays = tuple(self._first + at for at, day in enumerate(self._days) if day.works)
        self.published_until = date_of(self._end - 1)
        lengths = [(close - opens) * MINUTE_MS for opens, close in hours]
        sums = accumulate(lengths, initial=0)
        self.spans = tuple(Span(opens * MINUTE_MS, close * MINUTE_MS, before) for (opens, close), before in zip(hours, sums, strict=False))
        self.daily_ms = sum(lengths)
        self.close_ms = self.spans[-1].closes

    def is_workday(self, day: date) -> bool:
        return self.day(day).works

    def is_provisional(self, day: date) -> bool:
        """Whether a notice of the State Council may still change what this day is."""
        return not self._first <= number(day) < self._end

    def day(self, day: date) -> Day:
        """What is known of a day; outside the published ones only its weekday."""
        at = number(day)
        if self._first <= at < self._end:
            return self._days[at - self._first]
        return Day(WORKDAY if day.weekday() < 5 else WEEKEND)

    def workdays_before(self, day: int) -> int:
        """Index of the first working day that is not before `day` (a day number)."""
        if self._first <= day <= self._end:
            return self._before[day - self._first]
        if day < self._first:
            return _weekdays_before(day)
        return self._before[-1] + _weekdays_before(day) - _weekdays_before(self._end)

    def workday(self, index: int) -> int:
        """Number of the working day with this index: the inverse of `workdays_before`."""
        if self._base <= index < self._before[-1]:
            return self._workdays[index - self._base]
        if index >= self._base:
            index += _weekdays_before(self._end) - self._before[-1]
        return index // 5 * 7 + index % 5 - MONDAY


def number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - EPOCH


def date_of(day: int) -> date:
    return date.fromordinal(day + EPOCH)


def _weekdays_before(day: int) -> int:
    """Mondays to Fridays before a day number, from a Monday that lies before 1970 on."""
    weeks, rest = divmod(day + MONDAY, 7)
    return weeks * 5 + min(rest, 5)


@cache
def calendar(version: str = LATEST) -> Calendar:
    """A released version. KeyError if there is none; ValueError if its file has a gap."""
    with (FOLDER / FILES[version]).open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    first = date.fromisoformat(rows[0]["date"])
    for at, row in enumerate(rows):
        if number(date.fromisoformat(row["date"])) != number(first) + at or (row["is_workday"] == "1") != Day(row["day_type"]).works:
            raise ValueError(f"{FILES[version]}: {row['date']} is out of order or contradicts itself")
    return Calendar(version, first, [Day(row["day_type"], row["holiday_zh"], row["holiday_en"]) for row in rows])
