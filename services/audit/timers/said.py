"""The clocks that an event says it started or changed, against those that it had to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.audit.timers.case import Case, Touched
from services.audit.timers.clocks import Clock
from services.audit.timers.rules import name_of

Found = tuple[str, str, Clock | None, int]  # name, text, the clock and the due time that the log names for it


def compare_clocks(case: Case, event: Any, touched: list[Touched]) -> Iterator[Found]:
    left = list(touched)
    for said in event.clocks:
        key = (said.purpose, said.holder, said.started_at)
        mine = next((one for one in left if one.clock.key == key and name_of(one.clock.rule) == said.policy), None)
        if mine:
            left.remove(mine)
            yield from _one(said, mine)
        elif not said.stopped_at:
            held = next((clock for clock in case.clocks if clock.key == key and name_of(clock.rule) == said.policy), None)
            if held:
                yield from _one(said, Touched(held, 0))
            else:
                yield "wrong_clock", f"a clock {said.purpose} on {said.holder} since {said.started_at} runs by {said.policy}", None, 0
    for one in left:
        yield "wrong_clock", f"nothing is said of the clock {one.clock.key} by {name_of(one.clock.rule)}", None, 0


def _one(said: Any, mine: Touched) -> Iterator[Found]:
    clock, what = mine.clock, f"the clock {said.purpose} on {said.holder} since {said.started_at}"
    if said.due_at not in (clock.due, clock.odd):
        yield "wrong_due", f"{what} is due {clock.due}, the log says {said.due_at}", clock, said.due_at
    if said.stopped_at != mine.stopped_at:
        yield "wrong_stop", f"{what} stopped at {mine.stopped_at}, the log says {said.stopped_at}", None, 0
    if (said.breached_at, said.retracted) != (clock.breached, clock.retracted):
        text = f"{what} is breached at {clock.breached}, withdrawn {clock.retracted}; the log says {said.breached_at}, {said.retracted}"
        yield "wrong_breach", text, None, 0
