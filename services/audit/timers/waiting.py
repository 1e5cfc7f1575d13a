"""What a case must do by itself, and when; and what it must say of it.

Marks of its clocks; steps of their ladders; a page that nobody acknowledged is told again, as often as the policy says, counted from when
it was told, and then the next step is told at once, but not what is for the due time or later before that, unless the policy says so or
nobody could be reached; papers of supervision come at their own shares only; an offer that nobody answers by its due time goes to the next
level; a suspension ends, a shelf is reviewed.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.clocks import THOUSAND, Mark, Unit
from schemas.policy.rules import Ladder
from services.audit.timers.case import ENDED, REPLY, Case, Chain, Climb, Touched
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
        step = step_of(case, clock)
        names = {LAPSE: "time-out", STEP: f"step {step.number if step else 0}", AGAIN: "acknowledgement"}
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
            found.append(Want(clock.after_pauses(clock.at(step.share)), STEP, place))
        if case.chains and clock.key in case.chains:
            found.append(Want(case.chains[clock.key].until, AGAIN, place))
        if clock.key == case.lapsed:
            found.append(Want(clock.due, LAPSE, place))
    return found


def next_moment(case: Case) -> int:
    """When the case wants to be woken; 0: never. What follows a breach at once needs no waking."""
    return min([want.at for want in wants(case) if want.kind != LAPSE], default=0)


def step_of(case: Case, clock: Clock) -> Step | None:
    """The step that comes next at its own share: not told yet, or told early and its paper not issued."""
    told, passed = climb_of(case, clock)
    left = [step for step in ladder_of(case, clock) if step.number > passed]
    return next((step for step in left if step.rung or step.number > told), None)


def next_for_silence(case: Case, clock: Clock) -> Step | None:
    """The step that an unanswered page brings on at once."""
    chain, ladder = case.chains[clock.key], _policy(case, clock)
    left = [step for step in ladder_of(case, clock) if step.tell and step.number > climb_of(case, clock).told]
    if not left or ladder is None:
        return None
    may = not chain.whom or ladder.ack_before_due or clock.told & Mark.DUE or left[0].share < THOUSAND
    return left[0] if may else None


def climb_of(case: Case, clock: Clock) -> Climb:
    return case.climbs.get(clock.key) or Climb()


def ladder_of(case: Case, clock: Clock) -> tuple[Step, ...]:
    """A mirrored case rouses nobody: its own system does."""
    if clock.rule is SOURCE:
        return ()
    return book(case.policy).steps(clock.rule.purpose.value, case.kind, case.grade, clock.level, case.place)


def saying(case: Case, want: Want, now: int) -> Saying | None:
    """What must be said by a record of that time; None: marks, and the ends of suspensions and shelves, say nothing but themselves."""
    if want.kind == LAPSE:
        return Saying(LAPSED, TIMED_OUT, tell_level=_asked_next(case))
    if want.kind not in (STEP, AGAIN):
        return None
    clock = case.clocks[want.place]
    ladder = _policy(case, clock)
    assert ladder
    if want.kind == STEP:
        step = step_of(case, clock)
        assert step
        tell = step.tell if step.number > climb_of(case, clock).told else ""
        rung = step.rung if case.rises(step.rung) else ""
        until = _until(clock, ladder, now) if tell else 0
        return Saying(SUPERVISED if rung else RAN_LATE, LADDER, step.number, tell, step.level, until, rung)
    chain, until = case.chains[clock.key], _until(clock, ladder, now)
    if chain.whom and chain.told <= ladder.ack_again:
        level = next((level for whom, level in chain.whom if whom == "superior_desk"), "")
        return Saying(TOLD_AGAIN, UNACKNOWLEDGED, chain.step, "+".join(whom for whom, _ in chain.whom), level, until)
    rule = UNACKNOWLEDGED if chain.whom else UNREACHED
    early = next_for_silence(case, clock)
    return Saying(RAN_LATE, rule, early.number, early.tell, early.level, until) if early else Saying(UNANSWERED, rule, chain.step)


def do(case: Case, want: Want, now: int, issuer: str = "", *, unseen: bool = False) -> list[Touched]:
    """After this, it is done, at its own moment, and told by a record of the time `now`; `unseen`: by one before it, if at all."""
    if want.kind == RESUME:
        found = case.resume(want.at)
    elif want.kind == REVIEW:
        found = case.unshelve(want.at)
    elif want.kind == MARK:
        clock = case.clocks[want.place]
        if clock.rule.window and want.mark == Mark.DUE:  # it closes, and nobody has missed anything
            found = case.stop(lambda one: one is clock, clock.due, clock.due)
            case.forget()
            return found
        clock.tell(Mark(want.mark))
        of_offer = case.offered and (clock.rule.purpose, clock.start, clock.level) == (REPLY, case.offered, case.offered_level)
        case.lapsed = clock.key if of_offer and want.mark == Mark.DUE else case.lapsed
        return [Touched(clock, 0)]
    elif want.kind == LAPSE:
        found = _lapse(case, want.at)
    else:
        found = _tell(case, want, now, issuer, unseen=unseen)
    case.forget()
    return found


def _tell(case: Case, want: Want, now: int, issuer: str, *, unseen: bool) -> list[Touched]:
    said, clock = saying(case, want, now), case.clocks[want.place]
    assert said
    others = {key: chain for key, chain in case.chains.items() if key != clock.key}
    told_from = want.at if unseen else 0
    if said.type == UNANSWERED:
        case.chains = others
    elif said.type == TOLD_AGAIN:
        chain = case.chains[clock.key]
        case.chains = others | {clock.key: chain._replace(until=said.ack_by, told=chain.told + 1, told_from=told_from)}
    else:
        told, passed = climb_of(case, clock)
        case.climbs = case.climbs | {clock.key: Climb(max(told, said.step), said.step if want.kind == STEP else passed)}
        whom = tuple((one, said.tell_level if one == "superior_desk" else clock.level) for one in said.tell.split("+") if one)
        case.chains = others | {clock.key: Chain(said.ack_by, said.step, 1, whom, told_from)} if whom else case.chains
    return case.supervise(said.rung, issuer or desk_of(case.place, said.tell_level), want.at) if said.rung else []


def _lapse(case: Case, at: int) -> list[Touched]:
    """Nobody answered: that clock ends with its breach, and the next level above is asked; the holder keeps its duty."""
    case.lapsed = None
    level = _asked_next(case)
    return case.offer_over(at) + case.offer(level, at) if level else []


def _asked_next(case: Case) -> str:
    """The next level that the place has, as far as the policy goes; "" where the offer stays."""
    ladder = book(case.policy).policies.ladder(REPLY, case.kind, case.grade)
    level = next((name for name, _ in levels_of(case.place) if above(name, case.offered_level)), "")
    return level if level and ladder and ladder.timeout and RANK[level] <= RANK[ladder.timeout.highest] else ""


def _policy(case: Case, clock: Clock) -> Ladder | None:
    return book(case.policy).policies.ladder(clock.rule.purpose, case.kind, case.grade)


def _until(clock: Clock, ladder: Ladder, at: int) -> int:
    """When who is told then must have acknowledged it; in working time only while desks are manned."""
    return clock.days.after(at, ladder.ack_within) if ladder.ack_unit is Unit.WORKING_MS else at + ladder.ack_within
