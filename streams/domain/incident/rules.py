"""What the policies say of one case, in the words of the core. A case keeps the version it was opened under."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

from schemas import clocks
from schemas.calendar import Calendar, calendar
from schemas.clocks import Unit, Until
from schemas.errors import UnknownPolicy
from schemas.policies import Policies, policies
from schemas.policy.rules import ClockRule, Hop, Ladder, Rung
from schemas.policy.store import versions
from schemas.policy.terms import Grantor, Level, Purpose, Starts, Whom
from schemas.state.incident_case.event import IncidentCase
from streams.domain.clocks.working import add_working, end_of_calendar_day, end_of_working_day
from streams.domain.incident.levels import is_above, levels_of, rank

SOURCE = clocks.Rule(
    purpose="total",
    policy="source",
    source="来源系统所定时限: the target that the department's own system has set",
    unit=Unit.MS,
    budget=1,  # each clock has its own: from the opening to the target
    pausable=False,
)
"""The rule of a mirrored case's clock; no document of ours holds it."""


class Step(NamedTuple):
    """One step of a lateness ladder for a holder of some level."""

    share: int  # thousandths of the clock
    tell: str  # desk, head and superior_desk joined by +
    level: str  # of the superior desk, and of who supervises; "" none
    rung: str  # of supervision; "" none
    number: int = 0  # from 1


class Ack(NamedTuple):
    """Until when who was told must acknowledge, and how often he is told again."""

    unit: Unit  # ms or working_ms
    within: int
    again: int
    before_due: bool  # silence brings on what comes at the due time, or later, also before it


class Book:
    """One version of the policies with its rules of clocks by the reference that clocks keep."""

    def __init__(self, version: str) -> None:
        self.policies: Policies = policies(version)
        every = [*self.policies.clocks, *(rung.reply for rung in self.policies.rungs.values())]
        every += [hop.clock for report in self.policies.reports for hop in report.hops]
        self.rules: dict[str, clocks.Rule] = {_reference(rule): _ours(rule) for rule in every}
        self.by_head = frozenset(_reference(one) for one in every if one.extension and one.extension.by is Grantor.OWN_HEAD)
        self.rungs: tuple[str, ...] = tuple(self.policies.rungs)  # from the mildest up


@cache
def book(version: str) -> Book:
    """UnknownPolicy for a version that this release does not know."""
    return Book(version)


def _reference(rule: ClockRule) -> str:
    return f"{rule.origin.document}{rule.origin.pointer}"


def _ours(rule: ClockRule) -> clocks.Rule:
    return clocks.Rule(
        purpose=rule.purpose.value,
        policy=_reference(rule),
        source=rule.origin.source,
        unit=clocks.Unit(rule.unit.value),
        budget=rule.budget,
        until=clocks.Until(rule.until.value),
        warning=rule.warning,
        overdue=rule.overdue,
        backdating_ms=rule.backdating_ms,
        extension=rule.extension.budget if rule.extension and rule.extension.unit is rule.unit else 0,
        pausable=rule.pausable,
        window=rule.window,
    )


class Limit(NamedTuple):
    """A rule and the moment that starts it."""

    rule: clocks.Rule
    starts: Starts


@lru_cache(maxsize=8192)
def limit(version: str, purpose: str, incident_type: str, grade: int) -> Limit | None:
    """None: the policies set no such limit."""
    found = book(version).policies.clock(purpose, incident_type, grade)
    return Limit(book(version).rules[_reference(found)], found.starts) if found else None


def granted_by_head(version: str, reference: str) -> bool:
    """Whether the head of the body that holds a case may extend such a clock."""
    return reference in book(version).by_head


def is_known(version: str) -> bool:
    """Whether this release has that version."""
    try:
        book(version)
    except UnknownPolicy:
        return False
    return True


@lru_cache(maxsize=8192)
def rule_of(version: str, reference: str) -> clocks.Rule:
    """The rule that a clock runs by; of another version, where a case was given a new one and the clock kept its rule."""
    if reference == SOURCE.policy:
        return SOURCE
    found = book(version).rules.get(reference)
    return found or next(rule for known in reversed(versions()) if (rule := book(known).rules.get(reference)))


def hop_of(state: IncidentCase, level: str) -> tuple[Hop, Limit] | None:
    """What a level owes to the one above for this grade; None where the report ends, or leaves the platform."""
    report = book(state.policy_version).policies.report_up(state.grade, state.incident_type)
    hop = report.hop_from(level) if report else None
    if hop is None or hop.to is Level.STATE:
        return None
    return hop, Limit(book(state.policy_version).rules[_reference(hop.clock)], hop.clock.starts)


# --- 中止 ---------------------------------------------------------------------------------------------------------------


def longest_suspension(state: IncidentCase, code: str, now: int) -> int:
    """The latest end of a suspension on this ground that begins now, UTC milliseconds; 0: it is no ground."""
    found = book(state.policy_version).policies.suspension(code)
    if found is None:
        return 0
    cal = calendar(state.calendar_version)
    if found.unit is Unit.MS:
        return now + found.longest
    if found.unit is Unit.WORKING_MS:
        return add_working(cal, now, found.longest)
    end = end_of_working_day if found.unit is Unit.WORKING_DAY else end_of_calendar_day
    return end(cal, now, found.longest, Until.MIDNIGHT)


def needs_superior(state: IncidentCase, code: str) -> bool:
    found = book(state.policy_version).policies.suspension(code)
    return found is not None and found.approver is Grantor.SUPERIOR


# --- 督办 ---------------------------------------------------------------------------------------------------------------


def rungs(state: IncidentCase) -> tuple[str, ...]:
    """Codes from the mildest up."""
    return book(state.policy_version).rungs


def rung_of(state: IncidentCase, code: str) -> Rung | None:
    return book(state.policy_version).policies.rung(code)


def reply_limit(state: IncidentCase, code: str) -> clocks.Rule:
    """How long the answer to a rung may take. KeyError for a code that is none."""
    return book(state.policy_version).rules[_reference(book(state.policy_version).policies.rungs[code].reply)]


# --- 超时升级 -----------------------------------------------------------------------------------------------------------


def steps(state: IncidentCase, purpose: str, level: str) -> tuple[Step, ...]:
    """The lateness ladder of a clock whose holder works at `level`, ascending; steps that would do nothing are left out."""
    return _steps(state.policy_version, purpose, state.incident_type, state.grade, level, levels_of(state.division))


@lru_cache(maxsize=8192)
def _steps(version: str, purpose: str, incident_type: str, grade: int, level: str, present: tuple[str, ...]) -> tuple[Step, ...]:
    ladder = book(version).policies.ladder(purpose, incident_type, grade)
    if ladder is None:
        return ()
    above = [one for one in present if is_above(one, level) and rank(one) <= rank(ladder.highest)]
    found = [_step(step.at, step.tell, step.supervise, above[:1]) for step in ladder.steps]
    found += _climbs(ladder, above[1:])
    doing = (step for step in found if step.tell or step.rung)
    return tuple(step._replace(number=number) for number, step in enumerate(doing, 1))


def ack(state: IncidentCase, purpose: str) -> Ack | None:
    """None: nothing is to be acknowledged, for there is no ladder."""
    ladder = book(state.policy_version).policies.ladder(purpose, state.incident_type, state.grade)
    return Ack(ladder.ack_unit, ladder.ack_within, ladder.ack_again, ladder.ack_before_due) if ladder else None


def ack_by(asked: Ack, cal: Calendar, at: int) -> int:
    """Working time counts only while a desk is manned: told at 17:20, one hour ends at 9:20 of the next working day."""
    return add_working(cal, at, asked.within) if asked.unit == Unit.WORKING_MS else at + asked.within


def highest_asked(state: IncidentCase) -> str:
    """The highest level that an unanswered offer climbs to by itself; "" when it stays where it is."""
    ladder = book(state.policy_version).policies.ladder(Purpose.REPLY, state.incident_type, state.grade)
    return ladder.timeout.highest if ladder and ladder.timeout else ""


def _climbs(ladder: Ladder, above: list[str]) -> list[Step]:
    """Each so many thousandths after the last step it is taken again, one level higher."""
    if not ladder.climb_every:
        return []
    last = ladder.steps[-1]
    return [_step(last.at + ladder.climb_every * n, last.tell, last.supervise, [level]) for n, level in enumerate(above, 1)]


def _step(share: int, tell: tuple[Whom, ...], rung: str, above: list[str]) -> Step:
    """`above`: the level of the superior desk, empty when the ladder does not go so high."""
    told = "+".join(whom.value for whom in tell if above or whom is not Whom.SUPERIOR_DESK)
    return Step(share, told, above[0] if above else "", rung if above else "")
