"""Who is on duty: a roster and a moment in, persons out. Pure; resolved whenever it is asked, so a changed roster holds at once.

From above: overrides, then the layers in the order of the roster. The first that has somebody who can come is the answer; so whoever is
away (left, not active) leaves no hole where a lower layer has someone. A swap puts another person into a layer's turn; where the other one
can't come, the first one stays. Hence neither an override nor a swap makes a gap that was not there.

Times are UTC milliseconds. Shanghai has been UTC+8 without summer time since 1991, so days and turns have one length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from schemas.calendar import MINUTE_MS, Calendar, calendar, date_of
from schemas.people.records import DAY_MINUTES, Days, Layer, Roster, Window

DAY_MS = DAY_MINUTES * MINUTE_MS
ZONE_MS = 8 * 60 * MINUTE_MS
LOOK_AHEAD_MS = 62 * DAY_MS  # a change that is farther away is none


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` up to, not including, `until`."""

    start: int
    until: int

    def holds(self, at: int) -> bool:
        return self.start <= at < self.until


@dataclass(frozen=True, slots=True)
class Shift(Stretch):
    """The same persons throughout; none: a gap."""

    persons: tuple[str, ...]


Away = Mapping[str, tuple[Stretch, ...]]
"""Persons who can't be on duty, and when: they have left, or their posts have ended."""
NOBODY: Away = {}


def on_duty(roster: Roster, at: int, away: Away = NOBODY, days: Calendar | None = None) -> tuple[str, ...]:
    """User ids of those on duty at `at`, each once, in the roster's order; empty: nobody. `days`: the latest calendar without one."""
    over = _present((one.person for one in roster.overrides if one.start <= at < one.until), at, away)
    if over:
        return over
    stand_ins = {one.person: one.by for one in roster.swaps if one.start <= at < one.until and not _is_away(one.by, at, away)}
    for layer in roster.layers:
        persons = _turn(layer, at, days or calendar())
        there = _present((stand_ins.get(person, person) for person in persons), at, away)
        if there:
            return there
    return ()


def shifts(roster: Roster, since: int, until: int, away: Away = NOBODY, days: Calendar | None = None) -> tuple[Shift, ...]:
    """The whole of [since, until) as shifts, each as long as the same persons are on duty."""
    found: list[Shift] = []
    known = days or calendar()
    moments = [since, *_boundaries(roster, since, until, away), until]
    for start, end in pairwise(moments):
        if start >= end:
            continue
        persons = on_duty(roster, start, away, known)
        if found and found[-1].persons == persons:
            found[-1] = Shift(found[-1].start, end, persons)
        else:
            found.append(Shift(start, end, persons))
    return tuple(found)


def gaps(roster: Roster, since: int, until: int, away: Away = NOBODY, days: Calendar | None = None) -> tuple[Stretch, ...]:
    """Stretches of [since, until) with nobody on duty, in order; two never touch."""
    return tuple(Stretch(one.start, one.until) for one in shifts(roster, since, until, away, days) if not one.persons)


def next_change(roster: Roster, at: int, away: Away = NOBODY, days: Calendar | None = None) -> int | None:
    """The first moment after `at` at which others are on duty; None where that is not within `LOOK_AHEAD_MS`."""
    known = days or calendar()
    now = on_duty(roster, at, away, known)
    step, start, end = DAY_MS, at + 1, at + LOOK_AHEAD_MS
    while start < end:
        upto = min(start + step, end)
        for moment in _boundaries(roster, start, upto, away):
            if on_duty(roster, moment, away, known) != now:
                return moment
        start, step = upto, step * 2
    return None


def _present(persons: Iterable[str], at: int, away: Away) -> tuple[str, ...]:
    return tuple(dict.fromkeys(person for person in persons if not _is_away(person, at, away)))


def _is_away(person: str, at: int, away: Away) -> bool:
    return person in away and any(one.holds(at) for one in away[person])


def _turn(layer: Layer, at: int, days: Calendar) -> tuple[str, ...]:
    """Whose turn it is; empty where the layer is silent."""
    if at < layer.starts_at or (layer.until and at >= layer.until) or not layer.turns:
        return ()
    if layer.windows and not any(_is_open(window, at, days) for window in layer.windows):
        return ()
    return layer.turns[(at - layer.starts_at) // (layer.length * MINUTE_MS) % len(layer.turns)].persons


def _is_open(window: Window, at: int, days: Calendar) -> bool:
    day, within = divmod(at + ZONE_MS, DAY_MS)
    minute = within // MINUTE_MS
    if window.until > window.start:
        return window.start <= minute < window.until and _opens_on(window, day, days)
    if minute >= window.start:
        return _opens_on(window, day, days)
    return minute < window.until and _opens_on(window, day - 1, days)  # it opened yesterday


def _opens_on(window: Window, day: int, days: Calendar) -> bool:
    date = date_of(day)
    if window.weekdays and date.isoweekday() not in window.weekdays:
        return False
    return window.days == Days.EVERY or days.is_workday(date) == (window.days == Days.WORKING)


def _boundaries(roster: Roster, since: int, until: int, away: Away) -> list[int]:
    """Every moment of [since, until) at which something may change, in order. More than need be: nothing changes between two."""
    moments: set[int] = set()
    for layer in roster.layers:
        moments.update(_edges(layer, since, until))
    for over in roster.overrides:
        moments.update((over.start, over.until))
    for swap in roster.swaps:
        moments.update((swap.start, swap.until))
    for stretches in away.values():
        for stretch in stretches:
            moments.update((stretch.start, stretch.until))
    ordered = sorted(moments)
    return ordered[bisect_right(ordered, since - 1) : bisect_right(ordered, until - 1)]


def _edges(layer: Layer, since: int, until: int) -> Iterator[int]:
    yield layer.starts_at
    yield layer.until
    if len(layer.turns) > 1:
        length = layer.length * MINUTE_MS
        first = layer.starts_at + max(0, -(-(since - layer.starts_at) // length)) * length
        yield from range(first, until, length)
    if layer.windows:
        midnight = (since + ZONE_MS) // DAY_MS * DAY_MS - ZONE_MS
        minutes = {minute for window in layer.windows for minute in (window.start, window.until)}
        for day in range(midnight, until, DAY_MS):
            yield day  # a window over midnight depends on the day before
            yield from (day + minute * MINUTE_MS for minute in minutes)
