"""Chains: who was told by a step of a lateness ladder and has not acknowledged yet.

A clock has at most one: a later step that tells somebody takes its place. An acknowledgement stops the chain and neither the clock nor the
steps to come; a clock that stops or rests has none. So no page is without an answer: it is acknowledged, told again, the ladder
climbs, or it is said that nobody answered.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.policy.terms import Whom
from schemas.state.clock import Clock, key_of
from schemas.state.incident_case.event import Awaiting, IncidentCase
from streams.domain.clocks.running import is_paused
from streams.domain.incident.levels import desk_of
from streams.domain.notifications import DESK, HEAD

NOBODY = ""  # `whom` of a chain that reached nobody: its next step is due
Chain = tuple[Awaiting, ...]
Fields = dict[str, Any]
replace = msgspec.structs.replace


def chain_of(state: IncidentCase, clock: Clock) -> Chain:
    key = key_of(clock)
    return tuple(one for one in state.awaiting if key_of(one) == key)


def clock_of(state: IncidentCase, chain: Chain) -> Clock:
    return next(clock for clock in state.clocks if key_of(clock) == key_of(chain[0]))


def told(clock: Clock, tell: str, level: str, step: int, until: int) -> Chain:
    """The chain of a step that has just told. `tell`: whom, joined by +; `level`: of the superior desk."""
    return tuple(
        Awaiting(*key_of(clock), level if one == Whom.SUPERIOR_DESK else clock.level, until, 1, step, one) for one in tell.split("+") if one
    )


def having(state: IncidentCase, clock: Clock, chain: Chain) -> Chain:
    """All that is awaited, with this chain in the place of the clock's last one."""
    key = key_of(clock)
    return (*(one for one in state.awaiting if key_of(one) != key), *chain)


def live(state: IncidentCase) -> Chain:
    """What is awaited of clocks that run and do not rest."""
    running = {key_of(clock) for clock in state.clocks if not clock.stopped_at and not is_paused(clock)}
    return tuple(one for one in state.awaiting if key_of(one) in running)


def whom(chain: Chain) -> str:
    """As a policy says it, joined by +."""
    return "+".join(one.whom for one in chain)


def kind_of(one: Awaiting) -> str:
    """Of the target: a desk's people on duty or its head."""
    return HEAD if one.whom == Whom.HEAD else DESK


def target_of(state: IncidentCase, one: Awaiting) -> str:
    """The desk that is told; the holder itself where the place has no desk of that level."""
    return desk_of(state.division, one.level) or one.holder


# --- acknowledged, or reached by nobody --------------------------------------------------------------------------------


def acknowledgeable(state: IncidentCase, command: IncidentCommand) -> tuple[Chain, ...]:
    """The chains that the actor's level may stop: it was told, or it is the holder's. Of the named clock where one is named."""
    found = []
    for clock in state.clocks if state.awaiting else ():
        chain = chain_of(state, clock) if command.purpose in ("", clock.purpose) else ()
        if chain and command.actor_level in {clock.level, *(one.level for one in chain)}:
            found.append(chain)
    return tuple(found)


def acknowledge(state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    stopped = {one for chain in acknowledgeable(state, command) for one in chain}
    return {"awaiting": tuple(one for one in state.awaiting if one not in stopped)}


def unreached(state: IncidentCase, command: IncidentCommand) -> Chain:
    """Those of a chain whom the notifier could not reach; empty when the chain is over, or told anew since."""
    named = (command.purpose, command.org or command.holder)
    found = [
        one
        for one in state.awaiting
        if (one.purpose, one.holder) == named
        and command.amount in (0, one.step)
        and command.until in (0, one.until)
        and (not command.whom or (kind_of(one), one.level) == (command.whom, command.level))
        and one.whom != NOBODY
    ]
    return tuple(one for one in found if key_of(one) == key_of(found[0]))


def nobody_notified(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    """Whom nobody can reach is not waited for; when nobody of the step is left, the next one is due now."""
    gone = unreached(state, command)
    left = tuple(one for one in state.awaiting if one not in gone)
    if not any(key_of(one) == key_of(gone[0]) for one in left):
        left += (replace(gone[0], whom=NOBODY, until=now),)
    return {"awaiting": left}


def ended(before: IncidentCase, after: IncidentCase) -> Chain:
    """Who is no longer waited for."""
    return tuple(one for one in before.awaiting if one not in after.awaiting)
