"""Rules in words, for people who read a table or a difference."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.clocks import Unit, Until
from schemas.event_types import event_types
from schemas.policies import Policies
from schemas.policy.rules import ClockRule, Ladder, Origin, ReportRule, Rule, Rung, Selector, SuspensionReason
from schemas.policy.terms import Certainty, Length, Purpose

GRADES = (0, 1, 2, 3, 4)
NONE = "none"
CERTAINTY = {
    Certainty.PRIMARY: "primary text read",
    Certainty.SECONDARY: "secondary source",
    Certainty.DESIGN: "our own choice",
    Certainty.UNVERIFIED: "NOT VERIFIED",
}
ENDS = {Until.BUSINESS: "at close of business", Until.MIDNIGHT: "at midnight"}

Words = dict[str, str]  # what is said of a rule, by aspect; "" is its sum


def holding(policies: Policies, incident_type: str, grade: int) -> Iterator[tuple[str, Rule]]:
    """What holds for an incident, each with its subject."""
    for purpose in Purpose:
        if clock := policies.clock(purpose, incident_type, grade):
            yield subject_of(clock), clock
        if ladder := policies.ladder(purpose, incident_type, grade):
            yield subject_of(ladder), ladder
    if report := policies.report_up(grade, incident_type):
        yield subject_of(report), report


def general(policies: Policies) -> Iterator[tuple[str, Rule]]:
    """What holds for every incident alike."""
    rules: list[Rule] = [*policies.suspensions.values(), *policies.rungs.values()]
    for rule in rules:
        yield subject_of(rule), rule


def subject_of(rule: Rule) -> str:
    match rule:
        case ClockRule():
            return f"{rule.purpose} clock"
        case Ladder():
            return f"lateness of {rule.clock}"
        case ReportRule():
            return "report up"
        case SuspensionReason():
            return f"suspension for {rule.code}"
        case Rung():
            return f"supervision {rule.code}"


def words_of(rule: Rule) -> Words:
    """What is said of a rule. Its certainty and source come last."""
    match rule:
        case ClockRule():
            words = _clock(rule)
        case Ladder():
            words = _ladder(rule)
        case ReportRule():
            words = _report(rule)
        case SuspensionReason():
            words = _reason(rule)
        case Rung():
            words = _rung(rule)
    return words | _origin(rule.origin)


def selector_of(rule: Rule) -> Selector | None:
    """None: the rule holds for every incident alike."""
    return rule.selector if isinstance(rule, ClockRule | Ladder | ReportRule) else None


def whom_words(types: tuple[str, ...], grades: tuple[int, ...]) -> str:
    """A…, M06… grade 1, 2."""
    known = event_types()
    names = ["every type" if not code else f"{code} {known[code].name_zh}" if code in known else f"{code}…" for code in types]
    graded = [str(grade) for grade in grades if grade]
    words = [f"grade {', '.join(graded)}"] if graded else []
    words += ["not yet graded"] if 0 in grades else []
    return ", ".join(names) + (f" {' and '.join(words)}" if words and grades != GRADES else "")


def share_words(thousandths: int) -> str:
    return f"{thousandths / 10:g} %"


def _clock(rule: ClockRule) -> Words:
    longer = rule.extension
    return {
        "": str(Length(rule.unit, rule.budget)),
        **({"last day ends": ENDS[rule.until]} if rule.unit.in_days else {}),
        "starts from": rule.starts.value,
        "yellow at": share_words(rule.warning),
        **({"at its end": "closes, nothing is breached"} if rule.window else {"deep red at": share_words(rule.overdue)}),
        "may be dated back by": str(Length(Unit.MS, rule.backdating_ms)),
        "suspension": "pauses it" if rule.pausable else "does not pause it",
        "extension": f"{Length(longer.unit, longer.budget)} by {longer.by}" if longer else NONE,
    }


def _ladder(rule: Ladder) -> Words:
    return {
        "": f"up to {rule.highest}",
        **{f"at {share_words(step.at)}": _step(step.tell, step.supervise) for step in rule.steps},
        "climbs": f"every {share_words(rule.climb_every)}" if rule.climb_every else "never",
        "told again": f"each {Length(rule.ack_unit, rule.ack_within)} without answer, at most {rule.ack_again} ×",
        "silence": "climbs at once, also before the due time" if rule.ack_before_due else "climbs at once from the due time on",
        **({"offer not answered": f"goes to the next level, up to {rule.timeout.highest}"} if rule.timeout else {}),
    }


def _step(tell: tuple[str, ...], supervise: str) -> str:
    return ", ".join([*(["tell " + " and ".join(tell)] if tell else []), *([f"supervise by {supervise}"] if supervise else [])])


def _report(rule: ReportRule) -> Words:
    hops = {f"{hop.of} to {hop.to}": f"{Length(hop.clock.unit, hop.clock.budget)} from {hop.clock.starts}" for hop in rule.hops}
    return {"": f"up to {rule.highest}", **hops}


def _reason(rule: SuspensionReason) -> Words:
    length = rule.longest_origin
    return {
        "": f"at most {Length(rule.unit, rule.longest)}",
        "called": rule.title_zh,
        "approved by": rule.approver.value,
        **({} if length.source == rule.origin.source else {"source of the length": f"{length.certainty}, {length.source}"}),
    }


def _rung(rule: Rung) -> Words:
    return {
        "": f"{rule.paper}, reply in {Length(rule.reply.unit, rule.reply.budget)}",
        "called": rule.title_zh,
        "rung": str(rule.order),
        "issued by": f"{rule.issuer_rank} of {rule.issuer_level} or above",
    }


def _origin(origin: Origin) -> Words:
    return {"certainty": origin.certainty.value, "source": origin.source}
