"""What types cannot say: a document that is right in itself, and documents that hold together. Answers every fault at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from schemas.clocks import THOUSAND, Unit
from schemas.event_types import event_types
from schemas.policies import Policies, fit
from schemas.policy import documents as written
from schemas.policy.documents import Document
from schemas.policy.reading import Fault, in_order
from schemas.policy.rules import ClockRule, Ladder, ReportRule, Selector
from schemas.policy.store import Collection
from schemas.policy.terms import NEVER_PAUSE, Certainty, Purpose, length

OWN = "Liandong"  # how the source of our own figures begins
ARTICLE = re.compile(r"第[一二三四五六七八九十百零0-9]+条|art\. [0-9]")
GRADES = (0, 1, 2, 3, 4)

Found = tuple[str, str, str]  # pointer, wrong, allowed


def check(collection: Collection) -> list[Fault]:
    """Everything that is wrong with documents that could be read, by document and place."""
    files = {placed.document.name: placed.file for placed in collection.placed}
    found = [
        Fault(placed.file, pointer, wrong, allowed)
        for placed in collection.placed
        for pointer, wrong, allowed in _document(placed.document)
    ]
    found += [
        _dates(collection, placed.file, placed.document) for placed in collection.placed if not _in_force(collection, placed.document)
    ]
    policies = Policies(collection)
    for name, pointer, wrong, allowed in (*_clashes(policies, files), *_references(policies)):
        found.append(Fault(files[name], pointer, wrong, allowed))
    return in_order(found)


def _document(document: Document) -> Iterator[Found]:
    yield from _sources(document.source, document.certainty, "")
    if document.in_force_until and document.in_force_until < document.in_force_from:
        yield "/in_force_until", "lies before in_force_from", f"{document.in_force_from} or later"
    match document:
        case written.Sla():
            yield from _defaults(document.defaults)
            for index, clock in enumerate(document.clocks):
                yield from _clock(clock, f"/clocks/{index}")
        case written.Suspension():
            yield from _unique([reason.code for reason in document.reasons], "/reasons", "code")
            for index, reason in enumerate(document.reasons):
                yield from _own_source(reason, f"/reasons/{index}")
                yield from _own_source(reason.longest, f"/reasons/{index}/longest")
        case written.Lateness():
            for index, ladder in enumerate(document.ladders):
                yield from _ladder(ladder, f"/ladders/{index}")
        case written.ReportUp():
            yield from _defaults(document.defaults)
            for index, report in enumerate(document.rules):
                yield from _report(report, f"/rules/{index}")
            for index, supplement in enumerate(document.supplements):
                yield from _selection(supplement, f"/supplements/{index}")
        case written.Supervision():
            yield from _defaults(document.defaults)
            yield from _unique([rung.code for rung in document.rungs], "/rungs", "code")
            for index, rung in enumerate(document.rungs):
                yield from _own_source(rung, f"/rungs/{index}")


def _defaults(defaults: written.Defaults) -> Iterator[Found]:
    yield from _wall(defaults.backdating, "/defaults/backdating")


def _clock(clock: written.WrittenClock, pointer: str) -> Iterator[Found]:
    yield from _selection(clock, pointer)
    budget = length(clock.budget)
    if clock.purpose is Purpose.REPORT_UP:
        yield f"{pointer}/purpose", "a report's clocks are its hops", "a document of kind report_up"
    if clock.purpose is Purpose.SUPPLEMENT:
        yield f"{pointer}/purpose", "a supplement belongs to a report", "supplements of a document of kind report_up"
    if clock.pausable and clock.purpose in NEVER_PAUSE:
        yield f"{pointer}/pausable", f"a clock {clock.purpose} never pauses: it measures response", "false"
    if clock.until and not budget.unit.in_days:
        yield f"{pointer}/until", f"{clock.budget} ends at its minute", "no until, or a budget in days"
    if clock.backdating:
        yield from _wall(clock.backdating, f"{pointer}/backdating")
    if clock.extension:
        yield from _own_source(clock.extension, f"{pointer}/extension")
        if length(clock.extension.budget).unit is not budget.unit:
            yield (
                f"{pointer}/extension/budget",
                f"{clock.extension.budget} do not add to {clock.budget}",
                f"a length in {_unit_words(budget.unit)}",
            )


def _ladder(ladder: written.WrittenLadder, pointer: str) -> Iterator[Found]:
    yield from _selection(ladder, pointer)
    if length(ladder.ack.within).unit.in_days:
        yield f"{pointer}/ack/within", f"{ladder.ack.within} is too coarse", "minutes, hours, working minutes or working hours"
    for index, (before, step) in enumerate(pairwise(ladder.steps), start=1):
        if step.at <= before.at:
            yield f"{pointer}/steps/{index}/at", f"{step.at} does not come after {before.at}", f"{before.at + 1} or more"
    if ladder.ack.before_due and ladder.steps[0].at >= THOUSAND:
        yield f"{pointer}/ack/before_due", "nobody is told before the due time", "no before_due, or a step before 1000"
    if ladder.on_timeout:
        yield from _own_source(ladder.on_timeout, f"{pointer}/on_timeout")
        if ladder.clock is not Purpose.REPLY:
            yield f"{pointer}/on_timeout", f"nobody is offered a case by a clock {ladder.clock}", "on the ladder of reply only"
    for index, step in enumerate(ladder.steps):
        if step.at >= THOUSAND and ladder.clock is Purpose.SUPPLEMENT:
            yield f"{pointer}/steps/{index}/at", "a window closes: nothing is late after it", "999 or less"
        if not step.tell and step.supervise is None:
            yield f"{pointer}/steps/{index}", "does nothing", "tell, supervise or both"


def _report(report: written.WrittenReport, pointer: str) -> Iterator[Found]:
    yield from _selection(report, pointer)
    for index, hop in enumerate(report.hops):
        at = f"{pointer}/hops/{index}"
        yield from _own_source(hop, at)
        yield from _wall(hop.within, f"{at}/within")
        if not hop.to.above(hop.of):
            yield f"{at}/to", f"{hop.to} is not above {hop.of}", f"a level above {hop.of}"
        if index and hop.of is not report.hops[index - 1].to:
            yield f"{at}/of", f"{hop.of} does not go on from {report.hops[index - 1].to}", report.hops[index - 1].to


def _selection(rule: written.Selected, pointer: str) -> Iterator[Found]:
    yield from _own_source(rule, pointer)
    for index, prefix in enumerate(rule.types or ()):
        if not any(code.startswith(prefix) for code in event_types()):
            yield f"{pointer}/types/{index}", f"no incident type begins with {prefix}", "prefixes of codes in reference/event_types.csv"
    for name, values in (("types", rule.types or ()), ("grades", rule.grades or ())):
        if len(set(values)) != len(values):
            yield f"{pointer}/{name}", "names something twice", "each once"


def _own_source(table: written.Written, pointer: str) -> Iterator[Found]:
    if (table.source is None) != (table.certainty is None):
        missing = "source" if table.source is None else "certainty"
        yield f"{pointer}/{missing}", "is missing", "source and certainty together, or neither: then the document's hold"
    elif table.source is not None and table.certainty is not None:
        yield from _sources(table.source, table.certainty, pointer)


def _sources(source: str, certainty: Certainty, pointer: str) -> Iterator[Found]:
    """A figure of our own never wears the name of a law."""
    own = source.startswith(OWN)
    if certainty is Certainty.DESIGN and not own:
        yield f"{pointer}/source", "is our own choice (D) and reads like somebody else's", f"text that begins with '{OWN}: '"
    elif certainty is not Certainty.DESIGN and own:
        yield f"{pointer}/certainty", f"a source of ours is no {certainty.value}", Certainty.DESIGN.value
    elif certainty is Certainty.PRIMARY and not ARTICLE.search(source):
        yield f"{pointer}/source", "was read in the primary text (P) and names no article", "text with 第…条 or art. n"


def _wall(text: str, pointer: str) -> Iterator[Found]:
    if length(text).unit is not Unit.MS:
        yield pointer, f"{text} depends on a calendar", "seconds, minutes or hours"


def _unique(values: Sequence[str], pointer: str, field: str) -> Iterator[Found]:
    for index, value in enumerate(values):
        if value in values[:index]:
            yield f"{pointer}/{index}/{field}", f"{value} stands here twice", "each once"


def _unit_words(unit: Unit) -> str:
    return {Unit.MS: "hours", Unit.WORKING_MS: "working hours", Unit.WORKING_DAY: "working days", Unit.CALENDAR_DAY: "calendar days"}[unit]


def _in_force(collection: Collection, document: Document) -> bool:
    return document.in_force_from <= collection.in_force_from <= (document.in_force_until or collection.in_force_from)


def _dates(collection: Collection, file: str, document: Document) -> Fault:
    day = collection.in_force_from
    if document.in_force_from > day:
        return Fault(file, "/in_force_from", f"{document.in_force_from} is after the whole comes into force", f"{day} or earlier")
    return Fault(file, "/in_force_until", f"{document.in_force_until} is before the whole comes into force", f"{day} or later")


Placed = tuple[str, str, str, str]  # document, pointer, wrong, allowed


def _clashes(policies: Policies, files: dict[str, str]) -> Iterator[Placed]:
    """Two rules of which neither is closer: nobody could say which holds. And codes that two documents give."""
    for purpose in Purpose:
        yield from _ties([rule for rule in policies.clocks if rule.purpose is purpose], f"{purpose} clock", files)
        yield from _ties([rule for rule in policies.ladders if rule.clock is purpose], f"ladder of {purpose}", files)
    yield from _ties(policies.reports, "report", files)
    for kind in (written.Suspension, written.Supervision):
        of_kind = [document for document in policies.documents.values() if isinstance(document, kind)]
        for document in of_kind[1:]:
            yield document.name, "/kind", f"{of_kind[0].id} is of kind {document.kind} too", "one document of this kind"


def _ties(rules: Sequence[ClockRule | Ladder | ReportRule], what: str, files: dict[str, str]) -> Iterator[Placed]:
    drafts_last = sorted(rules, key=lambda rule: "/" not in files[rule.origin.document])
    for first, second in combinations(drafts_last, 2):
        if tied := _tie(first.selector, second.selector):
            code, grade = tied
            other = f"{files[first.origin.document]} {first.origin.pointer}"
            graded = f"grade {grade}" if grade else "not yet graded"
            wrong = f"for {code}, {graded}, this {what} holds as closely as the one at {other}"
            yield second.origin.document, second.origin.pointer, wrong, "a longer prefix, or grades that do not overlap"


def _tie(one: Selector, other: Selector) -> tuple[str, int] | None:
    """An incident type and grade that both fit equally closely."""
    grades = set(one.grades or GRADES) & set(other.grades or GRADES)
    if not grades or bool(one.grades) != bool(other.grades):
        return None
    grade = max(grades)
    ranks = ((code, fit(one, code, grade), fit(other, code, grade)) for code in event_types())
    return next(((code, grade) for code, rank, same in ranks if rank is not None and rank == same), None)


def _references(policies: Policies) -> Iterator[Placed]:
    for ladder in policies.ladders:
        name, pointer = ladder.origin.document, ladder.origin.pointer
        for index, step in enumerate(ladder.steps):
            if step.supervise and step.supervise not in policies.rungs:
                wrong = f"there is no rung {step.supervise}"
                yield (
                    name,
                    f"{pointer}/steps/{index}/supervise",
                    wrong,
                    ", ".join(policies.rungs) or "none: no document of kind supervision",
                )
        if not any(_has_clock(policies, ladder, code, grade) for code in event_types() for grade in GRADES):
            yield name, f"{pointer}/clock", f"nothing that this ladder is for has a clock {ladder.clock}", "a purpose that has a clock"
    yield from _parts(policies)


def _has_clock(policies: Policies, ladder: Ladder, code: str, grade: int) -> bool:
    """Whether the ladder's clock runs for such an incident."""
    if fit(ladder.selector, code, grade) is None:
        return False
    if ladder.clock is Purpose.REPORT_UP:
        return policies.report_up(grade, code) is not None
    return policies.clock(ladder.clock, code, grade) is not None


def _parts(policies: Policies) -> Iterator[Placed]:
    """Handling may not be longer than the whole, where both count alike."""
    told = set()
    for code in event_types():
        for grade in GRADES:
            part, whole = policies.clock(Purpose.HANDLE, code, grade), policies.clock(Purpose.TOTAL, code, grade)
            if part and whole and part.unit is whole.unit and part.budget > whole.budget and part.origin not in told:
                told.add(part.origin)
                wrong = f"for {code} handling alone takes longer than {whole.origin.document} allows for all"
                yield part.origin.document, f"{part.origin.pointer}/budget", wrong, f"at most the total at {whole.origin.pointer}"
