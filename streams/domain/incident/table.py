"""Life cycle of an incident 网格事件, as a table: the one place of its states and commands.

Base: the seven links of digital city management (collect, file, dispatch, handle, feed back, check and close, evaluate)
and Guangdong's 粤平安 "4+2" flow; research/mission.md 3.1 names the source of each row.
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
CAPTURE = "capture"  # makes a case of ours
OBSERVE = "observe"  # a department's fact: makes or moves a mirrored case


class Guard(StrEnum):
    """What a row asks besides its state; each is one named function in guards.py."""

    REASON = "reason"  # a reason code is given
    ORG = "org"  # an organisation is named
    EVIDENCE = "evidence"  # the type may be settled on the spot, with evidence
    OBJECTION = "objection"  # at most one objection; the next needs the common superior
    OTHER_PERSON = "other_person"  # the verifier is not the handler


@dataclass(frozen=True, slots=True)
class Row:
    command: str
    sources: frozenset[State]
    target: State
    event: str  # type of the event it makes
    guards: tuple[Guard, ...] = ()


def _row(command: str, sources: frozenset[State] | State, target: State, event: str, *guards: Guard) -> Row:
    return Row(command, frozenset({sources}) if isinstance(sources, State) else sources, target, f"incident.{event}", guards)


S = State
TABLE: tuple[Row, ...] = (
    _row("self_handle", S.CAPTURED, S.REPORTED, "self_handled", Guard.EVIDENCE),
    _row("accept", S.CAPTURED, S.ACCEPTED, "accepted"),
    _row("decline", S.CAPTURED, S.DECLINED, "declined", Guard.REASON),
    _row("triage", frozenset({S.ACCEPTED, S.TRIAGED}), S.TRIAGED, "triaged"),
    _row("assign", S.TRIAGED, S.ASSIGNED, "assigned", Guard.ORG),
    _row("sign", S.ASSIGNED, S.HANDLING, "signed"),
    _row("object", S.ASSIGNED, S.TRIAGED, "returned", Guard.REASON, Guard.OBJECTION),
    _row("report", S.HANDLING, S.REPORTED, "reported"),
    _row("check", S.REPORTED, S.VERIFYING, "checking"),
    _row("verify_ok", frozenset({S.REPORTED, S.VERIFYING}), S.CLOSED, "closed", Guard.OTHER_PERSON),
    _row("verify_fail", frozenset({S.REPORTED, S.VERIFYING}), S.HANDLING, "failed_check", Guard.REASON, Guard.OTHER_PERSON),
    _row("evaluate", S.CLOSED, S.EVALUATED, "evaluated"),
    _row("reopen", frozenset({S.CLOSED, S.EVALUATED}), S.HANDLING, "reopened", Guard.REASON),
    _row("archive", frozenset({S.CLOSED, S.EVALUATED}), S.ARCHIVED, "archived"),
    _row("withdraw", OPEN, S.WITHDRAWN, "withdrawn", Guard.REASON),
)
COMMANDS: dict[str, Row] = {row.command: row for row in TABLE}
