"""The clocks of a case as its commands handle them: begun, stopped, under another rule. Which command does which is in timing.py."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.calendar import Calendar, calendar
from schemas.clocks import Rule
from schemas.policy.terms import Starts
from schemas.state.clock import Clock, key_of
from schemas.state.incident_case.event import IncidentCase
from streams.domain.clocks.clock import pause, start, stop
from streams.domain.clocks.running import due_time, point
from streams.domain.incident import rules

ACCEPT, SIGN, HANDLE, REPLY, REPORT_UP, TOTAL = "accept", "sign", "handle", "reply", "report_up", "total"
SUPPLEMENT = "supplement"
SHELVED = "shelved"  # reason of a pause
Clocks = list[Clock]
replace = msgspec.structs.replace


def rule_of(state: IncidentCase, clock: Clock) -> Rule:
    return rules.rule_of(state.policy_version, clock.policy)


def cal_of(clock: Clock) -> Calendar:
    return calendar(clock.calendar)


def started(state: IncidentCase, purpose: str, command: IncidentCommand, now: int) -> Clock | None:
    found = rules.limit(state.policy_version, purpose, state.incident_type, state.grade)
    if found is None:
        return None
    return begun(state, found.rule, stamp(found.starts, state, command, now), state.holder, state.holder_level, now)


def begun(state: IncidentCase, rule: Rule, at: int, holder: str, level: str, now: int) -> Clock:
    """A new clock; one that may pause does so at once while the case is suspended or shelved."""
    fresh = start(rule, calendar(state.calendar_version), at, holder, level, state.round)
    why = lying(state)
    return pause(fresh, rule, why[0], now, why[1]) if why and rule.pausable else fresh


def having(held: Clocks, fresh: Clock) -> Clocks:
    """With a clock set going. One of the same purpose, holder and start is the same clock under another rule, and goes on in its place: a
    clock is known by these three."""
    for at, old in enumerate(held):
        if key_of(old) == key_of(fresh):
            again = replace(fresh, epoch=old.epoch + 1, breached_at=old.breached_at, retracted=old.breached_at > 0)
            return [*held[:at], again, *held[at + 1 :]]
    return [*held, fresh]


def lying(state: IncidentCase) -> tuple[str, str] | None:
    """Why and by whom the case does not run."""
    if state.suspended:
        return state.suspended.reason, state.suspended.approver
    return (SHELVED, state.shelved.approver) if state.shelved else None


def stamp(starts: Starts, state: IncidentCase, command: IncidentCommand, now: int) -> int:
    """What starts the clock; a later round of a case starts by what opened it."""
    if state.round > 1 or starts is Starts.EVENT:
        return now
    return min(now, state.opened_at if starts is Starts.OCCURRED else command.received_at or now)


def stopped(state: IncidentCase, clock: Clock, at: int, now: int) -> Clock:
    return clock if clock.stopped_at else stop(clock, rule_of(state, clock), cal_of(clock), at, now)


def all_stopped(state: IncidentCase, at: int, now: int) -> tuple[Clock, ...]:
    return tuple(stopped(state, clock, at, now) for clock in state.clocks)


def reruled(state: IncidentCase, clock: Clock, now: int) -> Clock:
    """The clock by the type and grade as they are now."""
    found = rules.limit(state.policy_version, clock.purpose, state.incident_type, state.grade)
    if clock.purpose in (REPLY, REPORT_UP) or found is None or found.rule.policy == clock.policy:
        return clock
    return under(clock, found.rule, now)


def under(clock: Clock, rule: Rule, now: int) -> Clock:
    """The clock from its own start under another rule; as it is when its deadline would then lie in the past."""
    cal = cal_of(clock)
    extended = min(clock.extended, rule.extension) if rule.unit == clock.unit else 0
    fresh = replace(start(rule, cal, clock.started_at, clock.holder, clock.level, clock.round), pauses=clock.pauses, extended=extended)
    fresh = replace(fresh, due_at=due_time(fresh, cal), epoch=clock.epoch + 1)
    if fresh.due_at <= point(fresh, now):
        return clock
    return replace(fresh, breached_at=clock.breached_at, retracted=clock.breached_at > 0)


def answered(state: IncidentCase, held: Clocks, now: int, is_asked: Callable[[Clock], bool]) -> Clocks:
    """Stops the clock of an offer or a paper that was answered, or goes on."""
    return [stopped(state, one, now, now) if is_asked(one) else one for one in held]
