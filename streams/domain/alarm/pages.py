"""Page records: who is told of an alarm, also of one that nobody could read or decide. Pure; `fallback` never raises."""

from __future__ import annotations

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.divisions import PROVINCE, county_of, display_name, division, divisions
from schemas.errors import Reason
from schemas.state.alarm_case.event import AlarmCase
from streams.domain.alarm.table import CLASS_NAMES, URGENCY, AlarmClass
from streams.domain.commands import PAGE
from streams.domain.core import Emit, Source
from streams.domain.notifications import DESK, HEAD, about_case, notification

DUTY_DESK = f"{PROVINCE}-duty"  # of the realm: hears of what no other desk can be found for
UNREADABLE = "求助记录无法处理"
NO_ONE = "no_one_notified"  # cause of a page: the one before reached nobody
SERVICE = URGENCY[AlarmClass.SERVICE]


def desk_of(county: str) -> str:
    """The desk that is told first."""
    return f"{county}-desk"


def title_of(alarm_class: str, code: str) -> str:
    """Composed by us from class and place: never a person's words."""
    return f"紧急求助（{CLASS_NAMES[AlarmClass(alarm_class)]}）· {display_name(code)}"


def rung_of(case: AlarmCase, step: int) -> tuple[str, str] | None:
    """Kind of target and division of a step: the county's desk, its head, the desk of the level above; None: nobody is left.

    A page that reached nobody jumps on at once (research/mission.md 3.2). City and province are not told of a press that somebody could
    have answered (research/users-and-domain.md, cut 1), nor of a call for household help that nobody could.
    """
    above = division(case.county).parent
    rungs = [(DESK, case.county), (HEAD, case.county)]
    if above and URGENCY[AlarmClass(case.alarm_class)] < SERVICE:
        rungs.append((DESK, above))
    return rungs[step] if step < len(rungs) else None


def page(after: AlarmCase, command: AlarmCommand, source: Source, now: int, cause: str) -> Emit:
    """The page of the case's step."""
    rung = rung_of(after, after.step)
    assert rung
    kind, code = rung
    return notification(
        source, PAGE, now, after.case_id, command.realm, kind="alarm", cause=cause, target_kind=kind, target=desk_of(code),
        target_level=division(code).level, step=after.step, urgency=URGENCY[AlarmClass(after.alarm_class)], category=after.alarm_class,
        press_count=after.press_count, reason="", **about_case(after, command, now),
    )  # fmt: skip


def fallback(
    *, key: str, realm: str, places: tuple[str, ...], command: AlarmCommand | None, source: Source, received_at: int, reason: Reason
) -> Emit:
    """The page of an alarm record that could not be read or decided: to the desk of the first of `places` (division codes, the surest
    first) that exists, else to the realm's duty desk. As urgent as life: nobody knows what it said."""
    code = next((place for place in places if place in divisions()), "")
    county = county_of(code) if code else ""
    case_id = command.case_id if command else key
    return notification(
        source, PAGE, received_at, case_id, realm, kind="alarm", cause="fallback", target_kind=DESK,
        target=desk_of(county) if county else DUTY_DESK, target_level=division(county or PROVINCE).level, step=0,
        urgency=URGENCY[AlarmClass.UNCLEAR], category=command.alarm_class if command else "", division=code, county=county, case_number="",
        case_seq=0, round=0, press_count=0, title=f"{UNREADABLE} · {display_name(code)}" if code else UNREADABLE, reason=reason.value,
        command_id=command.command_id if command else "", policy_version="",
        occurred_at=received_at,  # the record's own may be what is wrong with it
        received_at=received_at,
    )  # fmt: skip
