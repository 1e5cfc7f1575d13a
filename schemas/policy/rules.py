"""Rules as they are used: documents with their defaults filled in, lengths computed, and each figure with its own source."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from schemas.clocks import Unit, Until
from schemas.policy import documents as written
from schemas.policy.documents import Document
from schemas.policy.terms import Certainty, Grantor, Level, Purpose, Rank, Starts, Whom, length


class Origin(msgspec.Struct, frozen=True):
    """Where a figure comes from: what it rests on, and where it is written."""

    source: str  # law and article, or "Liandong: …" for our own choice
    certainty: Certainty
    document: str  # id and version, e.g. "sla_emergency 1"
    pointer: str  # JSON Pointer into the document
    notes: str = ""


class Selector(msgspec.Struct, frozen=True):
    """Which incidents a rule is for."""

    types: tuple[str, ...] = ("",)  # prefixes of type codes; "" is every type
    grades: tuple[int, ...] = ()  # 1 to 4, 0 not yet graded; empty: all of them


class Extension(msgspec.Struct, frozen=True):
    """May be granted once, before the clock is due, with a reason."""

    unit: Unit  # that of the clock
    budget: int  # milliseconds or days, by unit
    by: Grantor
    origin: Origin


class ClockRule(msgspec.Struct, frozen=True, kw_only=True):
    """How one clock runs."""

    purpose: Purpose
    unit: Unit
    budget: int  # milliseconds (ms, working_ms) or days (working_day, calendar_day)
    until: Until  # when the last day ends; of no meaning for ms and working_ms
    starts: Starts
    warning: int  # thousandths of the budget at which the light turns yellow
    overdue: int  # thousandths at which it turns deep red; it is red from 1000; 0: never
    backdating_ms: int  # how far before its telling a completion may be dated, milliseconds
    pausable: bool  # whether a suspension stops it
    window: bool = False  # nothing is owed by its end: it closes then, and nobody has missed anything
    extension: Extension | None
    selector: Selector
    origin: Origin


class SuspensionReason(msgspec.Struct, frozen=True, kw_only=True):
    """A ground on which handling may be suspended."""

    code: str
    title_zh: str
    title_en: str
    approver: Grantor  # never the handler
    unit: Unit
    longest: int  # milliseconds or days, by unit
    longest_origin: Origin
    origin: Origin


class Step(msgspec.Struct, frozen=True):
    """What happens when a clock has used a share of its budget."""

    at: int  # thousandths of the budget
    tell: tuple[Whom, ...]
    supervise: str  # rung that the level above the holder issues; "" none


class Timeout(msgspec.Struct, frozen=True):
    """What becomes of an offer that is not answered when its reply is due: the next level that the place has is asked."""

    highest: Level  # no level above is
    origin: Origin


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """Lateness of one clock."""

    clock: Purpose
    steps: tuple[Step, ...]  # ascending
    climb_every: int  # thousandths: each so many after the last step it is taken again, one level higher; 0 never
    highest: Level  # nobody above is told or made to supervise
    ack_unit: Unit  # ms or working_ms
    ack_within: int  # who was told and has not acknowledged by then, is told again; milliseconds
    ack_again: int  # as often at most
    ack_before_due: bool  # silence before the due time brings on at once also what comes at the due time or later
    timeout: Timeout | None  # of the ladder of replies; None: an offer stays where it is
    selector: Selector
    origin: Origin


class Hop(msgspec.Struct, frozen=True):
    """One hop of a report."""

    of: Level  # who reports
    to: Level
    clock: ClockRule  # purpose report_up; its own source


class ReportRule(msgspec.Struct, frozen=True, kw_only=True):
    """How high and how fast a grade is reported up. `hops` rise without a gap."""

    hops: tuple[Hop, ...]
    selector: Selector
    origin: Origin

    @property
    def highest(self) -> Level:
        return self.hops[-1].to

    def hop_from(self, level: str) -> Hop | None:
        """The hop that a level owes: the first that ends above it (a town owes what the unit owes); None where the report ends at or
        below the level."""
        return next((hop for hop in self.hops if hop.to.above(Level(level))), None)


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of supervision 督办."""

    code: str
    order: int  # 1 is the mildest
    title_zh: str
    title_en: str
    issuer_rank: Rank  # least rank
    issuer_level: Level  # least level
    paper: str
    reply: ClockRule  # purpose reply
    origin: Origin


Rule = ClockRule | SuspensionReason | Ladder | ReportRule | Rung


def resolve(document: Document) -> Iterator[Rule]:
    """The rules of a document that `reading` has read, in its order."""
    match document:
        case written.Sla():
            for index, clock in enumerate(document.clocks):
                yield _clock(document, document.defaults, clock, f"/clocks/{index}")
        case written.Suspension():
            for index, reason in enumerate(document.reasons):
                yield _reason(document, reason, f"/reasons/{index}")
        case written.Lateness():
            for index, ladder in enumerate(document.ladders):
                yield _ladder(document, ladder, f"/ladders/{index}")
        case written.ReportUp():
            for index, report in enumerate(document.rules):
                yield _report(document, report, f"/rules/{index}")
            for index, supplement in enumerate(document.supplements):
                yield _supplement(document, supplement, f"/supplements/{index}")
        case written.Supervision():
            for index, rung in enumerate(document.rungs):
                yield _rung(document, rung, index)


def _origin(document: Document, pointer: str, *tables: written.Written) -> Origin:
    """The innermost of `tables` (outermost first) with a source of its own decides; the document's otherwise."""
    source, certainty, notes = document.source, document.certainty, ""
    for table in tables:
        if table.source is not None and table.certainty is not None:
            source, certainty = table.source, table.certainty
        notes = table.notes or notes
    return Origin(source, certainty, document.name, pointer, notes)


def _selector(rule: written.Selected) -> Selector:
    return Selector(rule.types or ("",), rule.grades or ())


def _clock(document: Document, defaults: written.Defaults, rule: written.WrittenClock, pointer: str) -> ClockRule:
    budget = length(rule.budget)
    extension = None
    if rule.extension:
        longer = length(rule.extension.budget)
        extension = Extension(
            longer.unit, longer.amount, rule.extension.by, _origin(document, f"{pointer}/extension", rule, rule.extension)
        )
    return ClockRule(
        purpose=rule.purpose,
        unit=budget.unit,
        budget=budget.amount,
        until=rule.until or (defaults.until if budget.unit.in_days else Until.MIDNIGHT),
        starts=rule.starts,
        warning=rule.warning or defaults.warning,
        overdue=rule.overdue or defaults.overdue,
        backdating_ms=length(rule.backdating or defaults.backdating).amount,
        pausable=rule.pausable,
        extension=extension,
        selector=_selector(rule),
        origin=_origin(document, pointer, rule),
    )


def _short(
    document: Document, defaults: written.Defaults, purpose: Purpose, text: str, starts: Starts, selector: Selector, origin: Origin
) -> ClockRule:
    """A clock that is written as a length only: it never pauses and is never extended."""
    budget = length(text)
    return ClockRule(
        purpose=purpose,
        unit=budget.unit,
        budget=budget.amount,
        until=defaults.until if budget.unit.in_days else Until.MIDNIGHT,
        starts=starts,
        warning=defaults.warning,
        overdue=defaults.overdue,
        backdating_ms=length(defaults.backdating).amount,
        pausable=False,
        extension=None,
        selector=selector,
        origin=origin,
    )


def _reason(document: Document, reason: written.WrittenReason, pointer: str) -> SuspensionReason:
    longest = length(reason.longest.length)
    return SuspensionReason(
        code=reason.code,
        title_zh=reason.title_zh,
        title_en=reason.title_en,
        approver=reason.approver,
        unit=longest.unit,
        longest=longest.amount,
        longest_origin=_origin(document, f"{pointer}/longest", reason, reason.longest),
        origin=_origin(document, pointer, reason),
    )


def _ladder(document: Document, ladder: written.WrittenLadder, pointer: str) -> Ladder:
    return Ladder(
        clock=ladder.clock,
        steps=tuple(Step(step.at, step.tell, step.supervise or "") for step in ladder.steps),
        climb_every=ladder.climb_every or 0,
        highest=ladder.highest,
        ack_unit=length(ladder.ack.within).unit,
        ack_within=length(ladder.ack.within).amount,
        ack_again=ladder.ack.again,
        ack_before_due=ladder.ack.before_due,
        timeout=_timeout(document, ladder, f"{pointer}/on_timeout"),
        selector=_selector(ladder),
        origin=_origin(document, pointer, ladder),
    )


def _timeout(document: Document, ladder: written.WrittenLadder, pointer: str) -> Timeout | None:
    found = ladder.on_timeout
    return Timeout(found.highest, _origin(document, pointer, ladder, found)) if found else None


def _report(document: written.ReportUp, report: written.WrittenReport, pointer: str) -> ReportRule:
    selector = _selector(report)
    hops = []
    for index, hop in enumerate(report.hops):
        origin = _origin(document, f"{pointer}/hops/{index}", report, hop)
        clock = _short(document, document.defaults, Purpose.REPORT_UP, hop.within, hop.starts, selector, origin)
        hops.append(Hop(hop.of, hop.to, clock))
    return ReportRule(hops=tuple(hops), selector=selector, origin=_origin(document, pointer, report))


def _supplement(document: written.ReportUp, rule: written.WrittenSupplement, pointer: str) -> ClockRule:
    origin = _origin(document, pointer, rule)
    clock = _short(document, document.defaults, Purpose.SUPPLEMENT, rule.within, Starts.OCCURRED, _selector(rule), origin)
    return msgspec.structs.replace(clock, warning=rule.warning or clock.warning, overdue=0, backdating_ms=0, window=True)


def _rung(document: written.Supervision, rung: written.WrittenRung, index: int) -> Rung:
    origin = _origin(document, f"/rungs/{index}", rung)
    return Rung(
        code=rung.code,
        order=index + 1,
        title_zh=rung.title_zh,
        title_en=rung.title_en,
        issuer_rank=rung.issuer_rank,
        issuer_level=rung.issuer_level,
        paper=rung.paper,
        reply=_short(document, document.defaults, Purpose.REPLY, rung.reply, Starts.EVENT, Selector(), origin),
        origin=origin,
    )
