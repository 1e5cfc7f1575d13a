"""The decision of one incident: decide(state, command, source, now) -> Decision. Pure and total.

Every command ends as exactly one outcome: applied (with exactly one event), repeated, or refused with a reason.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas import calendar, ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.divisions import county_of, display_name, division, is_within
from schemas.errors import Refusal
from schemas.event_types import event_types
from schemas.state.incident_case.event import IncidentCase
from schemas.topics import INCIDENT_EVENTS
from streams.domain.commands import EVENT, answer, mark_of, remember, remembers
from streams.domain.core import Decision, Emit, Source
from streams.domain.incident.guards import GUARDS
from streams.domain.incident.table import CAPTURE, COMMANDS, ENDED, OBSERVE, State

POLICY_VERSION = "2026.1"
DONE = ENDED | {State.REPORTED}  # a mirrored case that leaves these for work again has been re-opened

JOINED_MIDWAY = "joined_midway"  # a department told us of a case after its beginning
SOURCE_REOPENED = "source_reopened"  # a department's own system opened a case again


def decide(state: IncidentCase | None, command: IncidentCommand, source: Source, now: int) -> Decision[IncidentCase]:
    """`now`: append time of the command's record, UTC milliseconds; time in a case never runs backwards."""
    now = max(now, state.now) if state else now
    mark = mark_of(command)
    if state and remembers(state.recent, mark):
        return Decision(state, (_outcome(command, source, now, state, "repeated"),))
    change = _judge(state, command)
    if isinstance(change, Refusal):
        after = msgspec.structs.replace(state, recent=remember(state.recent, mark), now=now) if state else None
        return Decision(after, (_outcome(command, source, now, state, "refused", change),))
    event_type, rule, changes = change
    changes["recent"] = remember(state.recent if state else b"", mark)
    changes["now"] = now
    after = msgspec.structs.replace(state, seq=state.seq + 1, **changes) if state else _new_case(command, changes)
    event = _event(state, after, command, source, now, event_type, rule)
    key = command.case_id
    return Decision(
        after,
        (
            Emit(INCIDENT_EVENTS, command.realm, key, event, EVENT),
            _outcome(command, source, now, after, "applied", rule=rule),
        ),
    )


Change = tuple[str, str, dict[str, Any]]  # event type, named rule, changed fields


def _judge(state: IncidentCase | None, command: IncidentCommand) -> Change | Refusal:
    if command.name == CAPTURE:
        return Refusal.ALREADY_EXISTS if state else ("incident.captured", "", {"state": State.CAPTURED})
    if command.name == OBSERVE:
        return _observe(state, command)
    return _command(state, command)


def _command(state: IncidentCase | None, command: IncidentCommand) -> Change | Refusal:
    """A desk's command on a case of ours."""
    if state is None:
        return Refusal.NO_SUCH_CASE
    if not is_within(state.division, command.actor_division):
        return Refusal.OUT_OF_SCOPE
    if state.mirrored:
        return Refusal.MIRRORED
    if command.expected_seq not in (-1, state.seq):
        return Refusal.STALE_SEQ
    row = COMMANDS.get(command.name)
    if row is None or state.state not in row.sources:
        return Refusal.ILLEGAL_TRANSITION
    for guard in row.guards:
        refusal = GUARDS[guard](state, command)
        if refusal:
            return refusal
    changes: dict[str, Any] = {"state": row.target}
    if command.name == "triage":
        changes |= {"grade": command.grade or state.grade, "incident_type": command.incident_type or state.incident_type}
        changes["title"] = _title(changes["incident_type"], state.division)
    elif command.name == "assign":
        moved = state.holder not in (command.org, _desk(state.county))  # the first assignment is none
        changes |= {"holder": command.org, "reassignments": state.reassignments + moved}
    elif command.name == "object":
        changes["objections"] = state.objections + 1
    elif command.name in ("report", "self_handle"):
        changes["handler_person"] = command.actor_person
    elif command.name == "verify_fail":
        changes["round"] = state.round + 1
    elif command.name == "reopen":
        changes |= {"round": state.round + 1, "reopens": state.reopens + 1}
    return row.event, "", changes


def _observe(state: IncidentCase | None, command: IncidentCommand) -> Change | Refusal:
    """A fact of a department whose system stays the system of record: we follow it, and never argue with it."""
    version = command.source_version
    changes: dict[str, Any] = {"state": State(command.state), "source_version": version}
    if state is None:
        changes["holder"] = command.holder
        changes["reassignments"] = max(command.reassignments, 0)
        changes["reopens"] = max(command.reopens, 0)
        return "incident.observed", "" if command.state == State.CAPTURED else JOINED_MIDWAY, changes
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
        changes["title"] = _title(changes["incident_type"], command.division)
    return "incident.observed", SOURCE_REOPENED if reopened else "", changes


def _title(incident_type: str, code: str) -> str:
    """Composed by us from type and place: never a person's words."""
    return f"{event_types()[incident_type].name_zh} · {display_name(code)}"


def _desk(county: str) -> str:
    """Who holds a case that nobody was given yet."""
    return f"{county}-desk"


def _new_case(command: IncidentCommand, changes: dict[str, Any]) -> IncidentCase:
    county = county_of(command.division)
    fields: dict[str, Any] = {
        "case_id": command.case_id,
        "case_number": ids.case_number(command.case_id, command.division, command.occurred_at),
        "seq": 1,
        "division": command.division,
        "county": county,
        "level": division(command.division).level,
        "incident_type": command.incident_type,
        "title": _title(command.incident_type, command.division),
        "grade": command.grade,
        "holder": _desk(county),
        "holder_level": division(county).level,
        "round": 1,
        "reassignments": 0,
        "reopens": 0,
        "objections": 0,
        "mirrored": command.name == OBSERVE,
        "source_version": 0,
        "producer": command.producer,
        "handler_person": "",
        "opened_at": command.occurred_at,
        "policy_version": POLICY_VERSION,
        "calendar_version": calendar.LATEST,
        "home_cluster": command.home_cluster,
        "ownership_epoch": 0,
    }
    return IncidentCase(**fields | changes)


def _event(
    before: IncidentCase | None, after: IncidentCase, command: IncidentCommand, source: Source, now: int, event_type: str, rule: str
) -> IncidentEvent:
    return IncidentEvent(
        event_id=ids.derived_id(*source, 0, now),
        case_id=after.case_id,
        case_seq=after.seq,
        type=event_type,
        kind="incident",
        division=after.division,
        level=after.level,
        realm=command.realm,
        actor_person=command.actor_person,
        actor_org=command.actor_org,
        actor_role=command.actor_role,
        actor_level=command.actor_level,
        occurred_at=command.occurred_at,
        occurred_offset=command.occurred_offset,
        received_at=command.received_at or now,
        policy_version=after.policy_version,
        calendar_version=after.calendar_version,
        cause=command.cause,
        src_topic=source.topic,
        src_partition=source.partition,
        src_offset=source.offset,
        src_position=0,
        home_cluster=after.home_cluster,
        ownership_epoch=after.ownership_epoch,
        command_id=command.command_id,
        case_number=after.case_number,
        incident_type=after.incident_type,
        type_from=before.incident_type if before else "",
        county=after.county,
        county_from=before.county if before else "",
        state=after.state,
        state_from=before.state if before else "",
        holder=after.holder,
        holder_level=after.holder_level,
        grade=after.grade,
        round=after.round,
        reassignments=after.reassignments,
        reopens=after.reopens,
        mirrored=after.mirrored,
        producer=after.producer,
        title=after.title,
        reason=command.reason,
        rule=rule,
        cell=command.cell,
        sealed_ref=command.sealed_ref,
        opened_at=after.opened_at,
    )


def _outcome(
    command: IncidentCommand,
    source: Source,
    now: int,
    state: IncidentCase | None,
    outcome: str,
    refusal: Refusal | None = None,
    rule: str = "",
) -> Emit:
    seq, division_now = (state.seq, state.division) if state else (0, command.division)
    return answer(command, source, now, outcome, seq=seq, division=division_now, refusal=refusal, rule=rule)
