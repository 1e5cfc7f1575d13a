"""What changes for whom between two versions, in words. Compared is what holds in the end, for every incident type and grade:
a rule that is moved or split without effect is no change, one that hides another is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.event_types import event_types
from schemas.policies import Policies
from schemas.policy.words import GRADES, NONE, Words, general, holding, whom_words, words_of

Cell = tuple[str, int]  # incident type, grade; ANY for what depends on neither
ANY: Cell = ("", 0)


@dataclass(frozen=True, slots=True)
class Change:
    """One aspect of one subject, for some incidents."""

    subject: str  # e.g. "handle clock"
    aspect: str  # e.g. "warning"; "" for the rule as a whole or its main figure
    types: tuple[str, ...]  # prefixes or codes; empty: it does not depend on them
    grades: tuple[int, ...]  # empty: it does not depend on them
    before: str
    after: str

    def __str__(self) -> str:
        whom = f" of {whom_words(self.types, self.grades)}" if self.types else ""
        return f"{self.subject}{whom}{f' · {self.aspect}' if self.aspect else ''}: {self.before} → {self.after}"


def changes(before: Policies, after: Policies) -> list[Change]:
    """By subject; empty: both say the same."""
    old, new = _facets(before), _facets(after)
    found = []
    for subject in dict.fromkeys((*old, *new)):
        groups: dict[tuple[str, str, str], set[Cell]] = defaultdict(set)
        left, right = old.get(subject, {}), new.get(subject, {})
        for cell in dict.fromkeys((*left, *right)):
            for aspect, one, other in _aspects(left.get(cell), right.get(cell)):
                groups[aspect, one, other].add(cell)
        for (aspect, one, other), cells in groups.items():
            found += [Change(subject, aspect, types, grades, one, other) for types, grades in _named(cells)]
    return found


def _aspects(one: Words | None, other: Words | None) -> Iterator[tuple[str, str, str]]:
    if one is None or other is None:
        yield "", (one or {"": NONE})[""], (other or {"": NONE})[""]
        return
    for aspect in dict.fromkeys((*one, *other)):
        if one.get(aspect, NONE) != other.get(aspect, NONE):
            yield aspect, one.get(aspect, NONE), other.get(aspect, NONE)


def _facets(policies: Policies) -> dict[str, dict[Cell, Words]]:
    """What is said of each subject, for each incident."""
    found: dict[str, dict[Cell, Words]] = defaultdict(dict)
    said: dict[int, Words] = {}  # many incidents share a rule
    for code in event_types():
        for grade in GRADES:
            for subject, rule in holding(policies, code, grade):
                if id(rule) not in said:
                    said[id(rule)] = words_of(rule)
                found[subject][code, grade] = said[id(rule)]
    for subject, rule in general(policies):
        found[subject][ANY] = words_of(rule)
    return found


def _named(cells: set[Cell]) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Cells by types that share their grades, each set of types as prefixes."""
    if ANY in cells:
        yield (), ()
        return
    by_type: dict[str, list[int]] = defaultdict(list)
    for code, grade in sorted(cells):
        by_type[code].append(grade)
    by_grades: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for code, of_it in by_type.items():
        by_grades[tuple(of_it)].append(code)
    for grades, codes in by_grades.items():
        yield prefixes(codes), grades


def prefixes(codes: list[str]) -> tuple[str, ...]:
    """The fewest prefixes that cover these incident types and no other."""
    left = set(event_types()) - set(codes)
    found: list[str] = []
    for code in sorted(codes):
        if not any(code.startswith(prefix) for prefix in found):
            lengths = range(len(code) + 1)
            found.append(next(code[:end] for end in lengths if end == len(code) or not any(o.startswith(code[:end]) for o in left)))
    return tuple(_shown(prefix) for prefix in found)


def _shown(prefix: str) -> str:
    """The whole code where only one begins so."""
    of = [code for code in event_types() if code.startswith(prefix)]
    return of[0] if len(of) == 1 else prefix
