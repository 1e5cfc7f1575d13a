"""A case under another version of the policies and the newest calendar: asked for by name, recorded, and never into the past.

A case keeps the version it was opened under, until somebody says otherwise and why (research/mission.md, section 2 row 9).
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.calendar import LATEST, calendar
from schemas.clocks import Rule
from schemas.errors import Refusal
from schemas.policies import latest
from schemas.policy.terms import Level
from schemas.principals import Kind
from schemas.state.clock import Clock
from schemas.state.incident_case.event import IncidentCase, Supervision
from streams.domain.clocks.clock import recalculate
from streams.domain.incident import overlays, rules
from streams.domain.incident.clocks import REPORT_UP, Clocks, rule_of, under
from streams.domain.incident.levels import rank

Fields = dict[str, Any]
replace = msgspec.structs.replace


def version_wanted(command: IncidentCommand) -> str:
    return command.policy_version or latest()


def why_not_repin(state: IncidentCase, command: IncidentCommand) -> Refusal | None:
    """By an administrator or the province: what a case owes is not for those to choose who owe it."""
    if command.actor_role != Kind.ADMIN.value and rank(command.actor_level) < rank(Level.PROVINCE):
        return Refusal.LEVEL_TOO_LOW
    wanted = version_wanted(command)
    if not rules.is_known(wanted):
        return Refusal.POLICY_UNKNOWN
    if (wanted, LATEST) == (state.policy_version, state.calendar_version):
        return Refusal.POLICY_UNCHANGED
    lost = {one.rung for one in overlays.in_force(state)} - set(rules.book(wanted).rungs)
    return Refusal.RUNG_UNKNOWN if lost else None  # what was ordered is answered and lifted first


def repin(_state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    return {"policy_version": version_wanted(command), "calendar_version": LATEST}


def repinned(before: IncidentCase, after: IncidentCase, _command: IncidentCommand, now: int, held: Clocks) -> Fields:
    """Every running clock by the newest days and under the rule that the other version has for it. One for which it has none, and one whose
    deadline would then lie in the past, stay as they are."""
    changed: Clocks = []
    papers = list(after.supervised)
    for clock in held:
        if clock.stopped_at:
            changed.append(clock)
            continue
        found = recalculate(clock, rule_of(before, clock), calendar(after.calendar_version), now)
        paper = _paper_of(after, clock)
        rule = _rule_for(after, found, paper)
        found = under(found, rule, now) if rule and rule.policy != clock.policy else found
        changed.append(found)
        if paper:
            papers[papers.index(paper)] = replace(paper, reply_due=found.due_at)
    return {"clocks": tuple(changed), "supervised": tuple(papers)}


def _paper_of(state: IncidentCase, clock: Clock) -> Supervision | None:
    """The supervision whose reply the clock counts."""
    return next((one for one in reversed(overlays.in_force(state)) if overlays.is_of_paper(one, clock)), None)


def _rule_for(state: IncidentCase, clock: Clock, paper: Supervision | None) -> Rule | None:
    if paper:
        return rules.reply_limit(state, paper.rung)
    if clock.purpose == REPORT_UP:
        hop = rules.hop_of(state, clock.level)
        return hop[1].rule if hop else None
    found = rules.limit(state.policy_version, clock.purpose, state.incident_type, state.grade)
    return found.rule if found else None
