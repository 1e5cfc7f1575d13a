"""One case as far as its timers go, and the ways in which its clocks are started, stopped, paused and moved.

What each event does stands in life.py and moves.py, what the case does by itself in waiting.py. Taken from the rows of
research/mission.md 3.1 and the policies; an event says what was asked and how the case stands: no more is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

from schemas.policy.rules import ClockRule, Hop
from schemas.policy.terms import NEVER_PAUSE, Purpose, Starts
from services.audit.timers.clocks import Clock, Key
from services.audit.timers.days import days
from services.audit.timers.rules import RANK, book, desk_of

ENDED = frozenset({"closed", "evaluated", "archived", "declined", "merged", "withdrawn"})
MERGED = "merged"
ACCEPT, SIGN, HANDLE, TOTAL = Purpose.ACCEPT, Purpose.SIGN, Purpose.HANDLE, Purpose.TOTAL
REPLY, REPORT_UP, SUPPLEMENT = Purpose.REPLY, Purpose.REPORT_UP, Purpose.SUPPLEMENT


class Unknown(Exception):
    """The log does not say what is needed to go on with this case."""


class Chain(NamedTuple):
    """Those whom a step of a clock's ladder told, and who have not acknowledged it yet."""

    until: int  # then they are told again, or the next step comes
    step: int  # from 1
    told: int  # times so far
    whom: tuple[tuple[str, str], ...]  # desk, head or superior_desk, and the level; nobody left: nobody could be reached
    told_from: int = 0  # the log does not tell when they were told: not before this, and `until` is the latest that it can be; 0: it does


class Climb(NamedTuple):
    """How far the ladder of a clock has gone."""

    told: int = 0  # steps
    passed: int = 0  # steps whose own share of the clock has come


class Paper(NamedTuple):
    """督办 in force."""

    rung: str
    issuer: str
    issued_at: int
    due: int  # of the reply
    replied: bool
    holder: str  # who is to answer


class Touched(NamedTuple):
    """A clock that an event started, stopped or changed."""

    clock: Clock
    stopped_at: int  # 0: it runs


class Case:
    """Only running clocks are kept; what stopped never rings again. Times are UTC milliseconds, 0 where there is none."""

    __slots__ = (
        "breaches",
        "calendar",
        "came",
        "chains",
        "climbs",
        "clocks",
        "differs",
        "doubt",
        "excused",
        "grade",
        "holder",
        "kind",
        "lapsed",
        "level",
        "missed",
        "now",
        "offered",
        "offered_level",
        "opened_at",
        "owed",
        "papers",
        "partition",
        "place",
        "policy",
        "reported",
        "review_at",
        "round",
        "rung",
        "seq",
        "state",
        "suspended_until",
    )  # fmt: skip

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.seq = self.now = self.round = self.grade = self.opened_at = 0
        self.state = self.kind = self.place = self.holder = self.level = self.policy = self.calendar = self.rung = self.reported = (
            self.offered_level
        ) = ""
        self.offered = self.suspended_until = self.review_at = 0
        self.clocks: list[Clock] = []
        self.came: dict[str, int] = {}  # by level: when it first had the case
        self.owed = False  # a report to the level above was
        self.climbs: dict[Key, Climb] = {}
        self.chains: dict[Key, Chain] = {}
        self.lapsed: Key | None = None  # the clock of an open offer, breached just now: the offer goes on by itself
        self.breaches: dict[Key, int] = {}  # of clocks that stopped, for one that is set going again
        self.papers: tuple[Paper, ...] = ()
        self.missed: tuple[tuple[Any, str], ...] = ()  # firings that were not told in time, with the words for them
        self.excused: tuple[tuple[Key, int], ...] = ()  # told before their time, so that nothing is missing
        self.doubt = ""  # an event that names another next moment than the case waits for
        self.differs = False  # a difference of the case was told

    def copy(self) -> Case:
        """To try something on."""
        other = copy(self)
        other.clocks = [copy(clock) for clock in self.clocks]
        return other

    def earliest_due(self) -> int:
        if self.state in ENDED:
            return 0
        return min([clock.due for clock in self.clocks if not clock.paused], default=0)

    def reply_due(self) -> int:
        return min([paper.due for paper in self.papers if not paper.replied], default=0)

    def rises(self, rung: str) -> bool:
        """Whether a rung lies above the one in force: the mildest that stands is not issued again."""
        order = book(self.policy).rungs
        return bool(rung) and (not self.rung or order.index(rung) > order.index(self.rung))

    def start(self, rule: ClockRule | None, at: int, holder: str, level: str, now: int) -> list[Touched]:
        """One of the same purpose, holder and start is the same clock by another rule, and keeps the breach it had."""
        if rule is None:
            return []
        self.owed = self.owed or rule.purpose is REPORT_UP
        clock = Clock(rule, days(self.calendar), at, holder, level)
        if (self.suspended_until or self.review_at) and pausable(rule):
            clock.pause(now)
        clock.breached = self.breaches.get(clock.key, 0) + sum(one.breached for one in self.clocks if one.key == clock.key)
        clock.retracted = clock.breached > 0
        self.clocks = [*(one for one in self.clocks if one.key != clock.key), clock]
        return [Touched(clock, 0)]

    def begin(self, purpose: str, event: Any, now: int) -> list[Touched]:
        """The clock that the policy sets for the holder, from the moment the policy names; in later rounds from what opened them."""
        rule = book(self.policy).limit(purpose, self.kind, self.grade)
        return self.start(rule, self.stamp(rule, event, now), self.holder, self.level, now) if rule else []

    def stamp(self, rule: ClockRule, event: Any, now: int) -> int:
        if self.round > 1 or rule.starts is Starts.EVENT:
            return now
        return min(now, self.opened_at if rule.starts is Starts.OCCURRED else event.received_at)

    def hop_since(self, hop: Hop, now: int) -> int:
        """From when the clock of a hop runs that the grade asks for: its receipt at the levels that it is of, unless a report was owed
        before or the case was opened again."""
        starts = hop.clock.starts
        if self.round > 1 or starts is Starts.EVENT or (starts is Starts.RECEIVED and self.owed):
            return now
        if starts is Starts.OCCURRED:
            return min(now, self.opened_at)
        received = [at for level, at in self.came.items() if RANK[hop.of] <= RANK[level] < RANK[hop.to]]
        return min([now, *received])

    def window(self, now: int) -> list[Touched]:
        """After a report the law leaves so many days from the event to supplement it; another type may have none, or others."""
        rule = book(self.policy).limit(SUPPLEMENT, self.kind, self.grade)
        running = [clock for clock in self.clocks if clock.rule.purpose is SUPPLEMENT]
        if rule is None:
            return self.stop(lambda clock: clock in running, now, now)
        if running or not self.reported:
            return []
        start = min(now, self.opened_at)
        over = Clock(rule, days(self.calendar), start, self.holder, self.level).due <= now
        return [] if over else self.start(rule, start, self.holder, self.level, now)

    def stop(self, ends: Callable[[Clock], bool], at: int, now: int) -> list[Touched]:
        gone = [clock for clock in self.clocks if ends(clock)]
        if gone:
            self.clocks = [clock for clock in self.clocks if clock not in gone]
            self.breaches |= {clock.key: clock.breached for clock in gone if clock.breached}
        return [Touched(clock, clock.stop(at, now)) for clock in gone]

    def forget(self) -> None:
        """Ladders end with their clocks; what waits for an acknowledgement also when they rest."""
        if self.climbs:
            running = {clock.key for clock in self.clocks}
            self.climbs = {key: done for key, done in self.climbs.items() if key in running}
        if self.chains:
            awake = {clock.key for clock in self.clocks if not clock.paused}
            self.chains = {key: chain for key, chain in self.chains.items() if key in awake}

    def end(self, at: int, now: int) -> list[Touched]:
        self.suspended_until = self.review_at = 0
        self.climbs, self.chains = {}, {}
        return self.stop(lambda _: True, at, now)

    def offer_over(self, now: int) -> list[Touched]:
        """The level above has answered, or is passed over."""
        asked = (REPLY, self.offered, self.offered_level)
        return self.stop(lambda clock: (clock.rule.purpose, clock.start, clock.level) == asked, now, now)

    def paper_over(self, paper: Paper, now: int) -> list[Touched]:
        """Answered or lifted. Papers of one moment to one holder have one clock, which runs while one of them waits."""
        same = [one for one in self.papers if (one.issued_at, one.holder) == (paper.issued_at, paper.holder)]
        if any(not one.replied for one in same):
            return []
        return self.stop(lambda clock: clock.key == (REPLY, paper.holder, paper.issued_at), now, now)

    def pause(self, now: int) -> list[Touched]:
        held = [clock for clock in self.clocks if pausable(clock.rule) and not clock.paused]
        for clock in held:
            clock.pause(now)
        return [Touched(clock, 0) for clock in held]

    def resume(self, now: int) -> list[Touched]:
        self.suspended_until = 0
        return self._run_again(now)

    def unshelve(self, now: int) -> list[Touched]:
        self.review_at = 0
        return self._run_again(now)

    def _run_again(self, now: int) -> list[Touched]:
        held = [clock for clock in self.clocks if clock.paused]
        for clock in held:
            clock.resume(now)
        return [Touched(clock, 0) for clock in held]

    def supervise(self, rung: str, issuer: str, now: int) -> list[Touched]:
        """A paper, and the clock of its answer."""
        found = self.start(book(self.policy).reply(rung), now, self.holder, self.level, now)
        self.papers = (*self.papers, Paper(rung, issuer, now, found[0].clock.due, False, self.holder))
        self.rung = rung
        return found

    def offer(self, level: str, now: int) -> list[Touched]:
        """The desk above owes an answer. To offer a case is not to report it: what is to be reported up runs on."""
        self.offered, self.offered_level = now, level
        return self.start(book(self.policy).limit(REPLY, self.kind, self.grade), now, desk_of(self.place, level), level, now)


def pausable(rule: ClockRule) -> bool:
    """Clocks of response and report never pause, whatever a document says."""
    return rule.pausable and rule.purpose not in NEVER_PAUSE
