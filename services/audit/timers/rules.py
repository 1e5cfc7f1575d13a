"""What the policies ask of one case, read from their documents: limits, ladders of lateness 超时升级, hops of a report 上报."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from schemas.divisions import upwards
from schemas.policies import policies
from schemas.policy.rules import ClockRule, Hop, Ladder
from schemas.policy.terms import LEVELS, Level, Whom

RANK = {level.value: rank for rank, level in enumerate(LEVELS)}


class Step(NamedTuple):
    """One step of a ladder for a holder of some level."""

    share: int  # thousandths of the clock
    tell: str  # joined by +
    level: str  # of the superior desk; "" none
    rung: str  # of supervision; "" none
    number: int = 0  # from 1


class Book:
    """One version of the policies. UnknownPolicy where this release has no such version."""

    def __init__(self, version: str) -> None:
        self.policies = policies(version)
        self.rungs = list(self.policies.rungs)  # from the mildest up
        every = [*self.policies.clocks, *(rung.reply for rung in self.policies.rungs.values())]
        every += [hop.clock for report in self.policies.reports for hop in report.hops]
        self.by_name = {name_of(rule): rule for rule in every}
        self._steps: dict[tuple[str, str, int, str, str], tuple[Step, ...]] = {}

    def limit(self, purpose: str, kind: str, grade: int) -> ClockRule | None:
        return self.policies.clock(purpose, kind, grade)

    def reply(self, rung: str) -> ClockRule:
        return self.policies.rungs[rung].reply

    def hop(self, kind: str, grade: int, level: str) -> Hop | None:
        """What a level owes to the one above; None where the report ends or goes to the state, which is not on this platform."""
        report = self.policies.report_up(grade, kind)
        owed = next((hop for hop in report.hops if RANK[hop.to] > RANK[level]), None) if report else None
        return None if owed is None or owed.to is Level.STATE else owed

    def steps(self, purpose: str, kind: str, grade: int, level: str, place: str) -> tuple[Step, ...]:
        """The ladder of a clock whose holder works at `level` in `place`."""
        key = (purpose, kind, grade, level, place)
        found = self._steps.get(key)
        if found is None:
            ladder = self.policies.ladder(purpose, kind, grade)
            found = self._steps[key] = _steps(ladder, level, place) if ladder else ()
        return found


@cache
def book(version: str) -> Book:
    return Book(version)


def name_of(rule: ClockRule) -> str:
    """How clocks name the rule they run by."""
    return f"{rule.origin.document}{rule.origin.pointer}"


def above(level: str, other: str) -> bool:
    """Whether a level lies above another; what is no level lies nowhere."""
    return rank(level) > rank(other) >= 0


def rank(level: str) -> int:
    return RANK.get(level, -1)


@cache
def levels_of(place: str) -> tuple[tuple[str, str], ...]:
    """(level, code) of a place and of all it lies in, from below."""
    return tuple((one.level, one.code) for one in upwards(place)) if place else ()


@cache
def desk_of(place: str, level: str) -> str:
    """The duty desk of that level; "" where the place has no such level."""
    return next((f"{code}-desk" for name, code in levels_of(place) if name == level), "")


def level_of(place: str, desk: str) -> str:
    """The level of a duty desk of a place; "" where it is none."""
    return next((name for name, code in levels_of(place) if f"{code}-desk" == desk), "")


def _steps(ladder: Ladder, level: str, place: str) -> tuple[Step, ...]:
    """The steps as written go to the next level up; then the last is taken again for each level further up, to the highest."""
    higher = [name for name, _ in levels_of(place) if above(name, level) and RANK[name] <= RANK[ladder.highest]]
    last = ladder.steps[-1]
    taken = [(step.at, step, higher[0] if higher else "") for step in ladder.steps]
    if ladder.climb_every:
        taken += [(last.at + ladder.climb_every * count, last, name) for count, name in enumerate(higher[1:], 1)]
    found: list[Step] = []
    for share, step, to in taken:
        tell = "+".join(whom.value for whom in step.tell if to or whom is not Whom.SUPERIOR_DESK)
        rung = step.supervise if to else ""
        if tell or rung:
            found.append(Step(share, tell, to, rung, len(found) + 1))
    return tuple(found)
