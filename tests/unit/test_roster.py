"""Who is on duty by the calendar that is given, and when that changes, to the millisecond."""

from __future__ import annotations

from datetime import date

from schemas.calendar import HOLIDAY, WORKDAY, Calendar, Day
from schemas.people.records import Layer, Override, Roster, Turn, Window
from streams.domain.people.roster import Shift, Stretch, gaps, next_change, on_duty, shifts
from tests.clocks import at

HOUR, DAY = 3_600_000, 86_400_000
MONDAY = at("2026-11-23 00:00")
LI = Layer("day", (Turn(("li",)),), 1440, MONDAY - DAY, 0, (Window(0, 1440, "working", ()),))
CLOSED = Calendar("cn-closed", date(2026, 11, 23), [Day(HOLIDAY, "x", "x")] + [Day(WORKDAY)] * 30)
"""In it Monday 23 November is a day off."""


def roster(*layers: Layer, overrides: tuple[Override, ...] = ()) -> Roster:
    return Roster(desk="440305-desk", layers=layers, overrides=overrides, swaps=())


def test_the_calendar_that_is_given_says_which_days_are_worked() -> None:
    one = roster(LI)
    assert (on_duty(one, MONDAY), on_duty(one, MONDAY, days=CLOSED)) == (("li",), ())
    assert gaps(one, MONDAY, MONDAY + 2 * DAY) == ()
    assert gaps(one, MONDAY, MONDAY + 2 * DAY, days=CLOSED) == (Stretch(MONDAY, MONDAY + DAY),)
    assert shifts(one, MONDAY, MONDAY + 2 * DAY, days=CLOSED) == (
        Shift(MONDAY, MONDAY + DAY, ()), Shift(MONDAY + DAY, MONDAY + 2 * DAY, ("li",)),
    )  # fmt: skip
    assert next_change(one, MONDAY, days=CLOSED) == MONDAY + DAY
    assert next_change(one, MONDAY) == MONDAY + 5 * DAY, "a Saturday"


def test_a_change_in_the_next_millisecond_is_the_next_one_and_one_of_this_moment_has_been() -> None:
    li = Layer("day", (Turn(("li",)),), 1440, MONDAY - DAY, 0, ())
    soon = roster(li, overrides=(Override("wang", MONDAY + 1, MONDAY + HOUR, "leave"),))
    assert next_change(soon, MONDAY) == MONDAY + 1
    been = roster(li, overrides=(Override("wang", MONDAY - 1, MONDAY, "leave"),))
    assert next_change(been, MONDAY) is None
