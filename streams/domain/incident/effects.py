"""What each command of the table changes besides the state: one small function each, asked after the guards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.avro.incident_command.event import IncidentCommand
from schemas.divisions import county_of, display_name, division
from schemas.event_types import event_types
from schemas.principals import Kind
from schemas.state.incident_case.event import IncidentCase
from streams.domain.incident import chains, contests, filing, overlays, repinning
from streams.domain.incident.levels import desk_of, levels_of, rank

Fields = dict[str, Any]
Effect = Callable[[IncidentCase, IncidentCommand, int], Fields]
REPORTER, AFFECTED = "asked_by_reporter", "asked_by_affected"  # rules: who wanted a case opened again
NO_ROOT = "root_refused"  # rule: the root of a merge did not take the case, so it is split off again


def title_of(incident_type: str, code: str) -> str:
    """Composed by us from type and place: never a person's words."""
    return f"{event_types()[incident_type].name_zh} · {display_name(code)}"


def first_desk(county: str) -> str:
    """Who holds a case that nobody was given yet."""
    return f"{county}-desk"


def entered_at(command: IncidentCommand) -> tuple[str, str]:
    """First holder of a case and its level: a desk below the county that enters a matter of its place; else the county's (where there is
    none, the city's), because counties resolve."""
    county = county_of(command.division)
    level = division(county).level
    if command.actor_role == Kind.DESK.value and 0 <= rank(command.actor_level) < rank(level):
        level = next(one for one in levels_of(command.division) if rank(one) >= rank(command.actor_level))
    return desk_of(command.division, level), level


def triage(state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    incident_type = command.incident_type or state.incident_type
    return {
        "grade": command.grade or state.grade,
        "incident_type": incident_type,
        "title": title_of(incident_type, state.division),
    }


def assign(state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    """The first body is no reassignment; another one than last time is."""
    desks = {first_desk(state.county), desk_of(state.division, state.holder_level)}
    held = [segment.holder for segment in state.segments if segment.holder not in desks] or [state.holder]
    moved = held[-1] not in {command.org} | desks
    changes: Fields = {"holder": command.org, "reassignments": state.reassignments + moved}
    return changes | ({"holder_level": command.level} if command.level else {})


def sign(state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    return {"handler_person": command.actor_person or state.handler_person, "signer_person": command.actor_person or state.signer_person}


def object_(state: IncidentCase, _command: IncidentCommand, _now: int) -> Fields:
    """退回: back to the desk that assigns, until it names another."""
    return {"objections": state.objections + 1, "holder": desk_of(state.division, state.holder_level) or first_desk(state.county)}


def handled(state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    """A report without a person (a department's system) leaves who signed it in the handler's place."""
    return {"handler_person": command.actor_person or state.handler_person}


def verify_fail(state: IncidentCase, _command: IncidentCommand, _now: int) -> Fields:
    return {"round": state.round + 1}


def reopen(state: IncidentCase, _command: IncidentCommand, _now: int) -> Fields:
    """The old round's clocks and segments stay as they ended; a joint handling is over."""
    return {"round": state.round + 1, "reopens": state.reopens + 1, "joint": None}


def respond(_state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    return {"response_level": command.response_level}


def amend(state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    """Sets right what was entered wrong. A case that lies at a duty desk goes to that of the right place."""
    code = command.division or state.division
    incident_type = command.incident_type or state.incident_type
    changes: Fields = {"incident_type": incident_type, "title": title_of(incident_type, code)}
    if code != state.division:
        county = county_of(code)
        changes |= {"division": code, "county": county, "level": division(code).level}
        if state.holder == desk_of(state.division, state.holder_level):
            same = desk_of(code, state.holder_level)
            changes |= {"holder": same or first_desk(county), "holder_level": state.holder_level if same else division(county).level}
    return changes


EFFECTS: dict[str, Effect] = {
    "self_handle": handled, "triage": triage, "assign": assign, "sign": sign, "object": object_, "report": handled,
    "verify_fail": verify_fail, "reopen": reopen, "respond": respond, "amend": amend,
    "offer_up": overlays.offer_up, "take": overlays.take, "return": overlays.return_, "assign_down": overlays.assign_down,
    "convene": overlays.convene, "task_done": overlays.task_done, "task_waive": overlays.task_waive,
    "suspend": overlays.suspend, "resume": overlays.resume, "shelve": overlays.shelve, "unshelve": overlays.unshelve,
    "supervise": overlays.supervise, "reply_supervision": overlays.reply_supervision, "lift_supervision": overlays.lift_supervision,
    "acknowledge": chains.acknowledge, "nobody_notified": chains.nobody_notified,
    "contest": contests.contest, "uphold_breach": contests.uphold_breach, "withdraw_breach": contests.withdraw_breach,
    "repin": repinning.repin, "draft_report": filing.draft_report, "sign_report": filing.sign_report,
    "merge_into": overlays.merge_into, "split": overlays.split, "absorb": overlays.absorb, "release": overlays.release,
}  # fmt: skip


def rule_of(state: IncidentCase, command: IncidentCommand) -> str:
    """The named rule that an applied command stands under; "" none."""
    if command.name == "reopen" and command.person:
        return REPORTER if command.person in state.reporters else AFFECTED
    return NO_ROOT if command.name == "split" and command.cause == "rule" else ""
