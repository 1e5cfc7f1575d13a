"""One clock as it must run: when it is due, when its lights change, and what a pause, an extension and a stop do to it.

A clock keeps what its law or policy gives it and the stretches that do not count; every moment comes out of these anew.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.clocks import THOUSAND, Mark, Unit, Until
from schemas.policy.rules import ClockRule, Origin, Selector
from schemas.policy.terms import Certainty, Purpose, Starts
from services.audit.timers.days import Days, Stretch

MARKS = (Mark.WARNING, Mark.DUE, Mark.OVERDUE)
Key = tuple[str, str, int]  # purpose, holder, started at: what a clock is known by


SOURCE = ClockRule(
    purpose=Purpose.TOTAL, unit=Unit.MS, budget=0, until=Until.BUSINESS, starts=Starts.OCCURRED, warning=750, overdue=1500, backdating_ms=0,
    pausable=False, extension=None, selector=Selector(), origin=Origin("the department's own system", Certainty.PRIMARY, "source", ""),
)  # fmt: skip
"""The rule of a mirrored case's clock. Its target is that of its source: all of it is in `extended`."""


class Moments(NamedTuple):
    """When the lights of a clock change, UTC milliseconds; -1: they never do."""

    warning: int
    due: int
    overdue: int


class Clock:
    """Times are UTC milliseconds."""

    __slots__ = (
        "_moments", "breached", "days", "due", "extended", "holder", "level", "odd", "pauses", "retracted", "rule", "start", "stopped",
        "told",
    )  # fmt: skip

    def __init__(self, rule: ClockRule, days: Days, start: int, holder: str, level: str) -> None:
        self.rule, self.days, self.start, self.holder, self.level = rule, days, start, holder, level
        self.extended = 0  # in the unit
        self.pauses: tuple[Stretch, ...] = ()
        self.told = 0  # bits of schemas.clocks.Mark
        self.breached = 0  # the due time that passed unmet
        self.retracted = False
        self.stopped = 0  # only clocks of mirrored cases are kept when they have stopped
        self.odd = 0  # another due time that the log named for it, once told
        self.due = 0
        self._moments: Moments | None = None
        self.count()

    @property
    def key(self) -> Key:
        return self.rule.purpose.value, self.holder, self.start

    @property
    def paused(self) -> bool:
        return bool(self.pauses) and not self.pauses[-1][1]

    def count(self) -> None:
        """The due time, from the beginning."""
        rule = self.rule
        if rule.unit.in_days:
            working = rule.unit is Unit.WORKING_DAY
            self.set_due(self.days.limit(self.start, rule.budget + self.extended, rule.until, self.pauses, working=working))
        else:
            self.set_due(self._reach(rule.budget + self.extended))

    def set_due(self, due: int) -> None:
        self.due, self._moments = due, None

    def moments(self) -> Moments:
        if self._moments is None:
            warning = self.at(self.rule.warning) if self.rule.warning else -1
            overdue = self.at(self.rule.overdue) if self.rule.overdue else -1
            self._moments = Moments(warning, self.due, overdue)
        return self._moments

    def coming(self) -> list[tuple[int, Mark]]:
        """Moments still to be told."""
        found = []
        for at, mark in zip(self.moments(), MARKS, strict=True):
            if at >= 0 and not self.told & mark:
                found.append((self.after_pauses(at), mark))
        return found

    def after_pauses(self, at: int) -> int:
        """What a pause brought on comes when the pause ends, but not after the due time."""
        return max(at, min(self.pauses[-1][1], self.due)) if self.pauses else at

    def at(self, share: int) -> int:
        """When so many thousandths of the time between start and due time have run, rounded up to the millisecond."""
        total = self._run(self.due)
        if share == THOUSAND or not total:
            return self.due
        return self._reach((total * share + THOUSAND - 1) // THOUSAND)

    def pause(self, at: int) -> None:
        self.pauses = (*self.pauses, (at, 0))

    def resume(self, at: int) -> None:
        self._end_pause(at)
        self.recount(at)

    def extend(self, amount: int, now: int) -> None:
        self.extended = amount
        self.recount(now)

    def recount(self, now: int) -> None:
        """Counted anew; what was told and lies ahead again is to be told again."""
        self.odd = 0
        self.count()
        here = min(now, self.pauses[-1][0]) if self.paused else min(now, self.stopped or now)
        self.told = sum(mark for at, mark in zip(self.moments(), MARKS, strict=True) if self.told & mark and 0 <= at <= here)

    def recount_by(self, days: Days, now: int) -> None:
        """By newer days, but never into the past. A breach that they undo is withdrawn, one that they put off is dated anew."""
        before, old = self.days, self.due
        self.days = days
        self.count()
        here = min(now, self.pauses[-1][0]) if self.paused else now
        if self.due < old and self.due <= here:
            self.days = before
            self.set_due(old)
            return
        if self.told & Mark.DUE:
            undone = self.due > here
            self.retracted = undone or self.retracted
            self.breached = self.breached if undone else self.due
        self.recount(now)

    def tell(self, mark: Mark) -> None:
        self.told |= mark
        if mark is Mark.DUE:
            self.breached, self.retracted = self.due, False

    def stop(self, at: int, now: int) -> int:
        """Answers when it stopped: at `at`, which was told `now`; `now` where the policy does not let it lie so far back."""
        if not now - self.rule.backdating_ms <= at <= now:
            at = now
        at = max(at, self.start)
        if self.paused:
            self._end_pause(max(at, self.pauses[-1][0]))
            self.count()
            self.odd = 0
        self.retracted = self.retracted or (self.breached > 0 and at < self.due)
        return at

    def retarget(self, due: int, now: int) -> None:
        """Another target of a mirrored case. A breach that stands is dated anew; one that lies ahead again is withdrawn."""
        self.extended = due - self.start
        self.recount(now)
        if self.breached:
            self.retracted = not self.told & Mark.DUE
            self.breached = self.breached if self.retracted else due

    def end_at(self, at: int, now: int) -> None:
        """The source says when it was done; 0: it is not, or not any more."""
        self.stopped = at
        if not at:
            self.retracted = self.retracted and self.due > now
        else:
            late = at > self.due
            self.breached = self.due if late else self.breached
            self.retracted = not late and self.breached > 0

    def regraded(self, rule: ClockRule, now: int) -> Clock:
        """The clock by another rule, from the same start; itself where that deadline would have passed already."""
        fresh = Clock(rule, self.days, self.start, self.holder, self.level)
        fresh.pauses = self.pauses
        fresh.extended = min(self.extended, extension_of(rule)) if rule.unit is self.rule.unit else 0
        fresh.count()
        here = min(now, fresh.pauses[-1][0]) if fresh.paused else now
        if fresh.due <= here:
            return self
        fresh.breached, fresh.retracted = self.breached, self.breached > 0
        return fresh

    def _end_pause(self, at: int) -> None:
        self.pauses = (*self.pauses[:-1], (self.pauses[-1][0], at))

    def _between(self, since: int, until: int) -> int:
        """Time of business for limits in working time, else all time."""
        return self.days.worked(since, until) if self.rule.unit in (Unit.WORKING_MS, Unit.WORKING_DAY) else until - since

    def _run(self, until: int) -> int:
        """Time that counts from the start to a moment."""
        pauses = [(since, min(end or since, until)) for since, end in self.pauses if since < until]
        return self._between(self.start, max(self.start, until)) - sum(self._between(since, end) for since, end in pauses)

    def _reach(self, amount: int) -> int:
        """The first moment at which so much of it has run."""
        at = self.start
        for since, until in self.pauses:
            free = self._between(at, since)
            if free >= amount:
                break
            amount -= free
            at = until or since
        return self.days.after(at, amount) if self.rule.unit in (Unit.WORKING_MS, Unit.WORKING_DAY) else at + amount


def extension_of(rule: ClockRule) -> int:
    """The most that may be granted on top, in the clock's unit."""
    return rule.extension.budget if rule.extension and rule.extension.unit is rule.unit else 0
