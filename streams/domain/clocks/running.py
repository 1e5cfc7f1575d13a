"""What of a clock's time counts: all since its start but its pauses. Deadlines come out of the struct anew each time; nothing drifts.

A pause that still lasts is taken as if it ended at once, and who asks about a later moment is answered for its beginning (`point`).
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.calendar import Calendar, date_of
from schemas.clocks import THOUSAND, Unit, Until
from schemas.state.clock import Clock, Pause
from streams.domain.clocks.working import add_working, day_end, day_of, first_unended, rolled, working_between

OF_BUSINESS = frozenset({Unit.WORKING_MS.value, Unit.WORKING_DAY.value})
IN_DAYS = {unit.value: unit.in_days for unit in Unit}  # KeyError for a word that is none
ENDS = {until.value: until for until in Until}


class Days(NamedTuple):
    """How a limit in days was counted."""

    nominal: int  # the last day by count
    last: int  # the last day, rolled past days of rest and pauses
    shifts: tuple[int, ...]  # days that each pause added before the nominal day


def due_time(clock: Clock, cal: Calendar) -> int:
    """When the budget and its extension are used up. Never within a pause, never earlier for a pause.

    ValueError unless `cal` is the version that the clock names.
    """
    if cal.version != clock.calendar:
        raise ValueError(f"the clock {clock.purpose} counts by {clock.calendar}, not by {cal.version}")
    if IN_DAYS[clock.unit]:
        return day_end(cal, count_days(clock, cal).last, ENDS[clock.until])
    return _reach(clock, cal, clock.budget + clock.extended)


def is_provisional(clock: Clock, cal: Calendar) -> bool:
    """Whether a notice still to come may move the deadline: it lies beyond the published days. Wall-clock limits never are."""
    return clock.unit != Unit.MS and any(cal.is_provisional(date_of(day_of(at))) for at in (clock.started_at, clock.due_at - 1))


def count_days(clock: Clock, cal: Calendar) -> Days:
    """A day is used up at its end, and a day that ends within a pause is not: the limit is one day longer for each.

    So a pause that opens and closes between two ends of business costs nothing, and a deadline never passes within a pause. The law says
    that such time is not counted (医疗纠纷预防和处理条例 38) and not how; this is our reading.
    """
    working, until = clock.unit == Unit.WORKING_DAY, ENDS[clock.until]

    def index(day: int) -> int:
        return cal.workdays_before(day) if working else day

    first = index(day_of(clock.started_at) + 1)  # 民法典 201: the day of the start does not count
    end = first + clock.budget + clock.extended
    shifts = []
    for pause in clock.pauses:
        ended = max(first, index(first_unended(cal, pause.since, until)))
        shift = max(ended, index(first_unended(cal, _end(pause), until))) - ended if ended < end else 0
        shifts.append(shift)
        end += shift
    nominal = cal.workday(end - 1) if working else end - 1
    last = rolled(cal, nominal)
    for pause in clock.pauses:
        if pause.since < day_end(cal, last, until) <= _end(pause):  # only a rolled day can still end within a pause
            last = rolled(cal, first_unended(cal, _end(pause), until))
    return Days(nominal, last, tuple(shifts))


def point(clock: Clock, now: int) -> int:
    """The moment a clock has got to: `now`, or where it stopped or a pause holds it."""
    if clock.stopped_at:
        return min(now, clock.stopped_at)
    return min(now, clock.pauses[-1].since) if is_paused(clock) else now


def is_paused(clock: Clock) -> bool:
    return bool(clock.pauses) and not clock.pauses[-1].until


def elapsed(clock: Clock, cal: Calendar, now: int) -> int:
    """Running time up to `now` in milliseconds: of business for units of working time, else of the wall clock."""
    return _running(clock, cal, point(clock, now))


def share(clock: Clock, cal: Calendar, now: int) -> int:
    """Running time in thousandths of that between start and deadline."""
    total = _running(clock, cal, clock.due_at)
    if total:
        return elapsed(clock, cal, now) * THOUSAND // total
    return THOUSAND if point(clock, now) >= clock.due_at else 0  # pauses left no business hour of the last day


def moment(clock: Clock, cal: Calendar, thousandths: int) -> int:
    """When the running time reaches a share of that between start and deadline; 1000 is the deadline itself."""
    total = _running(clock, cal, clock.due_at)
    if thousandths == THOUSAND or not total:
        return clock.due_at
    return _reach(clock, cal, -(-total * thousandths // THOUSAND))  # rounded up: what comes after due stays after it


def paused_time(clock: Clock, cal: Calendar, pause: Pause) -> int:
    """Length of a pause in the clock's running time."""
    return _between(clock, cal, pause.since, _end(pause))


def _running(clock: Clock, cal: Calendar, to: int) -> int:
    total = _between(clock, cal, clock.started_at, max(to, clock.started_at))
    for pause in clock.pauses:
        if pause.since < to:
            total -= _between(clock, cal, pause.since, min(_end(pause), to))
    return total


def _reach(clock: Clock, cal: Calendar, amount: int) -> int:
    """The earliest moment at which the running time is `amount`."""
    at = clock.started_at
    for pause in clock.pauses:
        free = _between(clock, cal, at, pause.since)
        if free >= amount:
            break
        amount -= free
        at = _end(pause)
    return add_working(cal, at, amount) if _in_business(clock) else at + amount


def _between(clock: Clock, cal: Calendar, a: int, b: int) -> int:
    return working_between(cal, a, b) if _in_business(clock) else b - a


def _in_business(clock: Clock) -> bool:
    return clock.unit in OF_BUSINESS


def _end(pause: Pause) -> int:
    return pause.until or pause.since
