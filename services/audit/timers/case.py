"""One case as far as its timers go: which clocks each event starts, stops, pauses and moves, and what the case must then do by itself.

Taken from the rows of research/mission.md 3.1 and the policies; an event says what was asked and how the case stands: no more is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from schemas.clocks import Mark
from schemas.policy.rules import ClockRule
from schemas.policy.terms import NEVER_PAUSE, Purpose, Starts
from services.audit.timers.clocks import SOURCE, Clock, Key, extension_of
from services.audit.timers.days import days
from services.audit.timers.rules import Step, above, book, desk_of, name_of, rank

ENDED = frozenset({"closed", "evaluated", "archived", "declined", "merged", "withdrawn"})
MERGED = "merged"
ACCEPT, SIGN, HANDLE, TOTAL = Purpose.ACCEPT, Purpose.SIGN, Purpose.HANDLE, Purpose.TOTAL
REPLY, REPORT_UP = Purpose.REPLY, Purpose.REPORT_UP
MARK, STEP, RESUME, REVIEW = range(4)  # what a case does by itself; at one moment in this order


class Unknown(Exception):
    """The log does not say what is needed to go on with this case."""


class Want(NamedTuple):
    """What a case must do by itself, and when. They sort as they are to be done."""

    at: int
    kind: int
    place: int = -1  # of the clock
    mark: int = 0

    def said(self, case: Case) -> str:
        if self.place < 0:
            return "the end of the suspension" if self.kind == RESUME else "the review of the shelf"
        clock = case.clocks[self.place]
        what = Mark(self.mark).name or "" if self.kind == MARK else f"step {case.climbs.get(clock.key, 0) + 1}"
        return f"{what.lower()} of {clock.rule.purpose.value} on {clock.holder}"


class Paper(NamedTuple):
    """督办 in force."""

    rung: str
    issuer: str
    issued_at: int
    due: int  # of the reply
    replied: bool


class Touched(NamedTuple):
    """A clock that an event started, stopped or changed."""

    clock: Clock
    stopped_at: int  # 0: it runs


class Case:
    """Only running clocks are kept; what stopped never rings again. Times are UTC milliseconds, 0 where there is none."""

    __slots__ = (
        "breaches", "calendar", "climbs", "clocks", "differs", "doubt", "excused", "grade", "holder", "kind", "level", "missed", "now",
        "offered", "opened_at", "papers", "partition", "place", "policy", "reported", "review_at", "round", "rung", "seq", "state",
        "suspended_until",
    )  # fmt: skip

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.seq = self.now = self.round = self.grade = self.opened_at = 0
        self.state = self.kind = self.place = self.holder = self.level = self.policy = self.calendar = self.rung = self.reported = ""
        self.offered = self.suspended_until = self.review_at = 0
        self.clocks: list[Clock] = []
        self.climbs: dict[Key, int] = {}  # steps of a clock's ladder that are done
        self.breaches: dict[Key, int] = {}  # of clocks that stopped, for one that is set going again
        self.papers: tuple[Paper, ...] = ()
        self.missed: tuple[tuple[Any, str], ...] = ()  # firings that were not told in time, with the words for them
        self.excused: tuple[tuple[Key, int], ...] = ()  # told before their time, so that nothing is missing
        self.doubt = ""  # an event that names another next moment than the case waits for
        self.differs = False  # a difference of the case was told

    # --- what it waits for

    def wants(self) -> list[Want]:
        """Everything that is still to come by itself, unsorted."""
        if self.state in ENDED:
            return []
        found = [Want(self.suspended_until, RESUME)] if self.suspended_until else []
        if self.review_at:
            found.append(Want(self.review_at, REVIEW))
        for place, clock in enumerate(self.clocks):
            if not clock.paused:
                found += [Want(at, MARK, place, mark) for at, mark in clock.coming()]
                step = self.step(clock)
                if step:
                    found.append(Want(clock.at(step.share), STEP, place))
        return found

    def next(self) -> int:
        return min([want.at for want in self.wants()], default=0)

    def earliest_due(self) -> int:
        if self.state in ENDED:
            return 0
        return min([clock.due for clock in self.clocks if not clock.paused], default=0)

    def reply_due(self) -> int:
        return min([paper.due for paper in self.papers if not paper.replied], default=0)

    def step(self, clock: Clock) -> Step | None:
        """The next step of the clock's ladder. A mirrored case rouses nobody: its own system does."""
        if clock.rule is SOURCE:
            return None
        ladder = self.ladder(clock)
        done = self.climbs.get(clock.key, 0)
        return ladder[done] if done < len(ladder) else None

    def ladder(self, clock: Clock) -> tuple[Step, ...]:
        return book(self.policy).steps(clock.rule.purpose.value, self.kind, self.grade, clock.level, self.place)

    def rises(self, rung: str) -> bool:
        """Whether a rung lies above the one in force: the mildest that stands is not issued again."""
        order = book(self.policy).rungs
        return bool(rung) and (not self.rung or order.index(rung) > order.index(self.rung))

    # --- what it does by itself

    def do(self, want: Want, issuer: str = "") -> list[Touched]:
        """After this, it is done, at its own moment."""
        if want.kind == RESUME:
            return self.resume(want.at)
        if want.kind == REVIEW:
            return self.unshelve(want.at)
        clock = self.clocks[want.place]
        if want.kind == MARK:
            clock.tell(Mark(want.mark))
            return [Touched(clock, 0)]
        step = self.step(clock)
        assert step
        self.climbs = self.climbs | {clock.key: self.climbs.get(clock.key, 0) + 1}
        return self.supervise(step.rung, issuer or desk_of(self.place, step.level), want.at) if self.rises(step.rung) else []

    # --- what others do to it

    def start(self, rule: ClockRule | None, at: int, holder: str, level: str, now: int) -> list[Touched]:
        """One of the same purpose, holder and start is the same clock by another rule, and keeps the breach it had."""
        if rule is None:
            return []
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

    def stop(self, ends: Callable[[Clock], bool], at: int, now: int) -> list[Touched]:
        gone = [clock for clock in self.clocks if ends(clock)]
        if gone:
            self.clocks = [clock for clock in self.clocks if clock not in gone]
            self.breaches |= {clock.key: clock.breached for clock in gone if clock.breached}
        return [Touched(clock, clock.stop(at, now)) for clock in gone]

    def forget(self) -> None:
        """Ladders end with their clocks."""
        if self.climbs:
            running = {clock.key for clock in self.clocks}
            self.climbs = {key: done for key, done in self.climbs.items() if key in running}

    def end(self, at: int, now: int) -> list[Touched]:
        self.suspended_until = self.review_at = 0
        self.climbs = {}
        return self.stop(lambda _: True, at, now)

    def answered(self, asked_at: int, now: int) -> list[Touched]:
        """Nothing more is owed for what was asked then."""
        return self.stop(lambda clock: clock.rule.purpose is REPLY and clock.start == asked_at, now, now)

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
        self.papers = (*self.papers, Paper(rung, issuer, now, found[0].clock.due, False))
        self.rung = rung
        return found

    def regrade(self, event: Any, now: int) -> list[Touched]:
        """Another type or grade: other limits from the same start, and another report to the level above."""
        found: list[Touched] = []
        rules, moved = book(self.policy), []
        for clock in self.clocks:
            rule = None
            if clock.rule.purpose not in (REPLY, REPORT_UP):
                rule = rules.limit(clock.rule.purpose.value, self.kind, self.grade)
            fresh = clock.regraded(rule, now) if rule and name_of(rule) != name_of(clock.rule) else clock
            moved.append(fresh)
            found += [Touched(fresh, 0)] if fresh is not clock else []
        self.clocks = moved
        desk, level = self._owing()
        hop = rules.hop(self.kind, self.grade, level)
        reports = [clock for clock in self.clocks if clock.rule.purpose is REPORT_UP]
        if hop is None or not any(name_of(clock.rule) == name_of(hop.clock) for clock in reports):
            found += self.stop(lambda clock: clock in reports, now, now) if reports else []
            if hop:
                found += self.start(hop.clock, self.stamp(hop.clock, event, now), desk, level, now)
        return found

    def repin(self, now: int) -> list[Touched]:
        """Another version of the policies and the newest days, from the same starts, but no deadline into the past."""
        rules, moved, found = book(self.policy), [], []
        for clock in self.clocks:
            paper = next(
                (one for one in self.papers if clock.rule.purpose is REPLY and (one.issued_at, one.due) == (clock.start, clock.due)), None
            )
            anew = clock.days is not days(self.calendar)
            if anew:
                clock.recount_by(days(self.calendar), now)
            if paper:
                rule: ClockRule | None = rules.reply(paper.rung)
            elif clock.rule.purpose is REPORT_UP:
                hop = rules.hop(self.kind, self.grade, clock.level)
                rule = hop.clock if hop else None
            else:
                rule = rules.limit(clock.rule.purpose, self.kind, self.grade)
            fresh = clock.regraded(rule, now) if rule and name_of(rule) != name_of(clock.rule) else clock
            moved.append(fresh)
            found += [Touched(fresh, 0)] if anew or fresh is not clock else []
            if paper:
                self.papers = tuple(one._replace(due=fresh.due) if one is paper else one for one in self.papers)
        self.clocks = moved
        return found

    def _paper_of(self, clock: Clock) -> Paper | None:
        """The supervision whose answer the clock counts."""
        if clock.rule.purpose is not REPLY:
            return None
        return next((one for one in self.papers if (one.issued_at, one.due) == (clock.start, clock.due)), None)

    def offer(self, level: str, now: int) -> list[Touched]:
        """The desk above owes an answer. To offer a case is not to report it: what is to be reported up runs on."""
        self.offered = now
        return self.start(book(self.policy).limit(REPLY, self.kind, self.grade), now, desk_of(self.place, level), level, now)

    def report(self, level: str, now: int) -> list[Touched]:
        """首报 to a level was signed: the hops below it are done, and that level owes the next one."""
        self.reported = max(self.reported, level, key=rank)
        if self.state in ENDED:
            return []
        done = self.stop(lambda clock: clock.rule.purpose is REPORT_UP and above(level, clock.level), now, now)
        hop = book(self.policy).hop(self.kind, self.grade, level) if done else None
        found = self.start(hop.clock, now, desk_of(self.place, level), level, now) if hop and above(hop.to, level) else []
        return done + found

    def _owing(self) -> tuple[str, str]:
        """Desk and level that owe the next hop: who holds the case, or a level above that was told already."""
        if above(self.reported, self.level):
            return desk_of(self.place, self.reported), self.reported
        return self.holder, self.level

    def follow(self, event: Any, now: int) -> list[Touched]:
        """A mirrored case: its own system says by when it is to be done, and when it was. One clock, from the opening to that target."""
        due = event.source_due_at
        if not due:
            return []
        clock = self.clocks[0] if self.clocks else Clock(SOURCE, days(self.calendar), event.opened_at, event.holder, event.holder_level)
        fresh, before = not self.clocks, (clock.due, clock.stopped)
        self.clocks = [clock]
        if clock.due != due:
            clock.retarget(due, now)
        ended_at = min(event.occurred_at, clock.stopped or event.occurred_at) if self.state in ENDED else 0
        if ended_at != clock.stopped or fresh or clock.due != before[0]:
            clock.end_at(ended_at, now)
        return [Touched(clock, clock.stopped)] if fresh or (clock.due, clock.stopped) != before else []

    def extend(self, event: Any, amount: int, now: int) -> list[Touched]:
        chosen = next((clock for clock in reversed(self.clocks) if clock.rule.purpose == event.clock), None)
        if chosen is None:
            return []
        chosen.extend(amount or extension_of(chosen.rule), now)
        return [Touched(chosen, 0)]

    def replied(self, event: Any, now: int) -> list[Touched]:
        """A paper was answered: the oldest that waits, or the one of a rung that was named, which the event does not repeat."""
        return self._settle([paper for paper in self.papers if not paper.replied], event, now, lifted=False)

    def lifted(self, event: Any, now: int) -> list[Touched]:
        """The newest of the issuer's own, or the one of a rung that was named."""
        return self._settle([paper for paper in reversed(self.papers) if paper.issuer == event.actor_org], event, now, lifted=True)

    def _settle(self, candidates: Iterable[Paper], event: Any, now: int, *, lifted: bool) -> list[Touched]:
        order = book(self.policy).rungs
        for paper in candidates:
            after = [one._replace(replied=True) if one is paper else one for one in self.papers if not (lifted and one is paper)]
            standing = max((one.rung for one in after), key=order.index, default="")
            owed = min((one.due for one in after if not one.replied), default=0)
            if (standing, owed) == (event.supervised_rung, event.reply_due_at):
                self.papers = tuple(after)
                return self.answered(paper.issued_at, now)
        raise Unknown("which paper of supervision was meant")


def pausable(rule: ClockRule) -> bool:
    """Clocks of response and report never pause, whatever a document says."""
    return rule.pausable and rule.purpose not in NEVER_PAUSE
