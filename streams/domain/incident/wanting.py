"""What a case waits for by itself: marks of its clocks, steps of their ladders and acknowledgements of them, the end of a suspension, the
review of a shelf."""

from __future__ import annotations

from typing import NamedTuple

from schemas.calendar import calendar
from schemas.clocks import THOUSAND, Mark
from schemas.state.clock import Clock, key_of
from schemas.state.incident_case.event import IncidentCase
from streams.domain.clocks.clock import coming, marks
from streams.domain.clocks.running import is_paused, moment
from streams.domain.incident import rules
from streams.domain.incident.chains import chain_of
from streams.domain.incident.rules import Ack, Step
from streams.domain.incident.table import ENDED_TEXTS

MARK, STEP, AGAIN, RESUME, REVIEW = range(5)  # in this order at one moment


class Wanted(NamedTuple):
    """They sort by time, then as they are to be done."""

    at: int  # UTC milliseconds
    kind: int
    clock: int = -1  # index of the clock
    mark: int = 0


def wanted(state: IncidentCase) -> list[Wanted]:
    """Everything that is still to come by itself; nothing for an ended case."""
    if state.state in ENDED_TEXTS:
        return []
    found = []
    for index, clock in enumerate(state.clocks):
        if clock.stopped_at or is_paused(clock):
            continue
        rule = rules.rule_of(state.policy_version, clock.policy)
        cal = calendar(clock.calendar)
        found += [Wanted(due.at, MARK, index, due.mark) for due in marks(clock, rule, cal)]
        step = next_step(state, clock)
        if step is not None:
            found.append(Wanted(coming(clock, cal, step.share), STEP, index))
        chain = chain_of(state, clock) if state.awaiting else ()
        if chain:
            found.append(Wanted(chain[0].until, AGAIN, index))
    if state.suspended:
        found.append(Wanted(state.suspended.until, RESUME))
    if state.shelved:
        found.append(Wanted(state.shelved.review_at, REVIEW))
    return found


def next_due(state: IncidentCase) -> int:
    """When the case wants to be woken, UTC milliseconds; 0: never."""
    if state.state in ENDED_TEXTS:
        return 0
    earliest = [at for clock in state.clocks if (at := _earliest(state, clock))]
    earliest += [one.until for one in state.awaiting]
    if state.suspended:
        earliest.append(state.suspended.until)
    if state.shelved:
        earliest.append(state.shelved.review_at)
    return min(earliest, default=0)


def next_step(state: IncidentCase, clock: Clock) -> Step | None:
    """The step of the clock's ladder that comes next at its own share: one that was not told yet, or whose paper is still to be issued.
    None: no more."""
    ladder = _ladder(state, clock)
    told, passed = climbed(state, clock)
    return next((step for step in ladder[passed:] if step.number > told or step.rung), None)


def step_of_silence(state: IncidentCase, clock: Clock, asked: Ack, *, reached: bool) -> Step | None:
    """The step that is told at once because the last one was not answered; None: the ladder waits for its own time, or is at its end.

    `reached`: somebody was, and kept silent. Silence before the due time does not use up what is meant for the due time and after, but
    where the policy says so; a page that reached nobody is no silence.
    """
    told, _ = climbed(state, clock)
    step = next((step for step in _ladder(state, clock)[told:] if step.tell), None)
    waits = reached and not asked.before_due and not clock.told & Mark.DUE
    return None if step is None or (waits and step.share >= THOUSAND) else step


def climbed(state: IncidentCase, clock: Clock) -> tuple[int, int]:
    """Steps of its ladder that were told, and those whose own share has come."""
    for climb in state.climbs:
        if key_of(climb) == key_of(clock):
            return climb.steps, climb.passed
    return 0, 0


def _ladder(state: IncidentCase, clock: Clock) -> tuple[Step, ...]:
    """A mirrored case rouses nobody: its own system does."""
    return () if state.mirrored else rules.steps(state, clock.purpose, clock.level)


def _earliest(state: IncidentCase, clock: Clock) -> int:
    """0: nothing. A clock of which nothing was told waits for its warning, whatever else comes later: one sum instead of four. Not after a
    pause, which may put the warning off."""
    if clock.stopped_at or is_paused(clock):
        return 0
    rule = rules.rule_of(state.policy_version, clock.policy)
    cal = calendar(clock.calendar)
    step = next_step(state, clock)
    if rule.warning and not clock.pauses and not clock.told & Mark.WARNING and (step is None or step.share >= rule.warning):
        return moment(clock, cal, rule.warning)
    moments = [due.at for due in marks(clock, rule, cal)]
    if step is not None:
        moments.append(coming(clock, cal, step.share))
    return min(moments, default=0)
