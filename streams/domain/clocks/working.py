"""Sums with working time: durations in business hours, and limits in days as 民法典 (Civil Code) 201 and 203 count them.

Moments are UTC milliseconds; days are numbers as in `schemas.calendar`. Every function takes constant time.
"""

from __future__ import annotations

from schemas.calendar import Calendar
from schemas.clocks import Until
from schemas.ids import CHINA_MS

DAY_MS = 86_400_000


def add_working(cal: Calendar, start_ms: int, duration_ms: int) -> int:
    """The earliest moment at which `duration_ms` of business time have passed since `start_ms`; `start_ms` itself for 0.

    A start outside business hours counts from the next opening. What ends with the business of a stretch ends at its close, not at the
    next opening. ValueError for a negative duration.
    """
    if duration_ms < 0:
        raise ValueError(f"a duration is not negative: {duration_ms}")
    if duration_ms == 0:
        return start_ms
    index, rest = divmod(_worked(cal, start_ms) + duration_ms - 1, cal.daily_ms)
    rest += 1  # 1 to a whole day: business time of the day it ends on
    span = next(span for span in reversed(cal.spans) if span.before < rest)
    return day_start(cal.workday(index)) + span.opens + rest - span.before


def working_between(cal: Calendar, a_ms: int, b_ms: int) -> int:
    """Business time from `a_ms` to `b_ms` in milliseconds, negative when b lies before a.

    The inverse of `add_working`: from a, what lies between leads to b for every later b after an opening and up to its close.
    """
    return _worked(cal, b_ms) - _worked(cal, a_ms)


def end_of_working_day(cal: Calendar, start_ms: int, days: int, until: Until) -> int:
    """End of the `days`-th working day (≥ 1) after the day of the start, which does not count, at whatever hour it began (民法典 201).

    The last day is a working day, so there is nothing to roll.
    """
    return day_end(cal, cal.workday(cal.workdays_before(day_of(start_ms) + 1) + _at_least_one(days) - 1), until)


def end_of_calendar_day(cal: Calendar, start_ms: int, days: int, until: Until) -> int:
    """End of the `days`-th day (≥ 1) after the day of the start (民法典 201), or of the next working day if it is one of rest (203)."""
    return day_end(cal, rolled(cal, day_of(start_ms) + _at_least_one(days)), until)


def rolled(cal: Calendar, day: int) -> int:
    """The day itself if one works on it, else the next working day (民法典 203)."""
    return cal.workday(cal.workdays_before(day))


def day_of(ms: int) -> int:
    """The local day a moment lies in."""
    return (ms + CHINA_MS) // DAY_MS


def day_start(day: int) -> int:
    return day * DAY_MS - CHINA_MS


def day_end(cal: Calendar, day: int, until: Until) -> int:
    """When a limit ends whose last day this is: at the close of business or at 24:00 (民法典 203 II)."""
    return day_start(day) + _end_ms(cal, until)


def first_unended(cal: Calendar, ms: int, until: Until) -> int:
    """The first day whose end lies after a moment."""
    return (ms + CHINA_MS - _end_ms(cal, until)) // DAY_MS + 1


def _end_ms(cal: Calendar, until: Until) -> int:
    return cal.close_ms if until == Until.BUSINESS else DAY_MS


def _worked(cal: Calendar, ms: int) -> int:
    """Business time of all working days with an index from 0 to a moment."""
    day, rest = divmod(ms + CHINA_MS, DAY_MS)
    index = cal.workdays_before(day)
    worked = index * cal.daily_ms
    if cal.workdays_before(day + 1) == index:
        return worked
    for opens, closes, before in reversed(cal.spans):
        if rest > opens:
            return worked + before + min(rest, closes) - opens
    return worked


def _at_least_one(days: int) -> int:
    if days < 1:
        raise ValueError(f"a limit in days is at least one: {days}")
    return days
