"""Why each deadline of a case is the deadline: its clocks as known at a moment, each with rule, source, days that did not count, and a
sentence in Chinese and English. Pure: rows of events in, a document out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from schemas.calendar import calendar
from schemas.clocks import Light, Rule, Unit
from schemas.errors import UnknownPolicy
from schemas.policies import Policies, policies
from schemas.policy.rules import ClockRule
from schemas.policy.terms import Purpose, Starts
from schemas.policy.words import CERTAINTY
from schemas.state.clock import Clock
from services.warehouse.backend import Row
from services.warehouse.read_port.history import Clocks, Known, Objection
from streams.domain.clocks.clock import light
from streams.domain.clocks.deadline import Due, Kind, Step, explain
from streams.domain.clocks.running import is_paused, paused_time, point, share
from streams.domain.clocks.words import Both, limit_words, sentence, span_words
from streams.domain.clocks.working import working_between
from streams.domain.incident import rules

PURPOSES = {
    Purpose.ACCEPT.value: Both("受理", "accept"), Purpose.SIGN.value: Both("签收", "sign"),
    Purpose.HANDLE.value: Both("办理", "handle"), Purpose.REPLY.value: Both("答复", "reply"),
    Purpose.REPORT_UP.value: Both("上报", "report up"),
    Purpose.SUPPLEMENT.value: Both("补报期", "window for supplements"), Purpose.TOTAL.value: Both("总时限", "total"),
}  # fmt: skip
BEGUN = {
    "incident.captured": Both("采集", "captured"), "incident.assigned": Both("交办", "assigned"), "incident.signed": Both("签收", "signed"),
    "incident.taken": Both("接收", "taken over"), "incident.assigned_down": Both("交下级办理", "handed down"),
    "incident.offered_up": Both("提请上级接收", "offered to the level above"), "incident.supervised": Both("督办", "supervised"),
    "incident.triaged": Both("定级", "graded"), "incident.amended": Both("更正", "amended"),
    "incident.failed_check": Both("核查退回", "sent back by the check"), "incident.reopened": Both("重新办理", "opened again"),
}  # fmt: skip
OCCURRED, RECEIVED = Both("事发", "occurred"), Both("收到", "received")
SHELVED = {"shelved": Both("挂账", "shelved")}
LIGHTS = {
    Light.GREEN: Both("绿灯", "green"), Light.YELLOW: Both("黄灯", "yellow"), Light.RED: Both("红灯", "red"),
    Light.DEEP_RED: Both("深红灯", "deep red"),
}  # fmt: skip
OFF = {Kind.REST: "weekend", Kind.HOLIDAY: "holiday"}


def document(rows: Iterable[Row], as_of: int) -> dict[str, Any]:
    """`rows`: of case_clocks.sql. Times are UTC milliseconds, None where there is none."""
    found = [explained(known, as_of) for known in Clocks.of(rows, as_of).by_key.values()]
    running = [one["due_at"] for one in found if one["status"] == "running"]
    return {"as_of": as_of, "next_due_at": min(running, default=None), "clocks": found}


def explained(known: Known, now: int) -> dict[str, Any]:
    """One clock with its derivation."""
    clock = known.clock
    cal = calendar(clock.calendar)
    rule, written = rule_of(known.policy_version, clock)
    due = explain(clock, rule, cal)
    names = _reasons(known.policy_version)
    began = _began(known, written)
    shown = light(clock, rule, cal, now)
    said = sentence(clock, due, began, names)
    ended = _ended(clock, shown, now)
    return {
        "purpose": clock.purpose, "purpose_name": _both(PURPOSES.get(clock.purpose, Both(clock.purpose, clock.purpose))),
        "holder": clock.holder, "level": clock.level, "round": clock.round,
        "status": _status(clock), "breach": _breach(known), "breached_at": clock.breached_at or None,
        "contest": _contest(known.objection),
        "light": shown.value, "light_name": _both(LIGHTS[shown]),
        "started_at": clock.started_at, "started_by": {"seq": known.begun.seq, "event": known.begun.type, **_both(began)},
        "stopped_at": clock.stopped_at or None, "due_at": clock.due_at, "provisional": due.provisional,
        "left": _left(clock, now),
        "limit": {"unit": clock.unit, "budget": clock.budget, **_both(limit_words(clock.unit, clock.budget))},
        "extension": {"amount": clock.extended, **_both(limit_words(clock.unit, clock.extended))} if clock.extended else None,
        "end_of_day": clock.until if Unit(clock.unit).in_days else None,
        "calendar": clock.calendar, "policy": _policy(clock, written),
        "excluded_days": [_days(step) | {"kind": OFF[step.kind]} for step in due.steps if step.kind in OFF],
        "make_up_days": [_days(step) for step in due.steps if step.kind is Kind.MAKE_UP],
        "pauses": _pauses(clock, names), "rolled": _rolled(due),
        "articles": sorted({s.text for s in due.steps if s.kind in (Kind.START, Kind.ROLLED, Kind.END) and s.text}),
        "sentence": {"zh": said.zh + ended.zh, "en": said.en + (f" {ended.en}" if ended.en else "")},
    }  # fmt: skip


def rule_of(version: str, clock: Clock) -> tuple[Rule, ClockRule | None]:
    """The rule that a clock runs by and as it is written. A limit that the policies of this release do not know (a department's own
    deadline, a later release's) is what the clock itself says."""
    written = _written(version).get(clock.policy)
    if written is not None:
        return rules.rule_of(version, clock.policy), written
    return Rule(clock.purpose, clock.policy, clock.policy, Unit(clock.unit), clock.budget, warning=0, overdue=0), None


@cache
def _written(version: str) -> Mapping[str, ClockRule]:
    """Rules of clocks by the reference that clocks keep."""
    found = _policies(version)
    if found is None:
        return {}
    every = [*found.clocks, *(rung.reply for rung in found.rungs.values())]
    every += [hop.clock for report in found.reports for hop in report.hops]
    return {f"{rule.origin.document}{rule.origin.pointer}": rule for rule in every}


@cache
def _reasons(version: str) -> Mapping[str, Both]:
    found = _policies(version)
    named = {code: Both(reason.title_zh, reason.title_en) for code, reason in found.suspensions.items()} if found else {}
    return named | SHELVED


@cache
def _policies(version: str) -> Policies | None:
    try:
        return policies(version)
    except UnknownPolicy:
        return None


def _began(known: Known, written: ClockRule | None) -> Both:
    if known.begun.seq == 1 and known.clock.round == 1 and written:
        return OCCURRED if written.starts is Starts.OCCURRED else RECEIVED
    if written and written.starts is Starts.OCCURRED and known.clock.started_at == known.begun.opened_at:
        return OCCURRED
    return BEGUN.get(known.begun.type, Both(known.begun.type, known.begun.type))


def _status(clock: Clock) -> str:
    if clock.stopped_at:
        return "stopped"
    return "paused" if is_paused(clock) else "running"


def _breach(known: Known) -> str:
    """none, breached, retracted (the work was in time, or the calendar was corrected) or withdrawn (by a ruling)."""
    clock, ruled = known.clock, known.objection
    if not clock.breached_at:
        return "none"
    if ruled and ruled.ruled_at and not ruled.upheld:
        return "withdrawn"
    return "retracted" if clock.retracted else "breached"


def _contest(found: Objection | None) -> dict[str, Any] | None:
    if found is None:
        return None
    state = "open" if found.open else "upheld" if found.upheld else "withdrawn"
    ruling = {"ruled_at": found.ruled_at or None, "ruled_by": found.ruled_by}
    return {"state": state, "contested_at": found.at, "by": found.by, "reason": found.reason, **ruling}


def _left(clock: Clock, now: int) -> dict[str, Any] | None:
    """What is left now, negative when it is over; None for a clock that stopped. A pause holds it where it is."""
    if clock.stopped_at:
        return None
    cal, here = calendar(clock.calendar), point(clock, now)
    ms = clock.due_at - here
    over = ms < 0
    words = span_words(ms)
    said = Both(f"{'超时' if over else '剩余'}{words.zh}", f"{words.en} {'over' if over else 'left'}")
    found: dict[str, Any] = {"ms": ms, "share": share(clock, cal, now), **_both(said)}
    if clock.unit in (Unit.WORKING_MS, Unit.WORKING_DAY):
        found["business_ms"] = working_between(cal, here, clock.due_at)
    return found


def _ended(clock: Clock, shown: Light, now: int) -> Both:
    """How it came out, or that it is late."""
    if not clock.stopped_at:
        late = span_words(now - clock.due_at)
        lit = shown in (Light.RED, Light.DEEP_RED) and not is_paused(clock)
        return Both(f"已超时{late.zh}。", f"{late.en} late.") if lit and now > clock.due_at else Both("", "")
    gap = span_words(clock.stopped_at - clock.due_at)
    if clock.stopped_at <= clock.due_at:
        mended = Both("，原记超时撤销", ", the breach that was told is withdrawn") if clock.retracted else Both("", "")
        return Both(f"已在期限前{gap.zh}完成{mended.zh}。", f"Done {gap.en} before it was due{mended.en}.")
    return Both(f"超时{gap.zh}完成。", f"Done {gap.en} late.")


def _policy(clock: Clock, written: ClockRule | None) -> dict[str, Any]:
    if written is None:
        return {"reference": clock.policy, "document": "", "source": clock.policy, "certainty": "", "certainty_name": "", "notes": ""}
    origin = written.origin
    return {
        "reference": clock.policy, "document": origin.document, "source": origin.source, "certainty": origin.certainty.value,
        "certainty_name": CERTAINTY[origin.certainty], "notes": origin.notes,
    }  # fmt: skip


def _pauses(clock: Clock, names: Mapping[str, Both]) -> list[dict[str, Any]]:
    cal = calendar(clock.calendar)
    return [
        {
            "reason": pause.reason, **_both(names.get(pause.reason, Both(pause.reason, pause.reason))), "since": pause.since,
            "until": pause.until or None, "running_ms": paused_time(clock, cal, pause) if pause.until else None,
        }
        for pause in clock.pauses
    ]  # fmt: skip


def _days(step: Step) -> dict[str, Any]:
    """`until` is exclusive."""
    return {"since": step.since, "until": step.until, "days": step.amount, "zh": step.text, "en": step.text_en}


def _rolled(due: Due) -> dict[str, Any] | None:
    step = next((step for step in due.steps if step.kind is Kind.ROLLED), None)
    return {"since": step.since, "until": step.until, "days": step.amount} if step else None


def _both(words: Both) -> dict[str, str]:
    return {"zh": words.zh, "en": words.en}
