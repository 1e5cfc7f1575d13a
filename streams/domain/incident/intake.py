"""A department's Kafka record to a command of ours: validation and routing, pure."""

from __future__ import annotations

from schemas import geohash, ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_report.event import IncidentReport
from schemas.bounds import MAX_ID_LENGTH, check_due_at, check_length, check_occurred_at, parse_time
from schemas.divisions import division, divisions
from schemas.errors import InvalidPayload, Reason
from schemas.event_types import event_types
from schemas.realms import Realm
from streams.domain.core import Source
from streams.domain.incident.table import CAPTURE, OBSERVE, State


def command_of(
    report: IncidentReport, department: str, realm: Realm, source: Source, now: int, policy_version: str = ""
) -> IncidentCommand:
    """`now`: append time of the intake record, copied as received_at. `policy_version`: in force then. Raises InvalidPayload."""
    if not report.external_id:
        raise InvalidPayload(Reason.BAD_VALUE, "external_id is empty", "/external_id")
    check_length(report.external_id, MAX_ID_LENGTH, "/external_id")
    if report.division not in divisions():
        raise InvalidPayload(Reason.UNKNOWN_DIVISION, f"no division {report.division!r}", "/division")
    if report.type not in event_types():
        raise InvalidPayload(Reason.UNKNOWN_TYPE, f"no event type {report.type!r}", "/type")
    if report.state is not None and report.state not in State.__members__.values():
        raise InvalidPayload(Reason.UNKNOWN_STATE, f"no state {report.state!r}", "/state")
    if report.grade is not None and not 1 <= report.grade <= 4:
        raise InvalidPayload(Reason.BAD_VALUE, "a grade is 1 to 4", "/grade")
    occurred_at, offset = parse_time(report.occurred_at)
    check_occurred_at(occurred_at, now)
    if report.due_at is not None and report.state is None:
        raise InvalidPayload(Reason.BAD_VALUE, "a target goes with an observed state: what our desks do has our deadlines", "/due_at")
    due_at = parse_time(report.due_at, "/due_at")[0] if report.due_at is not None else 0
    if due_at:
        check_due_at(due_at)
    key = f"{report.external_id}:{report.source_version}"
    cell = "" if report.longitude is None or report.latitude is None else _cell(report.longitude, report.latitude)
    return IncidentCommand(
        command_id=ids.command_id(realm, department, key),
        case_id=ids.case_id(realm, department, report.external_id),
        name=OBSERVE if report.state else CAPTURE,
        realm=realm.value,
        expected_seq=-1,
        division=report.division,
        incident_type=report.type,
        actor_person="",
        actor_org=department,
        actor_role="producer",
        actor_level=division(report.division).level,
        actor_division=report.division,
        occurred_at=occurred_at,
        occurred_offset=offset,
        received_at=now,
        cause="fact",
        producer=department,
        state=report.state or "",
        source_version=report.source_version,
        holder=report.holder or "",
        reassignments=-1 if report.reassignments is None else report.reassignments,
        reopens=-1 if report.reopens is None else report.reopens,
        grade=report.grade or 0,
        org="",
        reason=report.reason or "",
        cell=cell,
        sealed_ref="",
        evidence=False,
        src_topic=source.topic,
        src_partition=source.partition,
        src_offset=source.offset,
        src_position=0,
        home_cluster="",
        due_at=due_at,
        policy_version=policy_version,
    )


def _cell(longitude: float, latitude: float) -> str:
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise InvalidPayload(Reason.BAD_VALUE, "not a place on earth", "/longitude")
    return geohash.cell(longitude, latitude)
