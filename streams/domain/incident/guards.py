"""The guards of the incident table: one named function each, answering None or why not."""

from __future__ import annotations

from collections.abc import Callable

from schemas.avro.incident_command.event import IncidentCommand
from schemas.case_rules import needs_evidence, reopen_window_ms
from schemas.divisions import divisions, is_within
from schemas.errors import Refusal
from schemas.event_types import event_types
from schemas.state.incident_case.event import IncidentCase
from streams.domain.incident import chains, contests, filing, overlays, repinning, rules, timing
from streams.domain.incident.levels import is_above, next_above, rank
from streams.domain.incident.table import Guard

Check = Callable[[IncidentCase, IncidentCommand, int], Refusal | None]
MOST_OBJECTIONS = 2


def reason(_state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return None if command.reason else Refusal.REASON_MISSING


def org(_state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return None if command.org else Refusal.ORG_MISSING


def orgs(_state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return None if command.orgs and all(command.orgs) else Refusal.ORG_MISSING


def evidence(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    """On-the-spot settlement: only types of the list, only with evidence (滨州网格条例 art. 11 as the known form)."""
    return None if command.evidence and event_types()[state.incident_type].self_handle else Refusal.NOT_SELF_HANDLED


def shown(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return None if command.evidence or not needs_evidence(state.incident_type) else Refusal.EVIDENCE_MISSING


def window(state: IncidentCase, _command: IncidentCommand, now: int) -> Refusal | None:
    """Counted from the end of the last segment of the ledger, which is the closing."""
    closed_at = state.segments[-1].until if state.segments else 0
    return Refusal.WINDOW_OVER if closed_at and now > closed_at + reopen_window_ms(state.incident_type) else None


def objection(state: IncidentCase, _command: IncidentCommand, _now: int) -> Refusal | None:
    """After the second objection the common superior names the handler; there is no third (深圳条例 art. 45 as the known form)."""
    return None if state.objections < MOST_OBJECTIONS else Refusal.OBJECTIONS_EXHAUSTED


def common_superior(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    """The superior of everyone who has held the case; at the highest level there is, that level itself."""
    if state.objections < MOST_OBJECTIONS:
        return None
    highest = max([state.holder_level, *(segment.level for segment in state.segments)], key=rank)
    above = next_above(state.division, highest)
    return None if rank(command.actor_level) >= rank(above or highest) else Refusal.LEVEL_TOO_LOW


def other_person(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    """A named person who neither signed for the case nor reported it; one desk or two posts of one person make no second person."""
    if not command.actor_person:
        return Refusal.PERSON_MISSING
    return Refusal.SAME_PERSON if command.actor_person in (state.handler_person, state.signer_person) else None


def not_offered(state: IncidentCase, _command: IncidentCommand, _now: int) -> Refusal | None:
    return Refusal.ALREADY_OFFERED if overlays.is_offered(state) else None


def higher(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    level = overlays.offered_level(state, command)
    return None if level and is_above(level, state.holder_level) else Refusal.NO_LEVEL_ABOVE


def offered(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    if state.upstream is None or not overlays.is_offered(state):
        return Refusal.NOT_OFFERED
    return None if rank(command.actor_level) >= rank(state.upstream.level) else Refusal.LEVEL_TOO_LOW


def lower(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    """Handed down by the holder's level or one above it, to a level below the actor's."""
    if rank(command.actor_level) < rank(state.holder_level):
        return Refusal.LEVEL_TOO_LOW
    return None if is_above(command.actor_level, overlays.handed_level(state, command)) else Refusal.LEVEL_NOT_BELOW


def active(state: IncidentCase, _command: IncidentCommand, _now: int) -> Refusal | None:
    return Refusal.SUSPENDED if state.suspended else Refusal.SHELVED if state.shelved else None


def task(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    named = overlays.task_org(command)
    if not any(one.org == named for one in overlays.open_tasks(state)):
        return Refusal.TASK_UNKNOWN
    return None if state.joint and command.actor_org in (named, state.joint.lead) else Refusal.NOT_CONVENER


def convener(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return None if state.joint and command.actor_org == state.joint.lead else Refusal.NOT_CONVENER


def tasks_done(state: IncidentCase, _command: IncidentCommand, _now: int) -> Refusal | None:
    return Refusal.TASKS_OPEN if overlays.open_tasks(state) else None


def ground(state: IncidentCase, command: IncidentCommand, now: int) -> Refusal | None:
    """Never free text: 中止 has a ground of the policy's list, an approver of its rank, and an end."""
    if not command.reason:
        return Refusal.REASON_MISSING
    longest = rules.longest_suspension(state, command.reason, now)
    if not longest:
        return Refusal.GROUND_UNKNOWN
    if rules.needs_superior(state, command.reason) and not is_above(command.actor_level, state.holder_level):
        return Refusal.LEVEL_TOO_LOW
    if command.until and command.until <= now:
        return Refusal.TIME_PAST
    return None if command.until <= longest else Refusal.TOO_LONG


def suspended(state: IncidentCase, _command: IncidentCommand, _now: int) -> Refusal | None:
    return None if state.suspended else Refusal.NOT_SUSPENDED


def shelved(state: IncidentCase, _command: IncidentCommand, _now: int) -> Refusal | None:
    return None if state.shelved else Refusal.NOT_SHELVED


def superior(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    """A level above the holder's; the highest level there is has none above and answers for itself."""
    above = next_above(state.division, state.holder_level) or state.holder_level
    return None if rank(command.actor_level) >= rank(above) else Refusal.LEVEL_TOO_LOW


def review(_state: IncidentCase, command: IncidentCommand, now: int) -> Refusal | None:
    if not command.until:
        return Refusal.REVIEW_MISSING
    return None if command.until > now else Refusal.TIME_PAST


def rung(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    if not command.actor_org:
        return Refusal.ORG_MISSING  # nobody could ever lift it
    ladder = rules.rungs(state)
    wanted = rules.rung_of(state, command.rung)
    if wanted is None:
        return Refusal.RUNG_UNKNOWN
    if rank(command.actor_level) < rank(wanted.issuer_level):
        return Refusal.LEVEL_TOO_LOW
    standing = overlays.rung_in_force(state)
    if standing and ladder.index(wanted.code) <= ladder.index(standing):
        return Refusal.RUNG_NOT_ABOVE
    return None


def owes_reply(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return None if overlays.supervision_to_reply(state, command) else Refusal.NO_REPLY_OWED


def issuer(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    if not overlays.in_force(state):
        return Refusal.NOT_SUPERVISED
    return None if overlays.supervision_to_lift(state, command) else Refusal.NOT_ISSUER


def response(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    if not 0 <= command.response_level <= 4 or command.response_level == state.response_level:
        return Refusal.RESPONSE_UNCHANGED
    return None if rank(command.actor_level) >= rank(state.holder_level) else Refusal.LEVEL_TOO_LOW


def grantor(state: IncidentCase, command: IncidentCommand, now: int) -> Refusal | None:
    """批准延期: where the policy leaves it to the head of the body itself (信访工作条例 34), the holder's level will do."""
    clock = timing.to_extend(state, command)
    if clock and rules.granted_by_head(state.policy_version, clock.policy) and rank(command.actor_level) >= rank(state.holder_level):
        return None
    return superior(state, command, now)


def extensible(state: IncidentCase, command: IncidentCommand, now: int) -> Refusal | None:
    """延期: once, before it is due, by the handler's superior."""
    return timing.why_not_extend(state, command, now)


def awaited(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return None if chains.acknowledgeable(state, command) else Refusal.NOTHING_AWAITED


def unreached(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    """What is told late of a page that was answered or sent anew since changes nothing."""
    return None if chains.unreached(state, command) else Refusal.NOTHING_AWAITED


def contestable(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return contests.why_not_contest(state, command)


def ruler(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return contests.why_not_rule(state, command)


def repin(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return repinning.why_not_repin(state, command)


def draft(state: IncidentCase, command: IncidentCommand, now: int) -> Refusal | None:
    return filing.why_not_draft(state, command, now)


def signer(state: IncidentCase, command: IncidentCommand, now: int) -> Refusal | None:
    return filing.why_not_sign(state, command, now)


def affected(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    """The reporter or another citizen it concerns, or a desk that did not handle it: never the handler alone."""
    if command.person:
        return None
    return other_person(state, command, _now)


def target(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    if not command.target:
        return Refusal.TARGET_MISSING
    return None if command.target != state.case_id else Refusal.TARGET_ITSELF


def absorbed(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    return None if any(one.case_id == command.target for one in state.merged) else Refusal.NOT_MERGED


def amendment(state: IncidentCase, command: IncidentCommand, _now: int) -> Refusal | None:
    if command.division and (command.division not in divisions() or not is_within(command.division, command.actor_division)):
        return Refusal.OUT_OF_SCOPE
    if command.incident_type and command.incident_type not in event_types():
        return Refusal.NOTHING_TO_AMEND
    moved = command.division not in ("", state.division) or command.incident_type not in ("", state.incident_type)
    return None if moved or command.cell or command.sealed_ref else Refusal.NOTHING_TO_AMEND


GUARDS: dict[Guard, Check] = {
    Guard.REASON: reason, Guard.ORG: org, Guard.ORGS: orgs, Guard.EVIDENCE: evidence, Guard.OBJECTION: objection,
    Guard.COMMON_SUPERIOR: common_superior, Guard.OTHER_PERSON: other_person, Guard.NOT_OFFERED: not_offered, Guard.HIGHER: higher,
    Guard.OFFERED: offered, Guard.LOWER: lower, Guard.ACTIVE: active, Guard.TASK: task, Guard.CONVENER: convener,
    Guard.TASKS_DONE: tasks_done, Guard.GROUND: ground, Guard.APPROVER: other_person, Guard.SUSPENDED: suspended, Guard.SHELVED: shelved,
    Guard.SUPERIOR: superior, Guard.REVIEW: review, Guard.RUNG: rung, Guard.OWES_REPLY: owes_reply, Guard.ISSUER: issuer,
    Guard.RESPONSE: response, Guard.EXTENSIBLE: extensible, Guard.AFFECTED: affected, Guard.TARGET: target, Guard.ABSORBED: absorbed,
    Guard.AMENDMENT: amendment, Guard.CONTESTABLE: contestable, Guard.RULER: ruler, Guard.REPIN: repin,
    Guard.GRANTOR: grantor, Guard.SHOWN: shown,
    Guard.WINDOW: window, Guard.DRAFT: draft, Guard.SIGNER: signer, Guard.AWAITED: awaited, Guard.UNREACHED: unreached,
}  # fmt: skip
