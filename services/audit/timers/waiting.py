"""What a case must do by itself, and when; and what it must say of it.

Marks of its clocks; steps of their ladders; a page that nobody acknowledged is told again, as often as the policy says, and then the next
step comes at once, as it does when nobody could be reached; an offer that nobody answers by its due time goes to the next level; a
suspension ends, a shelf is reviewed.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.clocks import Mark, Unit
from schemas.policy.rules import Ladder
from services.audit.timers.case import ENDED, REPLY, Case, Chain, Touched
from services.audit.timers.clocks import SOURCE, Clock
from services.audit.timers.rules import RANK, Step, above, book, desk_of, levels_of

MARK, LAPSE, STEP, AGAIN, RESUME, REVIEW = range(6)  # at one moment in this order
LADDER, UNACKNOWLEDGED, UNREACHED, TIMED_OUT = "lateness_ladder", "unacknowledged", "no_one_notified", "offer_timed_out"  # rules
RAN_LATE, SUPERVISED, TOLD_AGAIN, UNANSWERED, LAPSED = (
    f"incident.{name}" for name in ("ran_late", "supervised", "told_again", "unacknowledged", "offer_timed_out")
)


class Want(NamedTuple):
    """They sort as they are to be done."""

    at: int
    kind: int
    place: int = -1  # of the clock
    mark: int = 0

    def words(self, case: Case) -> str:
        if self.place < 0:
            return "the end of the suspension" if self.kind == RESUME else "the review of the shelf"
        clock = case.clocks[self.place]
        about = f"of {clock.rule.purpose.value} on {clock.holder}"
        if self.kind == MARK:
            return f"{(Mark(self.mark).name or '').lower()} {about}"
        names = {LAPSE: "time-out", STEP: f"step {case.climbs.get(clock.key, 0) + 1}", AGAIN: "acknowledgement"}
        return f"{names[self.kind]} {about}"


class Saying(NamedTuple):
    """What a step, a page told again or a time-out must say."""

    type: str
    rule: str
    step: int = 0
    tell: str = ""
    tell_level: str = ""
    ack_by: int = 0
    rung: str = ""


def wants(case: Case) -> list[Want]:
    """Everything that is still to come by itself, unsorted."""
    if case.state in ENDED:
        return []
    found = [Want(case.suspended_until, RESUME)] if case.suspended_until else []
    if case.review_at:
        found.append(Want(case.review_at, REVIEW))
    for place, clock in enumerate(case.clocks):
        if clock.paused:
            continue
        found += [Want(at, MARK, place, mark) for at, mark in clock.coming()]
        step = step_of(case, clock)
        if step:
            found.append(Want(clock.at(step.share), STEP, place))
        if case.chains and clock.key in case.chains:
            found.append(Want(case.chains[clock.key].until, AGAIN, place))
        if clock.key == case.lapsed:
            found.append(Want(clock.due, LAPSE, place))
    return found


def next_moment(case: Case) -> int:
    """When the case wants to be woken; 0: never. What follows a breach at once needs no waking."""
    return min([want.at for want in wants(case) if want.kind != LAPSE], default=0)


def step_of(case: Case, clock: Clock) -> Step | None:
    """The next step of the clock's ladder. A mirrored case rouses nobody: its own system does."""
    if clock.rule is SOURCE:
        return None
    ladder = ladder_of(case, clock)
    done = case.climbs.get(clock.key, 0)
    return ladder[done] if done < len(ladder) else None


def ladder_of(case: Case, clock: Clock) -> tuple[Step, ...]:
    return book(case.policy).steps(clock.rule.purpose.value, case.kind, case.grade, clock.level, case.place)


def saying(case: Case, want: Want) -> Saying | None:
    """What must be said; None: marks, and the ends of suspensions and shelves, say nothing but themselves."""
    if want.kind == STEP:
        return _step(case, want, LADDER)
    if want.kind == LAPSE:
        return Saying(LAPSED, TIMED_OUT, tell_level=_asked_next(case))
    if want.kind != AGAIN:
        return None
    clock = case.clocks[want.place]
    chain, ladder = case.chains[clock.key], _policy(case, clock)
    if chain.whom and ladder and chain.told <= ladder.ack_again:
        level = next((level for whom, level in chain.whom if whom == "superior_desk"), "")
        tell = "+".join(whom for whom, _ in chain.whom)
        return Saying(TOLD_AGAIN, UNACKNOWLEDGED, chain.step, tell, level, _until(clock, ladder, want.at))
    rule = UNACKNOWLEDGED if chain.whom else UNREACHED
    return _step(case, want, rule) if step_of(case, clock) else Saying(UNANSWERED, rule, chain.step)


def do(case: Case, want: Want, issuer: str = "") -> list[Touched]:
    """After this, it is done, at its own moment."""
    if want.kind == RESUME:
        found = case.resume(want.at)
    elif want.kind == REVIEW:
        found = case.unshelve(want.at)
    elif want.kind == MARK:
        clock = case.clocks[want.place]
        clock.tell(Mark(want.mark))
        of_offer = case.offered and (clock.rule.purpose, clock.start, clock.level) == (REPLY, case.offered, case.offered_level)
        case.lapsed = clock.key if of_offer and want.mark == Mark.DUE else case.lapsed
        return [Touched(clock, 0)]
    elif want.kind == LAPSE:
        found = _lapse(case, want.at)
    else:
        found = _tell(case, want, issuer)
    case.forget()
    return found


def _tell(case: Case, want: Want, issuer: str) -> list[Touched]:
    said, clock = saying(case, want), case.clocks[want.place]
    assert said
    others = {key: chain for key, chain in case.chains.items() if key != clock.key}
    if said.type == UNANSWERED:
        case.chains = others
        return []
    if said.type == TOLD_AGAIN:
        chain = case.chains[clock.key]
        case.chains = others | {clock.key: chain._replace(until=said.ack_by, told=chain.told + 1)}
        return []
    whom = tuple((one, said.tell_level if one == "superior_desk" else clock.level) for one in said.tell.split("+") if one)
    case.climbs = case.climbs | {clock.key: said.step}
    case.chains = others | ({clock.key: Chain(said.ack_by, said.step, 1, whom)} if whom else {})
    return case.supervise(said.rung, issuer or desk_of(case.place, said.tell_level), want.at) if said.rung else []


def _lapse(case: Case, at: int) -> list[Touched]:
    """Nobody answered: that clock ends with its breach, and the next level above is asked; the holder keeps its duty."""
    case.lapsed = None
    level = _asked_next(case)
    return case.answered(case.offered, at) + case.offer(level, at) if level else []


def _asked_next(case: Case) -> str:
    """The next level that the place has, as far as the policy goes; "" where the offer stays."""
    ladder = book(case.policy).policies.ladder(REPLY, case.kind, case.grade)
    level = next((name for name, _ in levels_of(case.place) if above(name, case.offered_level)), "")
    return level if level and ladder and ladder.timeout and RANK[level] <= RANK[ladder.timeout.highest] else ""


def _policy(case: Case, clock: Clock) -> Ladder | None:
    return book(case.policy).policies.ladder(clock.rule.purpose, case.kind, case.grade)


def _step(case: Case, want: Want, rule: str) -> Saying:
    clock = case.clocks[want.place]
    step, ladder = step_of(case, clock), _policy(case, clock)
    assert step
    assert ladder
    rung = step.rung if case.rises(step.rung) else ""
    until = _until(clock, ladder, want.at) if step.tell else 0
    return Saying(SUPERVISED if rung else RAN_LATE, rule, case.climbs.get(clock.key, 0) + 1, step.tell, step.level, until, rung)


def _until(clock: Clock, ladder: Ladder, at: int) -> int:
    """When who is told now must have acknowledged it; in working time only while desks are manned."""
    return clock.days.after(at, ladder.ack_within) if ladder.ack_unit is Unit.WORKING_MS else at + ladder.ack_within
