"""上报 as a file: 首报, 续报, 核报, 终报, each drafted by one person and signed off 签发 by another.

To report up is a duty of its own clock and says nothing of who holds the case: an offer to the level above is another thing (overlays.py).
A signed first report opens the window in which a change of it is reported again 补报, where the law sets one (生产安全事故报告和调查处理
条例 13). The window is a clock that nobody can breach: the law asks for a report of each change within it, not for a report by its end, and
we do not know whether anything changed. So 续报 does not end it, nor 终报, after which 续报 stays possible while it is open; it warns, then
closes. It ends with the case, for a closed case has no timers, and goes on where the case is opened again in time.
Secret matters 涉密 are not entered here: a file names its paper by number, and the paper goes its own way.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.errors import Refusal
from schemas.policy.rules import Hop
from schemas.policy.terms import Starts
from schemas.state.incident_case.event import Filed, IncidentCase
from streams.domain.incident import rules
from streams.domain.incident.clocks import REPORT_UP, SUPPLEMENT, Clocks, begun, having, stopped
from streams.domain.incident.levels import desk_of, is_above, next_above, rank

FIRST, NEXT, CHECK, FINAL = "first", "next", "check", "final"  # 首报, 续报, 核报, 终报
STAGES = (FIRST, NEXT, CHECK, FINAL)
Fields = dict[str, Any]
replace = msgspec.structs.replace


def level_wanted(state: IncidentCase, command: IncidentCommand) -> str:
    """To which level: the one named, else the one that the policy's next hop ends at, else the next above. "" when there is none."""
    if command.level:
        return command.level if desk_of(state.division, command.level) else ""
    hop = rules.hop_of(state, state.holder_level)
    found = hop[0].to.value if hop else ""
    return found if found and desk_of(state.division, found) else next_above(state.division, state.holder_level)


def owing(state: IncidentCase) -> tuple[str, str]:
    """Desk and level that owe the next hop: who holds the case, or the highest level above that was told already."""
    told = [one.level for one in state.filed if one.signed_at and one.stage == FIRST]
    highest = max([state.holder_level, *told], key=rank)
    return (state.holder if highest == state.holder_level else desk_of(state.division, highest)), highest


def owed_since(state: IncidentCase, hop: Hop, starts: Starts, held: Clocks, now: int) -> int:
    """What starts the clock of a hop that is owed now, for the grade says so.

    From the receipt: the moment at which the case came to the first of the levels that the hop is of, however late they graded it, for a
    desk gains no time by grading late. Where a report was owed already, another grade is a new duty and counts from when it was given; so
    does a later round of the case.
    """
    if starts is Starts.OCCURRED and state.round == 1:
        return min(now, state.opened_at)
    if starts is not Starts.RECEIVED or state.round > 1 or any(clock.purpose == REPORT_UP for clock in held):
        return now
    if _is_of(hop, state.segments[0].level):
        return min(now, state.arrived_at)
    return next((one.since for one in state.segments if _is_of(hop, one.level)), now)


def _is_of(hop: Hop, level: str) -> bool:
    return rank(hop.of) <= rank(level) < rank(hop.to)


def draft_to_sign(state: IncidentCase, command: IncidentCommand) -> Filed | Refusal:
    """The only draft that waits; of the named stage and level where they are named."""
    drafts = [one for one in state.filed if not one.signed_at and command.stage in ("", one.stage) and command.level in ("", one.level)]
    if len(drafts) == 1:
        return drafts[0]
    return Refusal.SEVERAL_DRAFTS if drafts else Refusal.NOT_DRAFTED


def why_not_draft(state: IncidentCase, command: IncidentCommand, now: int) -> Refusal | None:
    level = level_wanted(state, command)
    if not level:
        return Refusal.NO_LEVEL_ABOVE
    if command.stage not in STAGES:
        return Refusal.STAGE_UNKNOWN
    if not command.actor_person:
        return Refusal.PERSON_MISSING
    if rank(command.actor_level) >= rank(level):
        return Refusal.LEVEL_TOO_HIGH  # who is reported to does not write the report
    return None if _in_order(state, command.stage, level, now) else Refusal.STAGE_OUT_OF_ORDER


def why_not_sign(state: IncidentCase, command: IncidentCommand, now: int) -> Refusal | None:
    """签发: a person signs, and not the one who drafted it."""
    draft = draft_to_sign(state, command)
    if isinstance(draft, Refusal):
        return draft
    if not command.actor_person:
        return Refusal.PERSON_MISSING
    if command.actor_person == draft.drafter:
        return Refusal.SAME_PERSON
    if rank(command.actor_level) >= rank(draft.level):
        return Refusal.LEVEL_TOO_HIGH
    return None if _in_order(state, draft.stage, draft.level, now) else Refusal.STAGE_OUT_OF_ORDER


def _in_order(state: IncidentCase, stage: str, level: str, now: int) -> bool:
    """To one level the first report is signed once and before all others, and nothing comes after the final one but what the law wants
    supplemented."""
    signed = {one.stage for one in state.filed if one.signed_at and one.level == level}
    if FINAL in signed:
        return stage == NEXT and any(clock.purpose == SUPPLEMENT and now < clock.due_at for clock in state.clocks)
    return (stage == FIRST) is (FIRST not in signed)


def draft_report(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    """Another draft of the same stage to the same level takes the place of the one that nobody has signed."""
    level = level_wanted(state, command)
    fresh = Filed(command.stage, level, command.paper, command.actor_person, now, "", 0)
    kept = tuple(one for one in state.filed if one.signed_at or (one.stage, one.level) != (fresh.stage, fresh.level))
    return {"filed": (*kept, fresh)}


def sign_report(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    draft = draft_to_sign(state, command)
    assert isinstance(draft, Filed)
    paper = command.paper or draft.paper
    signed = [replace(one, signer=command.actor_person, signed_at=now, paper=paper) if one is draft else one for one in state.filed]
    return {"filed": tuple(signed)}


def touched(before: IncidentCase, after: IncidentCase) -> Filed:
    """The file that a command drafted or signed."""
    known = {id(one) for one in before.filed}
    return next(one for one in after.filed if id(one) not in known)


def signed(before: IncidentCase, after: IncidentCase, _command: IncidentCommand, now: int, held: Clocks) -> Fields:
    """A signed first report ends the hops below its level, and the level that was told owes the next one."""
    report = touched(before, after)
    if report.stage != FIRST:
        return {}
    due = [clock.purpose == REPORT_UP and not clock.stopped_at and rank(clock.level) < rank(report.level) for clock in held]
    changed = [stopped(after, clock, now, now) if ended else clock for clock, ended in zip(held, due, strict=True)]
    owed = rules.hop_of(after, report.level)
    if any(due) and owed and is_above(owed[0].to, report.level):
        changed = having(changed, begun(after, owed[1].rule, now, desk_of(after.division, report.level), report.level, now))
    return {"clocks": tuple(window(after, changed, now))}


def window(state: IncidentCase, held: Clocks, now: int) -> Clocks:
    """The window for supplements as it must be now: open from the first report on for who holds the case then, until its end; none for a
    type that has none."""
    found = rules.limit(state.policy_version, SUPPLEMENT, state.incident_type, state.grade)
    if found is None:
        return [stopped(state, clock, now, now) if clock.purpose == SUPPLEMENT else clock for clock in held]
    if not any(one.signed_at and one.stage == FIRST for one in state.filed):
        return held
    if any(clock.purpose == SUPPLEMENT and not clock.stopped_at for clock in held):
        return held
    fresh = begun(state, found.rule, min(now, state.opened_at), state.holder, state.holder_level, now)
    return having(held, fresh) if now < fresh.due_at else held
