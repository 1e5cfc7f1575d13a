"""A deadline and why it is the deadline: every step from rule to due time, for screens, receipts and whoever disputes it.

The steps add up. Working days: the days from start to end are budget, extension, days of rest and days of pauses. Calendar days: budget,
extension, days of pauses and days rolled. Business hours: the business time between is budget, extension and that of the pauses.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from schemas import calendar
from schemas.calendar import Calendar, Day, date_of, number
from schemas.clocks import Rule, Unit
from schemas.state.clock import Clock
from streams.domain.clocks.running import count_days, is_provisional, paused_time
from streams.domain.clocks.working import add_working, day_of, day_start

START_EXCLUDED = "民法典第201条第1款"
FROM_THE_MOMENT = "民法典第201条第2款"
ROLLED = "民法典第203条第1款"
LAST_DAY = "民法典第203条第2款"


class Kind(StrEnum):
    """What a step is."""

    RULE = "rule"  # the budget, and the paper it rests on
    EXTENSION = "extension"  # granted on top
    START = "start"  # where counting begins: after the day of the start, at the next opening, or at once
    REST = "rest"  # weekend days that do not count
    HOLIDAY = "holiday"  # days of a public holiday, by name
    MAKE_UP = "make_up"  # a weekend day on which one works, so that it counts
    PAUSE = "pause"  # a stretch that does not count, and why; none that cost nothing
    ROLLED = "rolled"  # the last day was one of rest (or ended within a pause)
    END = "end"  # close of business or 24:00 of the last day
    PROVISIONAL = "provisional"  # beyond the published days: a notice may still move it


KINDS = {calendar.WEEKEND: Kind.REST, calendar.HOLIDAY: Kind.HOLIDAY, calendar.MAKE_UP: Kind.MAKE_UP}


class Step(NamedTuple):
    """`since` to `until`: the stretch it speaks of, UTC milliseconds. `amount`: days for steps that are days, else in the clock's unit."""

    kind: Kind
    since: int
    until: int
    amount: int = 0
    text: str = ""  # article, paper, name of the holiday, or reason code of the pause
    text_en: str = ""  # name of the holiday in English


class Due(NamedTuple):
    at: int
    provisional: bool  # beyond the published days
    steps: tuple[Step, ...] = ()


def due(clock: Clock, cal: Calendar) -> Due:
    """The deadline alone; `explain` says why."""
    return Due(clock.due_at, is_provisional(clock, cal))


def explain(clock: Clock, rule: Rule, cal: Calendar) -> Due:
    """The deadline with its derivation. While a pause lasts, as if it ended at once."""
    at, provisional, _ = due(clock, cal)
    head = [Step(Kind.RULE, clock.started_at, at, clock.budget, rule.source)]
    if clock.extended:
        head.append(Step(Kind.EXTENSION, clock.started_at, at, clock.extended))
    counted = _days(clock, cal) if Unit(clock.unit).in_days else _time(clock, cal)
    tail = [Step(Kind.PROVISIONAL, day_start(number(cal.published_until) + 1), at)] if provisional else []
    return Due(at, provisional, (*head, *counted, *tail))


def _time(clock: Clock, cal: Calendar) -> Iterator[Step]:
    """The steps of a limit in hours."""
    since = opening = clock.started_at
    steps: list[Step] = []
    if clock.unit == Unit.WORKING_MS:
        opening = add_working(cal, since, 1) - 1  # a millisecond before the first that counts is over
        steps += _kinds(cal, day_of(since), day_of(clock.due_at - 1))
    for pause in clock.pauses:
        length = paused_time(clock, cal, pause)
        if length and pause.since < clock.due_at:
            steps.append(Step(Kind.PAUSE, pause.since, pause.until, length, pause.reason))
    yield Step(Kind.START, since, opening, 0, FROM_THE_MOMENT if opening == since else "")
    yield from sorted(steps, key=_since)


def _days(clock: Clock, cal: Calendar) -> Iterator[Step]:
    """The steps of a limit in days."""
    first, count = day_of(clock.started_at), count_days(clock, cal)
    steps = list(_kinds(cal, first + 1, count.last)) if clock.unit == Unit.WORKING_DAY else []
    for pause, shift in zip(clock.pauses, count.shifts, strict=True):
        if shift:
            steps.append(Step(Kind.PAUSE, pause.since, pause.until, shift, pause.reason))
    yield Step(Kind.START, day_start(first), day_start(first + 1), 1, START_EXCLUDED)
    yield from sorted(steps, key=_since)
    if count.last > count.nominal:
        yield Step(Kind.ROLLED, day_start(count.nominal), day_start(count.last), count.last - count.nominal, ROLLED)
    yield Step(Kind.END, day_start(count.last), clock.due_at, 1, LAST_DAY)


def _since(step: Step) -> int:
    return step.since


def _kinds(cal: Calendar, first: int, last: int) -> Iterator[Step]:
    """Days of rest and make-up days from first to last, in runs of one kind and name."""

    def kind(day: int) -> Day:
        return cal.day(date_of(day))

    for found, run in groupby(range(first, last + 1), kind):
        if found.kind in KINDS:
            days = list(run)
            yield Step(KINDS[found.kind], day_start(days[0]), day_start(days[-1] + 1), len(days), found.name_zh, found.name_en)
