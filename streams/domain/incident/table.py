"""Life cycle of an incident 网格事件, as a table: the one place of its states and commands.

Base: the seven links of digital city management (collect, file, dispatch, handle, feed back, check and close, evaluate)
and Guangdong's 粤平安 "4+2" flow; research/mission.md 3.1 names the source of each row. What lies over a state (an offer to the level
above, a joint handling, a suspension, a shelf, supervision, a response) is no state: its rows stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    CAPTURED = "captured"  # 采集
    ACCEPTED = "accepted"  # 受理
    TRIAGED = "triaged"  # 研判定级
    ASSIGNED = "assigned"  # 分流交办
    SIGNED = "signed"  # 签收: only systems that tell it apart from handling
    HANDLING = "handling"  # 处置
    REPORTED = "reported"  # 反馈
    VERIFYING = "verifying"  # 核查
    CLOSED = "closed"  # 结案
    EVALUATED = "evaluated"  # 评价
    ARCHIVED = "archived"  # 归档
    DECLINED = "declined"  # 不予受理
    MERGED = "merged"  # 并案
    WITHDRAWN = "withdrawn"  # 撤回


ENDED = frozenset({State.CLOSED, State.EVALUATED, State.ARCHIVED, State.DECLINED, State.MERGED, State.WITHDRAWN})
OPEN = frozenset(State) - ENDED
ENDED_TEXTS = frozenset(state.value for state in ENDED)
CAPTURE = "capture"  # makes a case of ours
OBSERVE = "observe"  # a department's fact: makes or moves a mirrored case
WAKE = "wake"  # a deadline may have passed; has no outcome
ABSORB = "absorb"  # of the case lane itself, to the root of a merge
RELEASE = "release"  # of the case lane itself, to the root of a split
UNREACHED = "nobody_notified"  # of our own notifier: a page reached nobody
INNER = frozenset({WAKE, ABSORB, RELEASE, UNREACHED})  # nobody outside may send them


class Guard(StrEnum):
    """What a row asks besides its state; each is one named function in guards.py."""

    REASON = "reason"  # a reason code is given
    ORG = "org"  # an organisation is named
    ORGS = "orgs"  # organisations are named
    EVIDENCE = "evidence"  # the type may be settled on the spot, with evidence
    SHOWN = "shown"  # evidence, where the type asks for it
    WINDOW = "window"  # not longer after the closing than the type allows
    OBJECTION = "objection"  # at most two objections
    COMMON_SUPERIOR = "common_superior"  # after the second objection only a level above the case's may assign
    OTHER_PERSON = "other_person"  # the verifier is not the handler
    NOT_OFFERED = "not_offered"  # no offer to the level above is open
    HIGHER = "higher"  # there is a level above, and the named one is above
    OFFERED = "offered"  # an offer to the level above is open, and this is that level
    LOWER = "lower"  # the named level is below the actor's, and the actor's not below the holder's
    ACTIVE = "active"  # neither suspended nor shelved
    TASK = "task"  # the organisation has an open task, and it or the convener says so
    CONVENER = "convener"  # the lead body of the joint handling
    TASKS_DONE = "tasks_done"  # every task is done or waived
    GROUND = "ground"  # a ground of the suspension policy, for no longer than it allows
    GRANTOR = "grantor"  # as the policy of the clock says: a level above the holder's, or the holder's own
    APPROVER = "approver"  # a named person who is not the handler
    SUSPENDED = "suspended"
    SHELVED = "shelved"
    SUPERIOR = "superior"  # the actor's level is above the holder's
    REVIEW = "review"  # a review date to come
    RUNG = "rung"  # a rung of the supervision ladder that the issuer's level may use, above what stands
    OWES_REPLY = "owes_reply"  # a supervision waits for a reply
    ISSUER = "issuer"  # the issuer of a supervision in force
    RESPONSE = "response"  # another response level than now
    EXTENSIBLE = "extensible"  # a running clock, not extended yet, not due, within what the policy allows
    AWAITED = "awaited"  # a page that the actor's level got, or that is about its own clock, waits for an acknowledgement
    UNREACHED = "unreached"  # a page waits that reached nobody
    CONTESTABLE = "contestable"  # a breach that stands and was not contested yet; asked at or below the level whose clock it is
    RULER = "ruler"  # a contest waits, and the actor's level is above that of the clock
    REPIN = "repin"  # an administrator or the province, and another version that is known
    DRAFT = "draft"  # a file of a report-up in its order, by a named person below the level it goes to
    SIGNER = "signer"  # a draft waits, and the signer is another person than its drafter
    AFFECTED = "affected"  # a citizen asks for it, or one who did not handle it
    TARGET = "target"  # another case is named
    ABSORBED = "absorbed"  # the named case is merged into this one
    AMENDMENT = "amendment"  # something known is to be set right, within the actor's scope


@dataclass(frozen=True, slots=True)
class Row:
    """`target` None: the state stays."""

    command: str
    sources: frozenset[State]
    target: State | None
    event: str  # type of the event it makes
    guards: tuple[Guard, ...] = ()


def _row(command: str, sources: frozenset[State] | State, target: State | None, event: str, *guards: Guard) -> Row:
    return Row(command, frozenset({sources}) if isinstance(sources, State) else sources, target, f"incident.{event}", guards)


S, G = State, Guard
WORKED = frozenset({S.ASSIGNED, S.SIGNED, S.HANDLING, S.REPORTED, S.VERIFYING})
UNASSIGNED = frozenset({S.CAPTURED, S.ACCEPTED, S.TRIAGED})
CONTESTED = OPEN | {S.CLOSED, S.EVALUATED}  # a breach may be contested and ruled on after the end too
REPORTED_UP = OPEN | {S.CLOSED, S.EVALUATED}  # the final report often comes after the end
SUPERVISED = OPEN | {S.CLOSED, S.EVALUATED}  # what was ordered is answered and lifted also after the end
TABLE: tuple[Row, ...] = (
    _row("self_handle", S.CAPTURED, S.REPORTED, "self_handled", G.EVIDENCE),
    _row("accept", S.CAPTURED, S.ACCEPTED, "accepted"),
    _row("decline", S.CAPTURED, S.DECLINED, "declined", G.REASON, G.ORG),
    _row("triage", frozenset({S.ACCEPTED, S.TRIAGED}), S.TRIAGED, "triaged"),
    _row("triage", WORKED, None, "triaged"),  # a grade may rise or fall at any time
    _row("assign", S.TRIAGED, S.ASSIGNED, "assigned", G.ORG, G.COMMON_SUPERIOR),
    _row("sign", S.ASSIGNED, S.HANDLING, "signed"),
    _row("object", S.ASSIGNED, S.TRIAGED, "returned", G.REASON, G.OBJECTION),
    _row("offer_up", OPEN, None, "offered_up", G.NOT_OFFERED, G.HIGHER),
    _row("take", OPEN, None, "taken", G.OFFERED),
    _row("return", OPEN, None, "offer_returned", G.OFFERED, G.REASON),
    _row("assign_down", OPEN, None, "assigned_down", G.ORG, G.LOWER),
    _row("convene", S.HANDLING, None, "convened", G.ACTIVE, G.ORGS),
    _row("task_done", S.HANDLING, None, "task_done", G.TASK),
    _row("task_waive", S.HANDLING, None, "task_waived", G.REASON, G.CONVENER, G.TASK),
    _row("suspend", S.HANDLING, None, "suspended", G.ACTIVE, G.GROUND, G.APPROVER),
    _row("resume", S.HANDLING, None, "resumed", G.SUSPENDED),
    _row("shelve", S.HANDLING, None, "shelved", G.ACTIVE, G.REASON, G.REVIEW, G.SUPERIOR, G.APPROVER),
    _row("unshelve", S.HANDLING, None, "unshelved", G.SHELVED),
    _row("supervise", OPEN, None, "supervised", G.SUPERIOR, G.RUNG),
    _row("reply_supervision", SUPERVISED, None, "supervision_replied", G.OWES_REPLY),
    _row("lift_supervision", SUPERVISED, None, "supervision_lifted", G.ISSUER),
    _row("respond", OPEN, None, "responded", G.RESPONSE),
    _row("extend", OPEN, None, "extended", G.REASON, G.GRANTOR, G.APPROVER, G.EXTENSIBLE),
    _row("acknowledge", OPEN, None, "acknowledged", G.AWAITED),
    _row(UNREACHED, OPEN, None, "no_one_notified", G.UNREACHED),
    _row("contest", CONTESTED, None, "contested", G.REASON, G.CONTESTABLE),
    _row("uphold_breach", CONTESTED, None, "breach_upheld", G.REASON, G.RULER),
    _row("withdraw_breach", CONTESTED, None, "breach_withdrawn", G.REASON, G.RULER),
    _row("repin", OPEN, None, "repinned", G.REASON, G.REPIN),
    _row("draft_report", REPORTED_UP, None, "report_drafted", G.DRAFT),
    _row("sign_report", REPORTED_UP, None, "report_signed", G.SIGNER),
    _row("report", S.HANDLING, S.REPORTED, "reported", G.ACTIVE, G.TASKS_DONE, G.SHOWN),
    _row("check", S.REPORTED, S.VERIFYING, "checking"),
    _row("verify_ok", frozenset({S.REPORTED, S.VERIFYING}), S.CLOSED, "closed", G.OTHER_PERSON),
    _row("verify_fail", frozenset({S.REPORTED, S.VERIFYING}), S.HANDLING, "failed_check", G.REASON, G.OTHER_PERSON),
    _row("evaluate", S.CLOSED, S.EVALUATED, "evaluated"),
    _row("reopen", frozenset({S.CLOSED, S.EVALUATED}), S.HANDLING, "reopened", G.REASON, G.AFFECTED, G.WINDOW),
    _row("archive", frozenset({S.CLOSED, S.EVALUATED}), S.ARCHIVED, "archived"),
    _row("merge_into", OPEN, S.MERGED, "merged", G.TARGET),
    _row("split", S.MERGED, None, "split"),  # back to the state it was merged from
    _row(ABSORB, OPEN, None, "absorbed", G.TARGET),
    _row(RELEASE, frozenset(State), None, "released", G.ABSORBED),
    _row("amend", OPEN, None, "amended", G.AMENDMENT),
    _row("void", UNASSIGNED, S.WITHDRAWN, "voided", G.REASON),  # entered by mistake
    _row("withdraw", OPEN, S.WITHDRAWN, "withdrawn", G.REASON),
)
CELLS: dict[tuple[str, str], Row] = {(row.command, source.value): row for row in TABLE for source in row.sources}
COMMANDS: dict[str, Row] = {row.command: row for row in reversed(TABLE) if row.command not in INNER}
"""What desks may ask, each with its first row."""
