"""Intake, pure: a body and who sent it become a command of the case lane, or all that is wrong with it.

Nothing here reads a clock, a store or the network; `Context` brings what it needs. Errors carry JSON Pointers.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas import bounds, divisions, event_types, geohash, ids
from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.incident_command.event import IncidentCommand
from schemas.errors import InvalidPayload, Reason
from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.gateway import asked, bodies
from services.gateway.decoding import Invalid, decode_line
from streams.domain.incident.table import CAPTURE, COMMANDS, OBSERVE, State

STATES = frozenset(State)
CHINA_MINUTES = 480  # desks work in China
DATUMS = frozenset({"WGS84", "CGCS2000", "EPSG:4326", "EPSG:4490"})


@dataclass(frozen=True, slots=True)
class Context:
    """Who sends, into which realm, and when. `fingerprint`: keyed hash of a body that brings no id of its own."""

    principal: Principal
    realm: Realm
    now: int  # UTC milliseconds
    fingerprint: Callable[[bytes], str]
    home_cluster: str = ""
    policy_version: str = ""  # what an incident that enters now gets


class Accepted(msgspec.Struct):
    """A command ready to be sealed and sent, and what the sender is told."""

    command: IncidentCommand | AlarmCommand
    event_id: str
    case_number: str = ""  # "" for a desk's command
    division: str = ""  # of the matter, where the gateway knows it
    personal: bytes = b""  # JSON to be sealed; empty: none

    @property
    def is_alarm(self) -> bool:
        return isinstance(self.command, AlarmCommand)

    @property
    def key_name(self) -> str:
        """Under which the vault keeps the key of `personal`. An alarm line lives for years: each press has a key of its own, so that
        erasing what one press said leaves the next one its name and address."""
        return self.command.sealed_ref if self.is_alarm else self.command.case_id


def incident(body: bodies.Incident, context: Context, *, key: str = "", fact: bool = False) -> Accepted:
    """A capture (no state) or an observed fact. `key`: the idempotency key, or CloudEvents source and id; it stands in
    for an absent event_id."""
    errors: list[InvalidPayload] = []
    principal, realm = context.principal, context.realm
    occurred_at, offset = _time(body.occurred_at, context.now, errors)
    division = _division(body.division, principal, errors)
    _type(body.type, errors)
    if body.state is not None and body.state not in STATES:
        errors.append(InvalidPayload(Reason.UNKNOWN_STATE, f"{body.state[:40]!r} is none of {', '.join(sorted(STATES))}", "/state"))
    due_at = _due_at(body, errors)
    event_id = body.event_id or key
    if fact:
        _check_fact(body, event_id, errors)
    cell = cell_of(body.place, errors)
    if errors:
        raise Invalid(*errors)

    version = body.source_version or 0
    if not event_id and body.external_id is None:
        event_id = context.fingerprint(msgspec.json.encode(body, order="sorted"))
    command_key = event_id or f"{body.external_id}:{version}"
    case_id = ids.case_id(realm, principal.id, body.external_id or event_id)
    command_id = ids.command_id(realm, principal.id, command_key)
    personal = personal_of(body)
    command = IncidentCommand(
        command_id=command_id,
        case_id=case_id,
        name=CAPTURE if body.state is None else OBSERVE,
        realm=realm.value,
        expected_seq=-1,
        division=division,
        incident_type=body.type,
        actor_person=principal.person,
        actor_org=principal.org,
        actor_role=principal.kind.value,
        actor_level=principal.level,
        actor_division=principal.division,
        occurred_at=occurred_at,
        occurred_offset=offset,
        received_at=0,
        cause="fact" if body.state is not None or principal.kind is Kind.PRODUCER else "user",
        producer=principal.id,
        state=body.state or "",
        source_version=version,
        holder=body.holder or "",
        reassignments=-1 if body.reassignments is None else body.reassignments,
        reopens=-1 if body.reopens is None else body.reopens,
        grade=body.grade or 0,
        org="",
        reason=body.reason or "",
        cell=cell,
        sealed_ref=ids.sealed_id(command_id) if personal else "",
        evidence=False,
        src_topic="",
        src_partition=-1,
        src_offset=-1,
        src_position=-1,
        home_cluster=context.home_cluster,
        due_at=due_at,
        person=person_of(body.reporter.phone or body.reporter.id if body.reporter else None, case_id, context),
        policy_version=context.policy_version,
    )
    return Accepted(command, command_key, ids.case_number(case_id, division, occurred_at), division, personal)


def by_desk(name: str, case_id: str, event_id: str, expected_seq: int | None, reason: str | None, context: Context) -> dict[str, Any]:
    """The fields that a desk's command has whatever kind of case it is for."""
    principal, realm = context.principal, context.realm
    return {
        "command_id": ids.command_id(realm, principal.id, event_id),
        "case_id": case_id,
        "name": name,
        "realm": realm.value,
        "expected_seq": -1 if expected_seq is None else expected_seq,
        "actor_person": principal.person,
        "actor_org": principal.org,
        "actor_role": principal.kind.value,
        "actor_level": principal.level,
        "actor_division": principal.division,
        "occurred_offset": CHINA_MINUTES,
        "received_at": 0,
        "cause": "user",
        "producer": principal.id,
        "reason": reason or "",
        "src_topic": "",
        "src_partition": -1,
        "src_offset": -1,
        "src_position": -1,
        "home_cluster": context.home_cluster,
    }


def event_id_of(body: bodies.Command | bodies.AlarmCommand, name: str, case_id: str, context: Context, key: str) -> str:
    """The sender's id of a command. Without one the expected case_seq makes a repeat harmless; without that each post is one of its own."""
    if body.event_id or key:
        return body.event_id or key
    if body.expected_seq is not None:
        return f"{case_id}:{name}:{body.expected_seq}"
    return context.fingerprint(f"{case_id}:{name}:{context.now}".encode())


def command(body: bodies.Command, name: str, case_id: str, context: Context, *, key: str = "", division: str = "") -> Accepted:
    """A desk's command on a case. `key`: the idempotency key; without one, the expected case_seq makes a repeat
    harmless, and without that each post is a command of its own. `division`: of the case, where known."""
    errors: list[InvalidPayload] = []
    principal = context.principal
    particular: dict[str, Any] = {}
    if name in COMMANDS:
        particular = asked.check(body, name, context.now, errors)
    else:
        errors.append(InvalidPayload(Reason.BAD_VALUE, f"{name[:40]!r} is none of {', '.join(COMMANDS)}", "/name"))
    occurred_at = asked.done_at(body, context.now, errors)
    cell = cell_of(body.place, errors)
    case_id = uuid_of(case_id, errors)
    if body.type is not None:
        _type(body.type, errors)
    if not principal.may_command(division or principal.division):
        errors.append(InvalidPayload(Reason.OUT_OF_SCOPE, "only desks command cases, and only in their own division", ""))
    if errors:
        raise Invalid(*errors)

    event_id = event_id_of(body, name, case_id, context, key)
    common = by_desk(name, case_id, event_id, body.expected_seq, body.reason, context)
    personal = personal_of(body)
    made = IncidentCommand(
        **common,
        incident_type=body.type or "",
        occurred_at=occurred_at,
        state="",
        source_version=0,
        holder="",
        reassignments=-1,
        reopens=-1,
        grade=body.grade or 0,
        org=body.org or "",
        cell=cell,
        sealed_ref=ids.sealed_id(common["command_id"]) if personal else "",
        evidence=bool(body.evidence),
        person=person_of(body.person, case_id, context),
        **particular,
    )
    return Accepted(made, event_id, "", division, personal)


def line(data: bytes, context: Context) -> Accepted:
    """One line of a batch."""
    body = decode_line(data)
    if isinstance(body, bodies.CommandLine):
        return command(body, body.name, body.case_id, context)
    return incident(body, context, fact=isinstance(body, bodies.FactLine))


# --- parts --------------------------------------------------------------------------------------------------------


def _time(text: str, now: int, errors: list[InvalidPayload]) -> tuple[int, int]:
    try:
        moment, offset = bounds.parse_time(text)
        bounds.check_occurred_at(moment, now)
    except InvalidPayload as error:
        errors.append(error)
        return 0, 0
    return moment, offset


def _due_at(body: bodies.Incident, errors: list[InvalidPayload]) -> int:
    """The source's own target; 0 without one."""
    if body.due_at is None:
        return 0
    if body.state is None:
        detail = "a target goes with an observed state: what our desks do has our deadlines"
        errors.append(InvalidPayload(Reason.BAD_VALUE, detail, "/due_at"))
    try:
        moment, _ = bounds.parse_time(body.due_at, "/due_at")
        bounds.check_due_at(moment)
    except InvalidPayload as error:
        errors.append(error)
        return 0
    return moment


def _division(code: str, principal: Principal, errors: list[InvalidPayload]) -> str:
    if code not in divisions.divisions():
        errors.append(InvalidPayload(Reason.UNKNOWN_DIVISION, f"{code[:20]!r} is not in the register of 2023", "/division"))
    elif not principal.may_send(code):
        errors.append(InvalidPayload(Reason.OUT_OF_SCOPE, f"{code} is outside of what {principal.id} may send", "/division"))
    return code


def _type(code: str, errors: list[InvalidPayload]) -> None:
    if code not in event_types.event_types():
        errors.append(InvalidPayload(Reason.UNKNOWN_TYPE, f"{code[:20]!r} is not in the list of incident types", "/type"))


def _check_fact(body: bodies.Incident, event_id: str, errors: list[InvalidPayload]) -> None:
    if body.state is None:
        errors.append(InvalidPayload(Reason.BAD_VALUE, "a fact says the observed state", "/state"))
    if body.external_id is None:
        errors.append(InvalidPayload(Reason.BAD_VALUE, "a fact names the matter by the department's own number", "/external_id"))
    if body.source_version is None and not event_id:
        errors.append(InvalidPayload(Reason.BAD_VALUE, "a fact says its source_version, or brings an event_id", "/source_version"))


def cell_of(place: bodies.Place | None, errors: list[InvalidPayload]) -> str:
    if place is None:
        return ""
    if place.crs is not None and place.crs.upper() not in DATUMS:
        detail = f"{place.crs!r} is not taken: convert to WGS84 or CGCS2000 (GCJ-02 and BD-09 are off by up to 700 m)"
        errors.append(InvalidPayload(Reason.BAD_VALUE, detail, "/place/crs"))
    if place.lon is None or place.lat is None:
        if place.lon is not None or place.lat is not None:
            missing = "lat" if place.lat is None else "lon"
            errors.append(InvalidPayload(Reason.BAD_VALUE, "lon and lat come together", f"/place/{missing}"))
        return ""
    return geohash.cell(place.lon, place.lat)


def person_of(text: str | None, case_id: str, context: Context) -> str:
    """Pseudonym of a citizen within one case, by phone or identity number: it says who asks again, and joins no two cases."""
    return context.fingerprint(f"{case_id}:person:{text}".encode()) if text else ""


def personal_of(body: bodies.Incident | bodies.Alarm | bodies.Command) -> bytes:
    """Persons and free text, as one canonical JSON object: a repeat seals to the same bytes."""
    parts: dict[str, Any] = {"note": body.note, "address": body.place.address if body.place else None}
    if not isinstance(body, bodies.Command):
        parts["reporter"] = body.reporter
    if isinstance(body, bodies.Alarm):
        parts["person"] = body.person
    given = {name: part for name, part in parts.items() if part is not None}
    return msgspec.json.encode(given, order="sorted") if given else b""


def uuid_of(text: str, errors: list[InvalidPayload]) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        errors.append(InvalidPayload(Reason.BAD_VALUE, f"{text[:40]!r} is not a case id", "/case_id"))
        return ""
