"""Why a deadline is the deadline, and what becomes of it when the next year's days are published."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from schemas.calendar import HOLIDAY, MAKE_UP, WEEKEND, WORKDAY, Calendar, Day
from schemas.clocks import Mark, Rule, Unit, Until
from schemas.state.clock import Pause
from streams.domain.clocks.clock import extend, marks, recalculate, stop, tell
from streams.domain.clocks.deadline import Kind, due, explain
from tests.clocks import CAL, HOUR, at, begun, due_of, paused, rule, written

DAYS = rule(Unit.WORKING_DAY, 5, extension=5)
HOURS = rule(Unit.MS, 2 * HOUR)
BUSINESS = rule(Unit.WORKING_MS, 7 * HOUR)
NIGHTS = rule(Unit.WORKING_DAY, 1, until=Until.MIDNIGHT)


def later(days: dict[int, Day]) -> Calendar:
    """A later version that publishes January 2027."""
    published = [CAL.day(date.fromordinal(date(2026, 1, 1).toordinal() + n)) for n in range(365)]
    january = [days.get(day, Day(WORKDAY if date(2027, 1, day).weekday() < 5 else WEEKEND)) for day in range(1, 32)]
    return Calendar("cn-test-2027", date(2026, 1, 1), [*published, *january])


NEW_YEAR = later(
    {1: Day(HOLIDAY, "元旦", "New Year's Day"), 2: Day(HOLIDAY, "元旦", "New Year's Day"), 3: Day(MAKE_UP, "元旦", "New Year's Day")}
)


def test_a_deadline_beyond_the_published_days_is_provisional_until_they_are() -> None:
    clock = begun(DAYS, "2026-12-28 09:00")
    assert (written(due(clock, CAL).at), due(clock, CAL).provisional) == ("2027-01-04 17:30", True)
    found = recalculate(clock, DAYS, NEW_YEAR, at("2026-12-29 09:00"))
    assert (written(found.due_at), due(found, NEW_YEAR).provisional) == ("2027-01-04 17:30", False), "a holiday and a make-up Sunday"
    assert (found.calendar, found.epoch) == ("cn-test-2027", 1)
    assert not due(begun(HOURS, "2027-06-01 10:00"), CAL).provisional, "the wall clock needs no calendar"
    assert recalculate(found, DAYS, NEW_YEAR, at("2026-12-29 09:00")) is found


def test_the_end_of_the_last_published_day_is_not_provisional() -> None:
    clock = begun(NIGHTS, "2026-12-30 09:00")
    assert (due_of(clock), due(clock, CAL).provisional) == ("2027-01-01 00:00", False)


def test_a_new_calendar_never_moves_a_deadline_into_the_past() -> None:
    of = rule(Unit.WORKING_DAY, 5)
    clock = begun(of, "2026-12-28 09:00")
    assert due_of(clock) == "2027-01-04 17:30"
    sooner = later({2: Day(MAKE_UP), 3: Day(MAKE_UP)})
    assert due_of(recalculate(clock, of, sooner, at("2026-12-31 09:00"))) == "2027-01-02 17:30"
    assert recalculate(clock, of, sooner, at("2027-01-03 09:00")) is clock
    done = stop(clock, of, CAL, at("2026-12-31 09:00"), at("2026-12-31 09:00"))
    assert recalculate(done, of, sooner, at("2026-12-31 09:00")) is done


def test_a_new_calendar_leaves_a_clock_of_another_due_time_only_where_that_lies_ahead() -> None:
    of = rule(Unit.WORKING_DAY, 5)
    clock = begun(of, "2026-12-28 09:00")
    sooner = later({2: Day(MAKE_UP), 3: Day(MAKE_UP)})
    assert due_of(recalculate(clock, of, sooner, at("2027-01-02 17:29"))) == "2027-01-02 17:30"
    assert recalculate(clock, of, sooner, at("2027-01-02 17:30")) is clock
    same = recalculate(clock, of, later({}), at("2027-01-05 09:00"))
    assert (same.calendar, due_of(same), same.retracted, same.breached_at) == ("cn-test-2027", "2027-01-04 17:30", False, 0)


def test_a_breach_whose_new_deadline_is_now_stands() -> None:
    of = rule(Unit.WORKING_DAY, 4, overdue=0)
    clock = tell(tell(begun(of, "2026-12-28 09:00"), Mark.WARNING), Mark.DUE)
    found = recalculate(clock, of, NEW_YEAR, at("2027-01-03 17:30"))
    assert (found.retracted, found.breached_at) == (False, at("2027-01-03 17:30"))


def test_a_breach_that_a_new_calendar_undoes_is_retracted_and_may_come_again() -> None:
    of = rule(Unit.WORKING_DAY, 4, overdue=0)
    clock = tell(tell(begun(of, "2026-12-28 09:00"), Mark.WARNING), Mark.DUE)
    found = recalculate(clock, of, NEW_YEAR, at("2027-01-02 09:00"))
    assert (due_of(found), found.retracted, found.breached_at) == ("2027-01-03 17:30", True, at("2027-01-01 17:30"))
    again = tell(found, marks(found, of, NEW_YEAR)[-1].mark)
    assert (again.retracted, again.breached_at) == (False, at("2027-01-03 17:30"))
    put_off = recalculate(clock, of, NEW_YEAR, at("2027-01-08 09:00"))
    assert (put_off.retracted, put_off.breached_at) == (False, at("2027-01-03 17:30"))


def test_a_clock_counts_only_by_the_calendar_it_names() -> None:
    with pytest.raises(ValueError, match="counts by cn-2020-2026"):
        extend(begun(DAYS, "2026-03-02 09:00"), DAYS, NEW_YEAR, 1, at("2026-03-02 09:00"))


def test_a_deadline_says_why_it_is_the_deadline() -> None:
    clock = paused(begun(DAYS, "2026-02-11 16:00"), DAYS, "2026-02-25 10:00", "2026-02-27 10:00")
    steps = [(s.kind, written(s.since), s.amount, s.text) for s in explain(clock, DAYS, CAL).steps]
    assert steps == [
        (Kind.RULE, "2026-02-11 16:00", 5, "Test 1"),
        (Kind.START, "2026-02-11 00:00", 1, "民法典第201条第1款"),
        (Kind.MAKE_UP, "2026-02-14 00:00", 1, "春节"),
        (Kind.HOLIDAY, "2026-02-15 00:00", 9, "春节"),
        (Kind.PAUSE, "2026-02-25 10:00", 2, "appraisal"),
        (Kind.END, "2026-02-27 00:00", 1, "民法典第203条第2款"),
    ]


def test_a_rolled_deadline_names_the_rule_and_an_extended_one_its_extension() -> None:
    of = rule(Unit.CALENDAR_DAY, 15, until=Until.MIDNIGHT, extension=10)
    clock = begun(of, "2026-02-02 10:00")
    rolled = [s for s in explain(clock, of, CAL).steps if s.kind is Kind.ROLLED]
    assert [(written(s.since), written(s.until), s.amount, s.text) for s in rolled] == [
        ("2026-02-17 00:00", "2026-02-24 00:00", 7, "民法典第203条第1款")
    ]
    longer = extend(clock, of, CAL, 10, clock.started_at)
    assert explain(longer, of, CAL).steps == (
        (Kind.RULE, clock.started_at, longer.due_at, 15, "Test 1", ""),
        (Kind.EXTENSION, clock.started_at, longer.due_at, 10, "", ""),
        (Kind.START, at("2026-02-02 00:00"), at("2026-02-03 00:00"), 1, "民法典第201条第1款", ""),
        (Kind.END, at("2026-02-27 00:00"), at("2026-02-28 00:00"), 1, "民法典第203条第2款", ""),
    ), "2026-02-27, a Friday"


def test_hours_explain_where_counting_begins() -> None:
    (_, begin) = explain(begun(HOURS, "2026-02-17 03:00"), HOURS, CAL).steps
    assert begin == (Kind.START, at("2026-02-17 03:00"), at("2026-02-17 03:00"), 0, "民法典第201条第2款", "")
    clock = paused(begun(BUSINESS, "2026-03-06 18:00"), BUSINESS, "2026-03-09 11:00", "2026-03-09 15:00")
    assert explain(clock, BUSINESS, CAL).steps[1:] == (
        (Kind.START, at("2026-03-06 18:00"), at("2026-03-09 08:30"), 0, "", ""),
        (Kind.REST, at("2026-03-07 00:00"), at("2026-03-09 00:00"), 2, "", ""),
        (Kind.PAUSE, at("2026-03-09 11:00"), at("2026-03-09 15:00"), 2 * HOUR, "appraisal", ""),
    )


def test_a_pause_that_begins_when_the_time_is_up_is_no_step() -> None:
    clock = begun(BUSINESS, "2026-03-09 08:30")
    assert due_of(clock) == "2026-03-09 17:30"
    for since, steps in (("2026-03-09 17:29", 1), ("2026-03-09 17:30", 0)):
        held = msgspec.structs.replace(clock, pauses=(Pause("appraisal", at(since), at("2026-03-10 10:00"), "lead"),))
        assert [step.kind for step in explain(held, BUSINESS, CAL).steps].count(Kind.PAUSE) == steps


def test_hours_that_end_before_a_weekend_do_not_speak_of_it() -> None:
    clock = begun(BUSINESS, "2026-03-06 08:30")
    assert due_of(clock) == "2026-03-06 17:30"
    assert [step.kind for step in explain(clock, BUSINESS, CAL).steps] == [Kind.RULE, Kind.START]


@pytest.mark.parametrize(("of", "hours"), [(DAYS, (9, 16)), (BUSINESS, (12, 14)), (HOURS, (13, 14))])
def test_a_pause_that_cost_nothing_is_no_step(of: Rule, hours: tuple[int, int]) -> None:
    clock = paused(begun(of, "2026-03-03 09:00"), of, *(f"2026-03-03 {hour:02}:00" for hour in hours))
    assert due_of(clock) == due_of(begun(of, "2026-03-03 09:00"))
    assert Kind.PAUSE not in [step.kind for step in explain(clock, of, CAL).steps]


def test_a_provisional_deadline_says_from_when() -> None:
    step = explain(begun(DAYS, "2026-12-28 09:00"), DAYS, CAL).steps[-1]
    assert step == (Kind.PROVISIONAL, at("2027-01-01 00:00"), at("2027-01-04 17:30"), 0, "", "")
