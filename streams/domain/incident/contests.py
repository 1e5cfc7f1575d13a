"""异议: an organisation contests a breach, a level above rules, and both figures are kept: the breach, and that it was withdrawn.

What is asked of people below must be open to their answer (research/users-and-domain.md, section 4, addition 2).
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.errors import Refusal
from schemas.state.clock import Clock, key_of
from schemas.state.incident_case.event import Contest, IncidentCase
from streams.domain.incident.clocks import Clocks
from streams.domain.incident.levels import next_above, rank

Fields = dict[str, Any]
replace = msgspec.structs.replace


def breach_to_contest(state: IncidentCase, command: IncidentCommand) -> Clock | Refusal:
    """The newest breach of the named clock that stands and was never contested; of the named holder where one is named."""
    clocks = [clock for clock in reversed(state.clocks) if clock.purpose == command.purpose and command.org in ("", clock.holder)]
    if not clocks:
        return Refusal.CLOCK_UNKNOWN
    breached = [clock for clock in clocks if clock.breached_at and not clock.retracted]
    if not breached:
        return Refusal.NOT_BREACHED
    return next((clock for clock in breached if not any(is_about(one, clock) for one in state.contests)), Refusal.ALREADY_CONTESTED)


def is_about(contest: Contest, clock: Clock) -> bool:
    """The same breach of the same clock; one that is dated anew is another."""
    return clock_of(contest, [clock]) is clock and contest.breached_at == clock.breached_at


def clock_of(contest: Contest, clocks: Clocks) -> Clock | None:
    return next((clock for clock in clocks if key_of(clock) == key_of(contest)), None)


def contest_to_rule(state: IncidentCase, command: IncidentCommand) -> Contest | None:
    """The oldest that waits for a ruling; of the named clock and holder."""
    waiting = (one for one in state.contests if not one.ruled_at and one.purpose == command.purpose)
    return next((one for one in waiting if command.org in ("", one.holder)), None)


def why_not_contest(state: IncidentCase, command: IncidentCommand) -> Refusal | None:
    """An organisation at or below the holder's level: a higher one has other means than to ask."""
    clock = breach_to_contest(state, command)
    if isinstance(clock, Refusal):
        return clock
    if not command.actor_org:
        return Refusal.ORG_MISSING
    return None if 0 <= rank(command.actor_level) <= rank(clock.level) else Refusal.LEVEL_TOO_HIGH


def why_not_rule(state: IncidentCase, command: IncidentCommand) -> Refusal | None:
    """A level above the one whose clock it is; at the highest level there is, another organisation of that level."""
    contest = contest_to_rule(state, command)
    if contest is None:
        return Refusal.NOT_CONTESTED
    clock = clock_of(contest, list(state.clocks))
    level = clock.level if clock else state.holder_level
    if rank(command.actor_level) < rank(next_above(state.division, level) or level):
        return Refusal.LEVEL_TOO_LOW
    return Refusal.SAME_ORG if command.actor_org == contest.by else None


def contest(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    clock = breach_to_contest(state, command)
    assert isinstance(clock, Clock)
    fresh = Contest(
        purpose=clock.purpose, holder=clock.holder, started_at=clock.started_at, by=command.actor_org, reason=command.reason, since=now,
        ruled_at=0, ruled_by="", upheld=False, breached_at=clock.breached_at,
    )  # fmt: skip
    return {"contests": (*state.contests, fresh)}


def uphold_breach(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    return _ruled(state, command, now, upheld=True)


def withdraw_breach(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    return _ruled(state, command, now, upheld=False)


def _ruled(state: IncidentCase, command: IncidentCommand, now: int, *, upheld: bool) -> Fields:
    chosen = contest_to_rule(state, command)
    ruled = [replace(one, ruled_at=now, ruled_by=command.actor_org, upheld=upheld) if one is chosen else one for one in state.contests]
    return {"contests": tuple(ruled)}


def touched(before: IncidentCase, after: IncidentCase) -> Contest | None:
    """The contest that a command made or ruled on."""
    fresh = after.contests[len(before.contests) :]
    ruled = (new for old, new in zip(before.contests, after.contests, strict=False) if old is not new)
    return fresh[0] if fresh else next(ruled, None)


def breach_withdrawn(before: IncidentCase, after: IncidentCase, _command: IncidentCommand, _now: int, held: Clocks) -> Fields:
    """What a ruling does to the clock: the breach stays in it, and that it does not count."""
    ruled = touched(before, after)
    assert ruled
    changed = [replace(clock, retracted=True, epoch=clock.epoch + 1) if is_about(ruled, clock) else clock for clock in held]
    return {"clocks": tuple(changed)}
