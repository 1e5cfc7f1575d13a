"""Intake of alarms, pure: a press or a responder's command becomes a command of the alarm lane.

A press is refused only when it can't be read or its sender may not press. Whatever else is wrong (an unknown division or class, a
clock of 1970) is set right and noted in `mended`: nobody lies on the floor because of a wrong code.
"""

from __future__ import annotations

import msgspec

from schemas import bounds, divisions, ids
from schemas.avro.alarm_command.event import AlarmCommand
from schemas.errors import InvalidPayload, Reason
from schemas.principals import Kind
from services.gateway import bodies
from services.gateway.decoding import Invalid
from services.gateway.intake import CHINA_MINUTES, Accepted, Context, by_desk, cell_of, event_id_of, personal_of, uuid_of
from streams.domain.alarm.table import COMMANDS, PRESS, AlarmClass

CLASSES = frozenset(AlarmClass)


def press(body: bodies.Alarm, context: Context, *, key: str = "") -> Accepted:
    """`key`: the idempotency key; without one and without an event_id a time of the press tells presses apart, and without that each
    post is one."""
    principal, realm = context.principal, context.realm
    if not principal.may_press(principal.division):
        raise Invalid(InvalidPayload(Reason.OUT_OF_SCOPE, "only devices and desks raise alarms", ""))
    mended: list[Reason] = []
    occurred_at, offset = _time(body.occurred_at, context.now, mended)
    division = _division(body.division, context, mended)
    wrong: list[InvalidPayload] = []
    cell = cell_of(body.place, wrong)
    if wrong:
        cell = ""
        mended += [error.reason for error in wrong]
    alarm_class = body.class_ if body.class_ in CLASSES else AlarmClass.UNCLEAR
    if alarm_class != body.class_:
        mended.append(Reason.UNKNOWN_TYPE)

    event_id = body.event_id or key
    if not event_id:
        moment = b"" if body.occurred_at else str(context.now).encode()
        event_id = context.fingerprint(msgspec.json.encode(body, order="sorted") + moment)
    subject = context.fingerprint(f"{principal.id}:person:{body.person}".encode()) if body.person else ""
    line = f"device:{body.device}" if body.device else f"person:{subject}" if subject else f"matter:{body.external_id or event_id}"
    case_id = ids.alarm_id(realm, principal.id, line)
    command_id = ids.command_id(realm, principal.id, f"press:{event_id}")
    personal = personal_of(body)
    command = AlarmCommand(
        command_id=command_id,
        case_id=case_id,
        name=PRESS,
        realm=realm.value,
        expected_seq=-1,
        division=division,
        alarm_class=alarm_class,
        device=body.device or "",
        subject=subject,
        actor_person=principal.person,
        actor_org=principal.org,
        actor_role=principal.kind.value,
        actor_level=principal.level,
        actor_division=principal.division,
        occurred_at=occurred_at,
        occurred_offset=offset,
        received_at=0,
        cause="fact" if principal.kind is Kind.DEVICE else "user",
        producer=principal.id,
        org="",
        reason="",
        mended="+".join(mended),
        cell=cell,
        sealed_ref=ids.sealed_id(command_id) if personal else "",
        src_topic="",
        src_partition=-1,
        src_offset=-1,
        src_position=-1,
        home_cluster=context.home_cluster,
    )
    return Accepted(command, event_id, ids.case_number(case_id, division, occurred_at), division, personal)


def command(body: bodies.AlarmCommand, name: str, case_id: str, context: Context, *, key: str = "", division: str = "") -> Accepted:
    """A responder's or desk's command. `key` and `division` as for an incident's command."""
    errors: list[InvalidPayload] = []
    principal = context.principal
    if name not in COMMANDS:
        errors.append(InvalidPayload(Reason.BAD_VALUE, f"{name[:40]!r} is none of {', '.join(COMMANDS)}", "/name"))
    case_id = uuid_of(case_id, errors)
    if not principal.may_command(division or principal.division):
        errors.append(InvalidPayload(Reason.OUT_OF_SCOPE, "only desks answer alarms, and only in their own division", ""))
    if errors:
        raise Invalid(*errors)
    event_id = event_id_of(body, name, case_id, context, key)
    common = by_desk(name, case_id, event_id, body.expected_seq, body.reason, context)
    personal = msgspec.json.encode({"note": body.note}) if body.note else b""
    made = AlarmCommand(
        **common,
        division="",
        alarm_class="",
        device="",
        subject="",
        occurred_at=context.now,
        org="",
        mended="",
        cell="",
        sealed_ref=ids.sealed_id(common["command_id"]) if personal else "",
    )
    return Accepted(made, event_id, "", division, personal)


def _time(text: str | None, now: int, mended: list[Reason]) -> tuple[int, int]:
    """The press's own time; ours where it says none, or one that can't be right."""
    if text is None:
        return now, CHINA_MINUTES
    try:
        moment, offset = bounds.parse_time(text)
        bounds.check_occurred_at(moment, now)
    except InvalidPayload as error:
        mended.append(error.reason)
        return now, CHINA_MINUTES
    return moment, offset


def _division(code: str | None, context: Context, mended: list[Reason]) -> str:
    """The place's division; the sender's own where it is none, or none that the sender may speak for."""
    own = context.principal.division
    if code is None:
        return own
    if code not in divisions.divisions():
        mended.append(Reason.UNKNOWN_DIVISION)
        return own
    if not context.principal.covers(code):
        mended.append(Reason.OUT_OF_SCOPE)
        return own
    return code
