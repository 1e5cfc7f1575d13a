"""Who is told of an incident that runs late, and how urgently: the notification records of a step of its ladder."""

from __future__ import annotations

from enum import StrEnum

from schemas.avro.incident_command.event import IncidentCommand
from schemas.state.clock import Clock
from schemas.state.incident_case.event import IncidentCase
from streams.domain.commands import Places
from streams.domain.core import Emit
from streams.domain.incident.chains import Chain, kind_of, target_of
from streams.domain.notifications import about_case, notification

LIFE, SAFETY, SERVICE = 1, 2, 3
EMERGENCIES = ("A", "L", "R")  # accidents and disasters, elders' calls, rescue: prefixes of types


class Cause(StrEnum):
    """Why somebody is told."""

    RAN_LATE = "ran_late"  # a step came at its share of the clock
    TOLD_AGAIN = "told_again"  # nobody acknowledged
    UNACKNOWLEDGED = "unacknowledged"  # still nobody did: the next step came at once
    NO_ONE_NOTIFIED = "no_one_notified"  # nobody could be reached: the next step came at once


def urgency_of(state: IncidentCase) -> int:
    """1 for 特别重大 and 重大, 2 for 较大 and for types that threaten safety, else 3."""
    if state.grade in (1, 2):
        return LIFE
    return SAFETY if state.grade == 3 or state.incident_type.startswith(EMERGENCIES) else SERVICE


def pages(state: IncidentCase, clock: Clock, chain: Chain, cause: Cause, timer: IncidentCommand, places: Places) -> list[Emit]:
    """One record for each one told. `state`: after the event that they come with."""
    said = about_case(state, timer, places.now)
    return [
        notification(
            places.source, places.take(), places.now, state.case_id, timer.realm, kind="incident", cause=cause.value,
            target_kind=kind_of(one), target=target_of(state, one), target_level=one.level, step=one.step, urgency=urgency_of(state),
            category=state.incident_type, press_count=0, reason="", clock=clock.purpose, clock_holder=clock.holder,
            clock_due_at=clock.due_at, ack_by=one.until, **said,
        )
        for one in chain
    ]  # fmt: skip
