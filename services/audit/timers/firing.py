"""What the log says a case did by itself, and which of the things it had to do that is."""

from __future__ import annotations

from typing import Any, NamedTuple

from schemas.clocks import Mark
from services.audit.timers.case import Case
from services.audit.timers.clocks import MARKS, Clock
from services.audit.timers.waiting import (
    AGAIN,
    LADDER,
    LAPSE,
    LAPSED,
    MARK,
    RAN_LATE,
    RESUME,
    REVIEW,
    STEP,
    SUPERVISED,
    TOLD_AGAIN,
    UNANSWERED,
    Saying,
    Want,
    climb_of,
    do,
    saying,
    wants,
)

MOST = 300  # firings of one case in one look: more would be a circle
MARK_OF = {"incident.clock_warning": Mark.WARNING, "incident.clock_due": Mark.DUE, "incident.clock_overdue": Mark.OVERDUE}
MARK_OF["incident.window_closed"] = Mark.DUE
KIND_OF = {TOLD_AGAIN: AGAIN, UNANSWERED: AGAIN, LAPSED: LAPSE}
BY_RULE = {"suspension_over": RESUME, "review_due": REVIEW}


class Firing(NamedTuple):
    """A firing as an event tells it."""

    kind: int
    mark: int
    purpose: str
    holder: str
    at: int  # its own moment
    due: int  # of the clock, as the event says; 0: it does not
    step: int  # of the ladder
    ack_by: int

    def is_about(self, clock: Clock) -> bool:
        return (clock.rule.purpose, clock.holder) == (self.purpose, self.holder)

    def might_be(self, case: Case, want: Want) -> bool:
        return (want.kind, want.mark) == (self.kind, self.mark) and (want.place < 0 or self.is_about(case.clocks[want.place]))


def firing_of(event: Any) -> Firing | None:
    """None for an event that somebody asked for."""
    mark = MARK_OF.get(event.type, 0)
    if mark:
        kind = MARK
    elif event.type == RAN_LATE or (event.type == SUPERVISED and event.rule):
        kind = STEP if event.rule == LADDER else AGAIN  # a step that comes at its share, or because nobody answered
    else:
        kind = KIND_OF.get(event.type, BY_RULE.get(event.rule, -1))
    if kind < 0:
        return None
    return Firing(kind, mark, event.clock, event.clock_holder, event.occurred_at, event.clock_due_at, event.step, event.ack_by)


def exact(case: Case, firing: Firing, said: Saying, now: int) -> Want | None:
    """What the case waits for at just that moment and with just those words, told by a record of the time `now`. A page of which the log
    does not tell when it was sent, for that is missing, is unanswered at whatever moment it can be."""
    for want in wants(case):
        fits = firing.might_be(case, want) and _due_fits(case, want, firing) and saying(case, want, now) in (None, said)
        if fits and want.at == firing.at:
            return want
        if fits and want.kind == AGAIN and 0 < case.chains[case.clocks[want.place].key].told_from <= firing.at <= want.at:
            return want._replace(at=firing.at)
    return None


def skipped(case: Case, firing: Firing, said: Saying, now: int) -> int:
    """How many things the case had to do before it came to just this firing; 0: it never comes to it, or had to do nothing before."""
    tried = case.copy()
    for count in range(MOST):
        if exact(tried, firing, said, now):
            return count
        first = min(wants(tried), default=None)
        if first is None or first.at > min(firing.at, now):
            return 0
        do(tried, first, now, unseen=True)
    return 0


def nearest(case: Case, firing: Firing) -> Want | None:
    """What it may be meant for; None: nothing of the kind, or it was told before."""
    found = [want for want in wants(case) if firing.might_be(case, want)]
    if not found or told_before(case, firing):
        return None
    return min(found, key=lambda want: (want.at != firing.at, not _due_fits(case, want, firing), want.at))


def told_before(case: Case, firing: Firing) -> bool:
    """Whether a running clock has told just this already."""
    for clock in case.clocks:
        if not firing.is_about(clock) or firing.due not in (0, clock.due, clock.odd):
            continue
        chain = case.chains.get(clock.key)
        if firing.kind == MARK:
            moment = clock.moments()[MARKS.index(Mark(firing.mark))]
            if clock.told & firing.mark and firing.at in (moment, clock.breached):
                return True
            continue
        climb = climb_of(case, clock)
        if firing.kind == STEP and firing.step <= climb.passed:
            return True
        if firing.step <= climb.told and chain and chain.until == firing.ack_by:
            return True
    return False


def standing(case: Case, firing: Firing) -> str:
    """Why a firing that nothing waited for should not be there."""
    if firing.kind in (RESUME, REVIEW):
        return "unexpected"
    found = [clock for clock in case.clocks if firing.is_about(clock)]
    if any(clock.paused for clock in found):
        return "while_paused"
    return "doubled" if found else "stopped"


def _due_fits(case: Case, want: Want, firing: Firing) -> bool:
    return want.place < 0 or firing.due in (0, case.clocks[want.place].due)
