"""The decision of one alarm: decide(state, command, source, now) -> Decision. Pure.

A press is applied or repeated, never refused. All presses of one line (a device, person or matter of one sender) are one case: a press
while it is open is counted, one soon after its end opens it again, a later one begins the next round.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas import calendar, ids
from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.alarm_event.event import AlarmEvent
from schemas.divisions import county_of, division, divisions, is_within
from schemas.errors import InvalidPayload, Reason, Refusal
from schemas.state.alarm_case.event import AlarmCase
from schemas.topics import ALARM_EVENTS
from streams.domain.alarm.pages import NO_ONE, desk_of, page, rung_of, title_of
from streams.domain.alarm.table import PRESS, ROWS, UNREACHED, URGENCY, AlarmClass, Guard, State
from streams.domain.commands import EVENT, answer, envelope, mark_of, remember, remembers
from streams.domain.core import Decision, Emit, Source

POLICY_VERSION = "2026.1"
QUIET_MS = 1000  # within it nobody is paged twice for presses of one line
REOPEN_MS = 30 * 60_000  # a press this soon after the end is the same matter

REOPENED = "reopened"
NOT_PAGED_AGAIN = "not_paged_again"  # a repeat within QUIET_MS


def decide(state: AlarmCase | None, command: AlarmCommand, source: Source, now: int) -> Decision[AlarmCase]:
    """`now`: append time of the command's record, UTC milliseconds; time in a case never runs backwards. Raises InvalidPayload for a
    press whose division is none."""
    now = max(now, state.now) if state else now
    mark = mark_of(command)
    if state and remembers(state.recent, mark):
        return Decision(state, (_answer(command, source, now, state, "repeated"),))
    change = _press(state, command, now) if command.name == PRESS else _command(state, command, now)
    if isinstance(change, Refusal):
        after = msgspec.structs.replace(state, recent=remember(state.recent, mark), now=now) if state else None
        return Decision(after, (_answer(command, source, now, state, "refused", change),))
    event_type, rule, cause, fields = change
    fields |= {"recent": remember(state.recent if state else b"", mark), "now": now, "seq": state.seq + 1 if state else 1}
    if cause:
        fields["paged_at"] = now
        fields.setdefault("step", 0)
    after = msgspec.structs.replace(state, **fields) if state else AlarmCase(**_blank(command) | fields)
    pages = (page(after, command, source, now, cause),) if cause else ()
    event = _event(state, after, command, source, now, event_type, rule, len(pages))
    said = _answer(command, source, now, after, "applied", rule=rule)
    return Decision(after, (Emit(ALARM_EVENTS, command.realm, command.case_id, event, EVENT), said, *pages))


Change = tuple[str, str, str, dict[str, Any]]  # event type, named rule, cause of the page ("": nobody is paged), changed fields


def _press(state: AlarmCase | None, command: AlarmCommand, now: int) -> Change:
    if command.division not in divisions():
        raise InvalidPayload(Reason.UNKNOWN_DIVISION, f"no division {command.division!r}", "/division")
    pressed = _class_of(command)
    county = county_of(command.division)
    fields: dict[str, Any] = {
        "division": command.division,
        "county": county,
        "level": division(command.division).level,
        "device": command.device or (state.device if state else ""),
        "subject": command.subject or (state.subject if state else ""),
    }
    desk = {"holder": desk_of(county), "holder_level": division(county).level}
    raised = {"state": State.RAISED, "acknowledged_by": "", "acknowledged_at": 0, "closed_at": 0}
    if state is None or (state.state == State.CLOSED and now - state.closed_at > REOPEN_MS):
        fields |= {
            **desk,
            **raised,
            "round": state.round + 1 if state else 1,
            "press_count": 1,
            "alarm_class": pressed,
            "case_number": ids.case_number(command.case_id, command.division, command.occurred_at),
            "opened_at": command.occurred_at,
            "policy_version": POLICY_VERSION,
        }
        return "alarm.raised", "", "raised", _titled(fields)
    held = AlarmClass(state.alarm_class)
    more_urgent = URGENCY[pressed] < URGENCY[held]
    fields |= {"press_count": state.press_count + 1, "alarm_class": pressed if more_urgent or pressed is AlarmClass.LIFE else held}
    if state.state == State.CLOSED:
        return "alarm.reopened", REOPENED, "reopened", _titled(fields | desk | raised)
    moved = county != state.county
    if moved and not state.acknowledged_by:
        fields |= desk
    cause = "moved" if moved else "more_urgent" if more_urgent else "pressed_again" if now - state.paged_at >= QUIET_MS else ""
    return "alarm.pressed_again", "" if cause else NOT_PAGED_AGAIN, cause, _titled(fields)


def _class_of(command: AlarmCommand) -> AlarmClass:
    """A class we do not know is one nobody is clear about."""
    return AlarmClass(command.alarm_class) if command.alarm_class in AlarmClass.__members__.values() else AlarmClass.UNCLEAR


def _titled(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"title": title_of(fields["alarm_class"], fields["division"])}


def _command(state: AlarmCase | None, command: AlarmCommand, now: int) -> Change | Refusal:
    """What a responder or desk does."""
    if state is None:
        return Refusal.NO_SUCH_CASE
    if not is_within(state.division, command.actor_division):
        return Refusal.OUT_OF_SCOPE
    if command.expected_seq not in (-1, state.seq):
        return Refusal.STALE_SEQ
    row = ROWS.get(command.name)
    if row is None or state.state not in row.sources:
        return Refusal.ILLEGAL_TRANSITION
    if Guard.PERSON in row.guards and not command.actor_person:
        return Refusal.PERSON_MISSING
    if Guard.REASON in row.guards and not command.reason:
        return Refusal.REASON_MISSING
    if Guard.AWAITED in row.guards and (command.round, command.step) != (state.round, state.step):
        return Refusal.NOTHING_AWAITED
    if command.name == UNREACHED:
        return row.event, "", NO_ONE if rung_of(state, state.step + 1) else "", {"step": state.step + 1}
    fields: dict[str, Any] = {"state": row.target}
    if row.target is State.ACKNOWLEDGED:
        fields |= {
            "acknowledged_by": command.actor_person,
            "acknowledged_at": now,
            "holder": command.actor_org or state.holder,
            "holder_level": command.actor_level or state.holder_level,
        }
    else:
        fields["closed_at"] = now
    return row.event, "", "", fields


def _blank(command: AlarmCommand) -> dict[str, Any]:
    """What a new line has that its first press does not change."""
    return {
        "case_id": command.case_id,
        "paged_at": 0,
        "producer": command.producer,
        "calendar_version": calendar.LATEST,
        "home_cluster": command.home_cluster,
        "ownership_epoch": 0,
    }


def _event(
    before: AlarmCase | None, after: AlarmCase, command: AlarmCommand, source: Source, now: int, event_type: str, rule: str, pages: int
) -> AlarmEvent:
    return AlarmEvent(
        **envelope("alarm", event_type, rule, before, after, command, source, EVENT, now),
        alarm_class=after.alarm_class,
        class_from=before.alarm_class if before and before.round == after.round else "",
        press_count=after.press_count,
        pages=pages,
        acknowledged_by=after.acknowledged_by,
        device=after.device,
        subject=after.subject,
        mended=command.mended,
    )


def _answer(
    command: AlarmCommand, source: Source, now: int, state: AlarmCase | None, outcome: str, refusal: Refusal | None = None, rule: str = ""
) -> Emit:
    seq, place = (state.seq, state.division) if state else (0, command.division)
    return answer(command, source, now, outcome, seq=seq, division=place, refusal=refusal, rule=rule)
