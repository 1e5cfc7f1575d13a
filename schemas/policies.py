"""Policies by version: which clock, ladder, report and ground of suspension holds for an incident.

A case keeps the version it was opened under. Versions never change, so an answer once given stays.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import TypeVar

from schemas.policy import store
from schemas.policy.documents import Document
from schemas.policy.rules import ClockRule, Ladder, ReportRule, Rule, Rung, Selector, SuspensionReason, resolve
from schemas.policy.store import Collection

Selected = TypeVar("Selected", ClockRule, Ladder, ReportRule)


class Policies:
    """One version. Every question about incidents is a look-up in a dict after the first time."""

    def __init__(self, collection: Collection) -> None:
        self.version: str = collection.version
        self.title_zh: str = collection.title_zh
        self.in_force_from: date = collection.in_force_from
        self.digest: str = collection.digest
        self.documents: dict[str, Document] = {placed.document.id: placed.document for placed in collection.placed}
        self.rules: dict[str, tuple[Rule, ...]] = {name: tuple(resolve(document)) for name, document in self.documents.items()}
        every = [rule for rules in self.rules.values() for rule in rules]
        self.clocks: tuple[ClockRule, ...] = tuple(rule for rule in every if isinstance(rule, ClockRule))
        self.ladders: tuple[Ladder, ...] = tuple(rule for rule in every if isinstance(rule, Ladder))
        self.reports: tuple[ReportRule, ...] = tuple(rule for rule in every if isinstance(rule, ReportRule))
        self.suspensions: dict[str, SuspensionReason] = {rule.code: rule for rule in every if isinstance(rule, SuspensionReason)}
        self.rungs: dict[str, Rung] = {rule.code: rule for rule in every if isinstance(rule, Rung)}  # from the mildest up
        self._clocks: dict[tuple[str, str, int], ClockRule | None] = {}
        self._ladders: dict[tuple[str, str, int], Ladder | None] = {}
        self._reports: dict[tuple[str, int], ReportRule | None] = {}

    def clock(self, purpose: str, incident_type: str, grade: int) -> ClockRule | None:
        """Accept, sign, handle, reply or total clock of an incident; None: there is none. `grade`: 1 to 4, 0 not yet graded.
        A hop's clock is in `report_up`, the clock of an answer to supervision in `rung`."""
        key = (purpose, incident_type, grade)
        if key not in self._clocks:
            self._clocks[key] = pick([rule for rule in self.clocks if rule.purpose == purpose], incident_type, grade)
        return self._clocks[key]

    def ladder(self, purpose: str, incident_type: str, grade: int) -> Ladder | None:
        """What happens when that clock runs late; None: nothing but its light."""
        key = (purpose, incident_type, grade)
        if key not in self._ladders:
            self._ladders[key] = pick([rule for rule in self.ladders if rule.clock == purpose], incident_type, grade)
        return self._ladders[key]

    def report_up(self, grade: int, incident_type: str) -> ReportRule | None:
        """How an incident of this grade is reported up; None: it is not."""
        key = (incident_type, grade)
        if key not in self._reports:
            self._reports[key] = pick(self.reports, incident_type, grade)
        return self._reports[key]

    def suspension(self, reason: str) -> SuspensionReason | None:
        """A ground of suspension by its code; None: it is not on the list."""
        return self.suspensions.get(reason)

    def rung(self, code: str) -> Rung | None:
        """A rung of supervision by its code."""
        return self.rungs.get(code)


def pick(rules: tuple[Selected, ...] | list[Selected], incident_type: str, grade: int) -> Selected | None:
    """The rule that holds: of those that fit, the longest prefix decides, then the one that names the grade."""
    best: Selected | None = None
    best_rank = (-1, False)
    for rule in rules:
        rank = fit(rule.selector, incident_type, grade)
        if rank is not None and rank > best_rank:
            best, best_rank = rule, rank
    return best


def fit(selector: Selector, incident_type: str, grade: int) -> tuple[int, bool] | None:
    """How closely a selector fits (length of its prefix, whether it names the grade); None: not at all."""
    if selector.grades and grade not in selector.grades:
        return None
    prefix = max((len(prefix) for prefix in selector.types if incident_type.startswith(prefix)), default=-1)
    return None if prefix < 0 else (prefix, bool(selector.grades))


_lent: dict[str, Policies] = {}


def lend(found: Policies) -> str:
    """Makes a draft known to this process, for a rehearsal: never in a worker. The name to ask for it by, which is that of its contents."""
    name = f"{found.version} {found.digest[:12]}"
    _lent[name] = found
    return name


def policies(version: str) -> Policies:
    """UnknownPolicy if this release knows no such version; schemas.policy.store.AlteredPolicy if its files were changed."""
    return _lent.get(version) or _released(version)


@cache
def _released(version: str) -> Policies:
    return Policies(store.released(version))


@cache
def latest() -> str:
    """The version that new cases get: the newest one that is not marked `read` in the lock."""
    return [line.version for line in store.locked() if line.version and line.used][-1]
