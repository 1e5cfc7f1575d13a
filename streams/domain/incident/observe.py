"""Mirrored cases: a fact of a department whose system stays the system of record. We follow it, and never argue with it."""

from __future__ import annotations

from typing import Any

from schemas.avro.incident_command.event import IncidentCommand
from schemas.divisions import county_of, division
from schemas.errors import Refusal
from schemas.state.incident_case.event import IncidentCase
from streams.domain.incident.effects import title_of
from streams.domain.incident.table import ENDED, State

OBSERVED = "incident.observed"
DONE = ENDED | {State.REPORTED}  # a mirrored case that leaves these for work again has been re-opened
JOINED_MIDWAY = "joined_midway"  # a department told us of a case after its beginning
SOURCE_REOPENED = "source_reopened"  # a department's own system opened a case again
Observed = tuple[str, dict[str, Any]]  # named rule, changed fields


def observe(state: IncidentCase | None, command: IncidentCommand) -> Observed | Refusal:
    """What the fact changes, or why not."""
    version = command.source_version
    changes: dict[str, Any] = {"state": State(command.state), "source_version": version}
    if state is None:
        changes["holder"] = command.holder
        changes["reassignments"] = max(command.reassignments, 0)
        changes["reopens"] = max(command.reopens, 0)
        return "" if command.state == State.CAPTURED else JOINED_MIDWAY, changes
    if not state.mirrored:
        return Refusal.NOT_MIRRORED
    if version and version <= state.source_version:
        return Refusal.STALE_VERSION
    reopened = state.state in DONE and command.state not in DONE
    changes["source_version"] = max(version, state.source_version)
    changes["round"] = state.round + reopened
    changes["reopens"] = command.reopens if command.reopens >= 0 else state.reopens + reopened
    moved = bool(command.holder and state.holder and command.holder != state.holder)
    changes["reassignments"] = command.reassignments if command.reassignments >= 0 else state.reassignments + moved
    changes["holder"] = command.holder or state.holder
    changes["grade"] = command.grade or state.grade
    if command.division != state.division or command.incident_type not in ("", state.incident_type):
        changes |= {"division": command.division, "county": county_of(command.division), "level": division(command.division).level}
        changes["incident_type"] = command.incident_type or state.incident_type
        changes["title"] = title_of(changes["incident_type"], command.division)
    return SOURCE_REOPENED if reopened else "", changes
