"""Deadlines by hand: each expected date was counted on the published calendar."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from schemas.clocks import Light, Mark, Rule, Unit, Until
from schemas.state.clock import Clock, Pause
from streams.domain.clocks.clock import (
    extend,
    light,
    marks,
    may_extend,
    may_pause,
    pause,
    resume,
    retarget,
    start,
    stop,
    tell,
)
from streams.domain.clocks.running import elapsed, moment, share
from streams.domain.clocks.working import add_working, end_of_calendar_day, end_of_working_day
from tests.clocks import CAL, HOUR, at, begun, due_of, paused, rule, written

DAYS = rule(Unit.WORKING_DAY, 5, extension=5)
HOURS = rule(Unit.MS, 2 * HOUR, extension=HOUR)
BUSINESS = rule(Unit.WORKING_MS, 7 * HOUR)
CALENDAR_DAYS = rule(Unit.CALENDAR_DAY, 15, until=Until.MIDNIGHT)
NIGHTS = rule(Unit.WORKING_DAY, 1, until=Until.MIDNIGHT)


@pytest.mark.parametrize(
    ("of", "started", "expected"),
    [
        (DAYS, "2026-03-02 09:00", "2026-03-09 17:30"),  # Monday to Monday
        (DAYS, "2026-03-02 23:59", "2026-03-09 17:30"),  # the hour of the start does not matter
        (DAYS, "2026-03-07 09:00", "2026-03-13 17:30"),  # a Saturday is the day of the start: Monday is the first day
        (DAYS, "2026-02-12 10:00", "2026-02-26 17:30"),  # Fri 13, Sat 14 (make-up), nine days of rest, Tue 24 to Thu 26
        (NIGHTS, "2026-02-13 10:00", "2026-02-15 00:00"),  # 24:00 of the make-up Saturday
        (CALENDAR_DAYS, "2026-01-01 10:00", "2026-01-17 00:00"),  # the 16th, a Friday, at 24:00
        (CALENDAR_DAYS, "2026-02-02 10:00", "2026-02-25 00:00"),  # the 17th is 正月初一: rolled to Tuesday 24
        (CALENDAR_DAYS, "2026-01-30 10:00", "2026-02-15 00:00"),  # the 14th is a Saturday of work: nothing to roll
        (BUSINESS, "2026-03-02 10:00", "2026-03-03 10:00"),  # 2 h, lunch, 3.5 h, 1.5 h
        (BUSINESS, "2026-03-02 12:30", "2026-03-03 12:00"),  # ends with the morning, not at 14:00
        (BUSINESS, "2026-03-06 18:00", "2026-03-09 17:30"),  # from Monday's opening
        (HOURS, "2026-02-17 03:00", "2026-02-17 05:00"),  # hours of the wall clock know no holiday
    ],
)
def test_a_deadline_is_the_one_counted_by_hand(of: Rule, started: str, expected: str) -> None:
    assert due_of(begun(of, started)) == expected


@pytest.mark.parametrize("days", [0, -1])
def test_a_limit_of_no_day_and_a_negative_duration_are_refused(days: int) -> None:
    for end in (end_of_working_day, end_of_calendar_day):
        with pytest.raises(ValueError, match="at least one"):
            end(CAL, 0, days, Until.BUSINESS)
    with pytest.raises(ValueError, match="not negative"):
        add_working(CAL, 0, -1)
    with pytest.raises(ValueError, match="at least one ms"):
        start(rule(Unit.MS, days), CAL, 0, "desk", "town")


@pytest.mark.parametrize(
    ("of", "started", "since", "until", "expected"),
    [
        (DAYS, "2026-03-02 09:00", "2026-03-04 10:00", "2026-03-06 10:00", "2026-03-11 17:30"),  # ends of Wed and Thu were lost
        (DAYS, "2026-03-02 09:00", "2026-03-04 10:00", "2026-03-04 16:00", "2026-03-09 17:30"),  # within one day: none was
        (DAYS, "2026-03-02 09:00", "2026-03-07 10:00", "2026-03-08 10:00", "2026-03-09 17:30"),  # a weekend: none
        (DAYS, "2026-03-02 09:00", "2026-03-02 10:00", "2026-03-04 10:00", "2026-03-10 17:30"),  # the day of the start counts neither way
        (DAYS, "2026-03-02 09:00", "2026-03-09 17:29", "2026-03-09 17:31", "2026-03-10 17:30"),  # over the last close: one day more
        (CALENDAR_DAYS, "2026-01-01 10:00", "2026-01-05 10:00", "2026-01-07 10:00", "2026-01-20 00:00"),  # the 18th is a Sunday: 19th
        (CALENDAR_DAYS, "2026-02-02 10:00", "2026-02-20 10:00", "2026-02-26 10:00", "2026-02-27 00:00"),  # a rolled day within a pause
        (
            BUSINESS,
            "2026-03-02 10:00",
            "2026-03-02 11:00",
            "2026-03-02 15:00",
            "2026-03-03 12:00",
        ),  # 1 h before and 1 h after lunch are lost
        (BUSINESS, "2026-03-02 10:00", "2026-03-02 12:00", "2026-03-02 14:00", "2026-03-03 10:00"),  # lunch is free
        (HOURS, "2026-03-02 10:00", "2026-03-02 11:00", "2026-03-02 12:30", "2026-03-02 13:30"),
    ],
)
def test_a_pause_moves_the_deadline_in_the_unit_of_the_clock(of: Rule, started: str, since: str, until: str, expected: str) -> None:
    assert due_of(paused(begun(of, started), of, since, until)) == expected


def test_a_pause_after_the_due_time_moves_nothing_but_the_marks_after_it() -> None:
    clock = paused(begun(HOURS, "2026-03-02 10:00"), HOURS, "2026-03-02 12:30", "2026-03-02 14:30")
    assert due_of(clock) == "2026-03-02 12:00"
    assert written(moment(clock, CAL, 1500)) == "2026-03-02 15:00"


def test_while_it_is_paused_a_clock_tells_nothing_and_its_light_stands() -> None:
    clock = begun(HOURS, "2026-03-02 10:00")
    held = pause(clock, HOURS, "appraisal", at("2026-03-02 11:00"), "lead")
    assert marks(held, HOURS, CAL) == []
    assert light(held, HOURS, CAL, at("2026-03-09 11:00")) is Light.GREEN
    assert share(held, CAL, at("2026-03-09 11:00")) == 500
    assert elapsed(held, CAL, at("2026-03-09 11:00")) == HOUR
    assert held.due_at == clock.due_at


def test_marks_are_told_in_order_and_the_light_follows_them() -> None:
    clock = begun(HOURS, "2026-03-02 10:00")
    told = [(written(m.at), m.mark) for m in marks(clock, HOURS, CAL)]
    assert told == [("2026-03-02 11:30", Mark.WARNING), ("2026-03-02 12:00", Mark.DUE), ("2026-03-02 13:00", Mark.OVERDUE)]
    moments = ["2026-03-02 11:29", "2026-03-02 11:30", "2026-03-02 12:00", "2026-03-02 13:00"]
    assert [light(clock, HOURS, CAL, at(one)) for one in moments] == list(Light)
    assert light(clock, HOURS, CAL, clock.due_at - 1) is Light.YELLOW
    breached = tell(tell(clock, Mark.WARNING), Mark.DUE)
    assert [m.mark for m in marks(breached, HOURS, CAL)] == [Mark.OVERDUE]
    assert breached.breached_at == clock.due_at


def test_a_warning_that_a_pause_brought_on_comes_when_it_ends() -> None:
    of = rule(Unit.WORKING_DAY, 1)
    clock = paused(begun(of, "2026-03-02 17:30"), of, "2026-03-03 14:00", "2026-03-03 17:00")
    assert due_of(clock) == "2026-03-03 17:30", "3.5 of now 4 h are gone"
    assert next((written(m.at), m.mark) for m in marks(clock, of, CAL)) == ("2026-03-03 17:00", Mark.WARNING)
    assert light(clock, of, CAL, at("2026-03-03 17:00")) is Light.YELLOW


def test_a_policy_may_do_without_warning_and_without_deep_red() -> None:
    bare = rule(Unit.MS, 2 * HOUR, warning=0, overdue=0)
    clock = begun(bare, "2026-03-02 10:00")
    assert [m.mark for m in marks(clock, bare, CAL)] == [Mark.DUE]
    assert light(clock, bare, CAL, at("2026-03-02 11:59")) is Light.GREEN
    assert light(clock, bare, CAL, at("2026-04-02 12:00")) is Light.RED


def test_the_warning_of_a_limit_in_days_comes_at_its_share_of_business_time() -> None:
    clock = begun(rule(Unit.WORKING_DAY, 1), "2026-03-02 17:30")
    first = marks(clock, rule(Unit.WORKING_DAY, 1), CAL)[0]
    assert written(first.at) == "2026-03-03 15:45", "3.5 h and 1.75 of 7 h"


def test_the_warning_of_a_limit_in_calendar_days_comes_at_its_share_of_the_clock_on_the_wall() -> None:
    of = rule(Unit.CALENDAR_DAY, 1, until=Until.MIDNIGHT)
    assert written(marks(begun(of, "2026-03-02 16:00"), of, CAL)[0].at) == "2026-03-03 16:00", "24 of 32 h"


def test_a_last_day_without_an_hour_of_business_left_by_pauses_has_its_marks_at_the_end() -> None:
    clock = paused(begun(NIGHTS, "2026-03-02 20:00"), NIGHTS, "2026-03-03 08:00", "2026-03-03 18:00")
    assert due_of(clock) == "2026-03-04 00:00"
    assert {m.at for m in marks(clock, NIGHTS, CAL)} == {clock.due_at}
    assert (share(clock, CAL, clock.due_at - 1), share(clock, CAL, clock.due_at)) == (0, 1000)
    assert [m.mark for m in marks(clock, NIGHTS, CAL)] == [Mark.WARNING, Mark.DUE, Mark.OVERDUE]


def test_only_a_running_clock_that_may_pause_is_paused_and_only_a_paused_one_resumed() -> None:
    clock, never = begun(HOURS, "2026-03-02 10:00"), rule(Unit.MS, HOUR, pausable=False)
    held = pause(clock, HOURS, "appraisal", at("2026-03-02 11:00"), "lead")
    done = stop(clock, HOURS, CAL, at("2026-03-02 11:00"), at("2026-03-02 11:00"))
    for one, of in ((held, HOURS), (done, HOURS), (clock, never)):
        assert not may_pause(one, of)
        with pytest.raises(ValueError, match="stopped, paused or never pauses"):
            pause(one, of, "appraisal", at("2026-03-02 12:00"), "lead")
    for one in (clock, done):
        with pytest.raises(ValueError, match="not paused"):
            resume(one, HOURS, CAL, at("2026-03-02 12:00"))
    with pytest.raises(ValueError, match="not paused"):
        resume(held, HOURS, CAL, at("2026-03-02 10:59"))
    with pytest.raises(ValueError, match="begins after"):
        pause(resume(held, HOURS, CAL, at("2026-03-02 11:30")), HOURS, "appraisal", at("2026-03-02 11:29"), "lead")
    with pytest.raises(ValueError, match=r"^a pause begins after the start and after the last pause$"):
        pause(clock, HOURS, "appraisal", at("2026-03-02 09:59"), "lead")
    first = start(HOURS, CAL, 0, "desk", "town")
    assert pause(first, HOURS, "appraisal", 0, "lead").pauses == (Pause("appraisal", 0, 0, "lead"),)


def test_a_pause_keeps_its_ground_and_who_approved_it_and_may_begin_with_the_clock_or_where_the_last_ended() -> None:
    clock = begun(HOURS, "2026-03-02 10:00")
    held = pause(clock, HOURS, "appraisal", at("2026-03-02 10:00"), "lead")
    assert held.pauses == (Pause("appraisal", at("2026-03-02 10:00"), 0, "lead"),)
    again = resume(held, HOURS, CAL, at("2026-03-02 10:00"))
    assert again.pauses == (Pause("appraisal", at("2026-03-02 10:00"), at("2026-03-02 10:00"), "lead"),)
    twice = pause(again, HOURS, "court", at("2026-03-02 10:00"), "boss")
    assert twice.pauses == (*again.pauses, Pause("court", at("2026-03-02 10:00"), 0, "boss"))


def test_a_mark_whose_new_time_is_now_is_not_told_again() -> None:
    clock = tell(begun(HOURS, "2026-03-02 10:00"), Mark.WARNING)
    for minute, told in (("12:15", [Mark.DUE, Mark.OVERDUE]), ("12:14", [Mark.WARNING, Mark.DUE, Mark.OVERDUE])):
        longer = retarget(clock, HOURS, CAL, 3 * HOUR, at(f"2026-03-02 {minute}"))
        assert [m.mark for m in marks(longer, HOURS, CAL)] == told


def test_another_target_dates_a_breach_anew_or_withdraws_it_and_a_clock_without_one_has_none() -> None:
    late = tell(tell(begun(HOURS, "2026-03-02 10:00"), Mark.WARNING), Mark.DUE)
    moved = retarget(late, HOURS, CAL, HOUR, at("2026-03-02 13:00"))
    assert (written(moved.breached_at), moved.retracted, moved.budget) == ("2026-03-02 11:00", False, HOUR)
    ahead = retarget(late, HOURS, CAL, 4 * HOUR, at("2026-03-02 13:00"))
    assert (written(ahead.breached_at), ahead.retracted) == ("2026-03-02 12:00", True)
    early = retarget(begun(HOURS, "2026-03-02 10:00"), HOURS, CAL, HOUR, at("2026-03-02 10:30"))
    assert (early.breached_at, early.retracted) == (0, False)


@pytest.mark.parametrize(("now", "thousandths"), [("11:00", 500), ("10:00", 0), ("10:01", 8), ("12:00", 1000), ("13:00", 1500)])
def test_how_far_a_clock_is_comes_in_whole_thousandths(now: str, thousandths: int) -> None:
    found = share(begun(HOURS, "2026-03-02 10:00"), CAL, at(f"2026-03-02 {now}"))
    assert (found, type(found)) == (thousandths, int)


def test_an_extension_is_granted_once_before_due_and_no_longer_than_allowed() -> None:
    clock = begun(DAYS, "2026-03-02 09:00")
    longer = extend(clock, DAYS, CAL, 5, clock.due_at - 1)
    assert due_of(longer) == "2026-03-16 17:30"
    refused = [(longer, DAYS, 1, longer.started_at), (clock, DAYS, 5, clock.due_at), (clock, DAYS, 6, clock.started_at)]
    refused += [(clock, DAYS, 0, clock.started_at), (clock, rule(Unit.WORKING_DAY, 5), 1, clock.started_at)]
    refused.append((stop(clock, DAYS, CAL, clock.started_at, clock.started_at), DAYS, 1, clock.started_at))
    for one, of, amount, now in refused:
        assert not may_extend(one, of, amount, now)
        with pytest.raises(ValueError, match="may not be extended"):
            extend(one, of, CAL, amount, now)


def test_a_clock_paused_before_it_was_due_may_still_be_extended_later() -> None:
    clock = pause(begun(HOURS, "2026-03-02 10:00"), HOURS, "appraisal", at("2026-03-02 11:00"), "lead")
    longer = extend(clock, HOURS, CAL, HOUR, at("2026-03-05 11:00"))
    assert due_of(resume(longer, HOURS, CAL, at("2026-03-05 12:00"))) == "2026-03-05 14:00"


def test_a_warning_is_told_again_when_an_extension_puts_it_off() -> None:
    clock = tell(begun(HOURS, "2026-03-02 10:00"), Mark.WARNING)
    longer = extend(clock, HOURS, CAL, HOUR, at("2026-03-02 11:40"))
    assert [m.mark for m in marks(longer, HOURS, CAL)] == [Mark.WARNING, Mark.DUE, Mark.OVERDUE]
    assert light(longer, HOURS, CAL, at("2026-03-02 11:40")) is Light.GREEN
    late = extend(clock, HOURS, CAL, 60_000, at("2026-03-02 11:50"))
    assert [m.mark for m in marks(late, HOURS, CAL)] == [Mark.DUE, Mark.OVERDUE], "its new time has passed too"


BACKDATED = rule(Unit.MS, 2 * HOUR, backdating_ms=3 * HOUR)


def breached() -> Clock:
    return tell(tell(begun(BACKDATED, "2026-03-02 10:00"), Mark.WARNING), Mark.DUE)


def test_work_done_in_time_and_told_late_withdraws_the_breach_and_keeps_it() -> None:
    done = stop(breached(), BACKDATED, CAL, at("2026-03-02 11:45"), at("2026-03-02 14:00"))
    assert (written(done.stopped_at), done.retracted, done.breached_at) == ("2026-03-02 11:45", True, done.due_at)
    assert light(done, BACKDATED, CAL, at("2026-03-09 14:00")) is Light.YELLOW
    assert marks(done, BACKDATED, CAL) == []


@pytest.mark.parametrize(
    ("done_at", "told_at", "stopped_at"),
    [
        ("2026-03-02 12:00", "2026-03-02 14:00", "2026-03-02 12:00"),  # at the due time is late
        ("2026-03-02 11:30", "2026-03-02 14:31", "2026-03-02 14:31"),  # further back than the policy lets it lie
        ("2026-03-02 15:00", "2026-03-02 14:00", "2026-03-02 14:00"),  # in the future
    ],
)
def test_a_completion_that_came_late_or_is_dated_beyond_bounds_leaves_the_breach(done_at: str, told_at: str, stopped_at: str) -> None:
    done = stop(breached(), BACKDATED, CAL, at(done_at), at(told_at))
    assert (written(done.stopped_at), done.retracted) == (stopped_at, False)
    assert light(done, BACKDATED, CAL, at("2026-03-09 14:00")) in (Light.RED, Light.DEEP_RED)


def test_work_never_ends_before_it_began_and_a_stopped_clock_stays() -> None:
    clock = begun(BACKDATED, "2026-03-02 10:00")
    done = stop(clock, BACKDATED, CAL, at("2026-03-02 09:00"), at("2026-03-02 10:30"))
    assert done.stopped_at == clock.started_at
    assert stop(done, BACKDATED, CAL, at("2026-03-02 10:30"), at("2026-03-02 10:30")) is done


def test_a_stop_ends_a_pause_that_lasts() -> None:
    held = pause(begun(BACKDATED, "2026-03-02 10:00"), BACKDATED, "appraisal", at("2026-03-02 11:00"), "lead")
    done = stop(held, BACKDATED, CAL, at("2026-03-02 12:30"), at("2026-03-02 12:30"))
    assert (done.pauses[0].until, elapsed(done, CAL, at("2026-03-09 09:00"))) == (at("2026-03-02 12:30"), HOUR)
    before = stop(held, BACKDATED, CAL, at("2026-03-02 10:30"), at("2026-03-02 12:30"))
    assert (written(before.stopped_at), before.pauses[0].until) == ("2026-03-02 10:30", at("2026-03-02 11:00"))


def test_every_change_of_a_clock_raises_its_epoch() -> None:
    clock = begun(HOURS, "2026-03-02 10:00")
    held = pause(clock, HOURS, "appraisal", at("2026-03-02 10:30"), "lead")
    again = resume(held, HOURS, CAL, at("2026-03-02 10:40"))
    longer = extend(again, HOURS, CAL, HOUR, at("2026-03-02 10:50"))
    done = stop(longer, HOURS, CAL, at("2026-03-02 11:00"), at("2026-03-02 11:00"))
    assert [one.epoch for one in (clock, held, again, longer, done)] == [0, 1, 2, 3, 4]
    assert replace(tell(clock, Mark.WARNING), told=0) == clock, "telling is none"
