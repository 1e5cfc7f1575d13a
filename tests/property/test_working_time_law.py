"""Working time as the law counts it, walked minute by minute and day by day over seven years.

Written from the text of 民法典 201 and 203 and the published list of days alone: of our own code only the functions under test come in.

201: a limit in days does not count the day it begins on; one in hours begins at the set moment.
203: when the last day is a statutory day of rest, the day after the rest is the last one; it ends at 24:00, or where business has hours, at
their close.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.calendar import calendar
from schemas.clocks import Until
from streams.domain.clocks.working import add_working, end_of_calendar_day, end_of_working_day, working_between

CAL = calendar("cn-2020-2026")
CHINA = timezone(timedelta(hours=8))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, AFTER = datetime(2020, 1, 1, tzinfo=CHINA), datetime(2027, 1, 1, tzinfo=CHINA)
MINUTE = 60_000


def ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def china(at: int) -> datetime:
    return (EPOCH + timedelta(milliseconds=at)).astimezone(CHINA)


@cache
def works() -> dict[str, bool]:
    path = Path(__file__).parents[2] / "schemas" / "reference" / "working_days.csv"
    with path.open(encoding="utf-8", newline="") as text:
        return {row["date"]: row["is_workday"] == "1" for row in csv.DictReader(text)}


def is_working(day: datetime) -> bool:
    return works()[day.date().isoformat()]


@cache
def open_minutes() -> bytes:
    """For each minute of the seven years whether one works in it: 8:30 to 12:00, 14:00 to 17:30."""
    day = bytearray(24 * 60)
    for opens, closes in (("08:30", "12:00"), ("14:00", "17:30")):
        for at in range(24 * 60):
            if opens <= f"{at // 60:02}:{at % 60:02}" < closes:
                day[at] = 1
    return b"".join(bytes(day) if working else bytes(24 * 60) for working in works().values())


def is_open(at: int) -> bool:
    return bool(open_minutes()[(at - ms(FIRST)) // MINUTE])


def walk(start: int, duration: int) -> int:
    at, left = start, duration
    while left:
        end = (at // MINUTE + 1) * MINUTE
        if is_open(at):
            step = min(left, end - at)
            at, left = at + step, left - step
        else:
            at = end
    return at


def walked(a: int, b: int) -> int:
    at, total = a, 0
    while at < b:
        end = min((at // MINUTE + 1) * MINUTE, b)
        total += (end - at) * is_open(at)
        at = end
    return total


def end_of(day: datetime, until: Until) -> int:
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
    return ms(midnight + (timedelta(hours=17, minutes=30) if until is Until.BUSINESS else timedelta(hours=24)))


def law_of_working_days(start: int, days: int, until: Until) -> int:
    day = china(start)
    while days:
        day += timedelta(days=1)
        days -= is_working(day)
    return end_of(day, until)


def law_of_calendar_days(start: int, days: int, until: Until) -> int:
    day = china(start) + timedelta(days=days)
    while not is_working(day):
        day += timedelta(days=1)
    return end_of(day, until)


# starts leave room for the longest limits before 2027
STARTS = st.one_of(
    st.integers(ms(FIRST), ms(AFTER) - 200 * 86_400_000),
    st.builds(  # the edges of business, where errors live
        lambda day, edge, off: ms(FIRST + timedelta(days=day) + timedelta(minutes=edge)) + off,
        st.integers(1, 2350),
        st.sampled_from([0, 510, 720, 840, 1050, 1440]),
        st.integers(-2, 2),
    ),
)
DURATIONS = st.one_of(
    st.integers(0, 12 * 3_600_000), st.integers(0, 28).map(lambda halves: halves * 12_600_000), st.integers(0, 400_000_000)
)
UNTILS = st.sampled_from(list(Until))
SPRING = ms(datetime(2026, 2, 13, 17, 30, tzinfo=CHINA))  # the make-up Saturday is the 14th, then nine days of rest


@settings(max_examples=150, deadline=None)
@given(STARTS, DURATIONS)
@example(SPRING, 1)
@example(SPRING - 1, 1)
@example(SPRING, 7 * 3_600_000)
@example(SPRING, 7 * 3_600_000 + 1)
def test_adding_working_time_is_walking_it(start: int, duration: int) -> None:
    assert add_working(CAL, start, duration) == walk(start, duration)


@settings(max_examples=150, deadline=None)
@given(STARTS, st.integers(0, 20 * 86_400_000))
@example(SPRING, 11 * 86_400_000)
def test_working_time_between_two_moments_is_what_is_walked(start: int, length: int) -> None:
    assert working_between(CAL, start, start + length) == walked(start, start + length)
    assert working_between(CAL, start + length, start) == -walked(start, start + length)


def test_every_hour_and_every_edge_of_seven_years_agrees_with_one_long_walk() -> None:
    first, total, seen = ms(FIRST), 0, 0
    minutes = open_minutes()
    assert len(minutes) == (AFTER - FIRST) // timedelta(minutes=1)
    for at, is_opened in enumerate(minutes):
        if at % 60 == 0 or is_opened != minutes[at - 1]:
            moment = first + at * MINUTE
            assert working_between(CAL, first, moment) == total * MINUTE, china(moment)
            seen += 1
            if total and is_opened == 0 and minutes[at - 1]:
                assert add_working(CAL, first, total * MINUTE) == moment, "it ends at the close, not at the next opening"
        total += is_opened
    assert seen > 61_000


@settings(max_examples=300)
@given(STARTS, DURATIONS)
def test_what_was_added_lies_between(start: int, duration: int) -> None:
    assert working_between(CAL, start, add_working(CAL, start, duration)) == duration


@settings(max_examples=300)
@given(STARTS, STARTS)
def test_what_lies_between_leads_back_to_a_moment_of_business(a: int, b: int) -> None:
    a, b = sorted((a, b))
    reached = add_working(CAL, a, working_between(CAL, a, b))
    assert reached <= b
    assert walked(reached, b) == 0, "what is left is rest"
    if is_open(b - 1):
        assert reached == b


@settings(max_examples=300)
@given(STARTS, DURATIONS, DURATIONS)
def test_one_sum_is_two_one_after_the_other(start: int, one: int, other: int) -> None:
    assert add_working(CAL, add_working(CAL, start, one), other) == add_working(CAL, start, one + other)


@settings(max_examples=400, deadline=None)
@given(STARTS, st.integers(1, 100), UNTILS)
@example(ms(datetime(2026, 2, 14, 9, tzinfo=CHINA)), 1, Until.BUSINESS)  # the make-up Saturday is the day of the start
@example(ms(datetime(2026, 2, 15, 0, tzinfo=CHINA)), 1, Until.MIDNIGHT)  # a day of rest is
def test_a_limit_in_working_days_is_that_of_the_law(start: int, days: int, until: Until) -> None:
    assert end_of_working_day(CAL, start, days, until) == law_of_working_days(start, days, until)


@settings(max_examples=400, deadline=None)
@given(STARTS, st.integers(1, 180), UNTILS)
@example(ms(datetime(2026, 2, 1, 23, 59, tzinfo=CHINA)), 15, Until.MIDNIGHT)  # its last day is 正月初一
def test_a_limit_in_days_is_that_of_the_law(start: int, days: int, until: Until) -> None:
    assert end_of_calendar_day(CAL, start, days, until) == law_of_calendar_days(start, days, until)


@pytest.mark.parametrize("year", range(2020, 2027))
def test_from_every_day_of_a_year_the_next_ten_working_days_are_those_of_the_law(year: int) -> None:
    day = datetime(year, 1, 1, 18, tzinfo=CHINA)
    while day < min(datetime(year + 1, 1, 1, tzinfo=CHINA), AFTER - timedelta(days=30)):
        for days in (1, 2, 10):
            assert end_of_working_day(CAL, ms(day), days, Until.BUSINESS) == law_of_working_days(ms(day), days, Until.BUSINESS)
            assert end_of_calendar_day(CAL, ms(day), days, Until.MIDNIGHT) == law_of_calendar_days(ms(day), days, Until.MIDNIGHT)
        day += timedelta(days=1)
