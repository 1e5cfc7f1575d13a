"""What the log says a case did by itself, and which of the things it had to do that is."""

from __future__ import annotations

from typing import Any, NamedTuple

from schemas.clocks import Mark
from services.audit.timers.case import MARK, RESUME, REVIEW, STEP, Case, Want
from services.audit.timers.clocks import MARKS, Clock

MARK_OF = {"incident.clock_warning": Mark.WARNING, "incident.clock_due": Mark.DUE, "incident.clock_overdue": Mark.OVERDUE}
LADDER, SUSPENSION_OVER, REVIEW_DUE = "lateness_ladder", "suspension_over", "review_due"  # rules that events name
BY_RULE = {SUSPENSION_OVER: RESUME, REVIEW_DUE: REVIEW}


class Firing(NamedTuple):
    """A firing as an event tells it."""

    kind: int
    mark: int
    purpose: str
    holder: str
    at: int  # its own moment
    due: int  # of the clock, as the event says; 0: it does not

    def is_about(self, clock: Clock) -> bool:
        return (clock.rule.purpose, clock.holder) == (self.purpose, self.holder)

    def might_be(self, case: Case, want: Want) -> bool:
        return (want.kind, want.mark) == (self.kind, self.mark) and (want.place < 0 or self.is_about(case.clocks[want.place]))


def firing_of(event: Any) -> Firing | None:
    """None for an event that somebody asked for."""
    kind, mark = MARK, MARK_OF.get(event.type, 0)
    if not mark:
        if event.rule == LADDER or event.type == "incident.ran_late":
            kind = STEP
        elif event.rule in BY_RULE:
            kind = BY_RULE[event.rule]
        else:
            return None
    return Firing(kind, mark, event.clock, event.clock_holder, event.occurred_at, event.clock_due_at)


def match(case: Case, firing: Firing) -> Want | None:
    """What the case waited for; None: nothing of the kind, or it was told before."""
    found = [want for want in case.wants() if firing.might_be(case, want)]
    exact = [want for want in found if want.at == firing.at and _due_fits(case, want, firing)]
    if exact:
        return exact[0]
    if not found or told_before(case, firing):
        return None
    return min(found, key=lambda want: (want.at != firing.at, not _due_fits(case, want, firing), want.at))


def told_before(case: Case, firing: Firing) -> bool:
    """Whether a running clock has told just this already."""
    for clock in case.clocks:
        if not firing.is_about(clock) or firing.due not in (0, clock.due, clock.odd):
            continue
        if firing.kind == MARK:
            moment = clock.moments()[MARKS.index(Mark(firing.mark))]
            if clock.told & firing.mark and firing.at in (moment, clock.breached):
                return True
        else:
            done = case.ladder(clock)[: case.climbs.get(clock.key, 0)]
            if firing.at in [clock.at(step.share) for step in done]:
                return True
    return False


def is_later_step(case: Case, want: Want, firing: Firing) -> bool:
    """Whether a firing is a later step of the ladder than the one that is waited for."""
    if firing.kind != STEP or firing.at == want.at:
        return False
    clock = case.clocks[want.place]
    return firing.at in [clock.at(step.share) for step in case.ladder(clock)[case.climbs.get(clock.key, 0) + 1 :]]


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
