"""The guards of the incident table: one named function each, answering None or why not."""

from __future__ import annotations

from collections.abc import Callable

from schemas.avro.incident_command.event import IncidentCommand
from schemas.errors import Refusal
from schemas.event_types import event_types
from schemas.state.incident_case.event import IncidentCase
from streams.domain.incident.table import Guard

Check = Callable[[IncidentCase, IncidentCommand], Refusal | None]


def reason(_state: IncidentCase, command: IncidentCommand) -> Refusal | None:
    return None if command.reason else Refusal.REASON_MISSING


def org(_state: IncidentCase, command: IncidentCommand) -> Refusal | None:
    return None if command.org else Refusal.ORG_MISSING


def evidence(state: IncidentCase, command: IncidentCommand) -> Refusal | None:
    """On-the-spot settlement: only types of the list, only with evidence (滨州网格条例 art. 11 as the known form)."""
    return None if command.evidence and event_types()[state.incident_type].self_handle else Refusal.NOT_SELF_HANDLED


def objection(state: IncidentCase, _command: IncidentCommand) -> Refusal | None:
    """After one objection the common superior names the handler; there is no second (深圳条例 art. 45 as the known form)."""
    return None if state.objections == 0 else Refusal.OBJECTIONS_EXHAUSTED


def other_person(state: IncidentCase, command: IncidentCommand) -> Refusal | None:
    return None if command.actor_person != state.handler_person else Refusal.SAME_PERSON


GUARDS: dict[Guard, Check] = {
    Guard.REASON: reason,
    Guard.ORG: org,
    Guard.EVIDENCE: evidence,
    Guard.OBJECTION: objection,
    Guard.OTHER_PERSON: other_person,
}
