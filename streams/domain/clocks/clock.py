"""The life of a clock 时限: start, tell, pause, resume, extend, recalculate, stop. Pure: each answers a new struct.

Whoever calls has settled the marks up to that moment first (`marks`, `tell`), so what a clock says does not depend on when it is asked.
What is not allowed raises ValueError; ask `may_pause` and `may_extend` before.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from schemas.calendar import Calendar
from schemas.clocks import Light, Mark, Rule
from schemas.state.clock import Clock, Pause
from streams.domain.clocks.running import due_time, is_paused, moment, point


class Moment(NamedTuple):
    """A mark of a clock and its time. They sort by time, and marks of one moment in the order of the lights."""

    at: int
    mark: Mark


def start(rule: Rule, cal: Calendar, started_at: int, holder: str, level: str, round_no: int = 1) -> Clock:
    """A clock set going. `started_at`: when the matter came about or was received, as the policy says."""
    if rule.budget < 1:
        raise ValueError(f"a budget is at least one {rule.unit}: {rule.budget}")
    clock = Clock(
        purpose=rule.purpose,
        round=round_no,
        holder=holder,
        level=level,
        unit=rule.unit.value,
        until=rule.until.value,
        budget=rule.budget,
        extended=0,
        calendar=cal.version,
        policy=rule.policy,
        started_at=started_at,
        due_at=0,
        stopped_at=0,
        pauses=(),
        told=0,
        breached_at=0,
        retracted=False,
        epoch=0,
    )
    return replace(clock, due_at=due_time(clock, cal))


def marks(clock: Clock, rule: Rule, cal: Calendar) -> list[Moment]:
    """The moments still to be told, ascending; none while a clock is stopped or paused.

    A warning that a pause brought on comes when the pause ends (`coming`)."""
    if clock.stopped_at or is_paused(clock):
        return []
    moments = _moments(clock, rule, cal)
    if Mark.WARNING in moments:
        moments[Mark.WARNING] = coming(clock, cal, rule.warning)
    return sorted(Moment(at, mark) for mark, at in moments.items() if not clock.told & mark)


def coming(clock: Clock, cal: Calendar, share: int) -> int:
    """When what is told at a share of a running clock (thousandths; a warning, a step of its ladder) is to be told.

    A pause that takes hours of a limit in days and does not move it leaves less time: what it brought on comes when it ends.
    """
    at = moment(clock, cal, share)
    return max(at, min(clock.pauses[-1].until, clock.due_at)) if clock.pauses else at


def tell(clock: Clock, mark: Mark) -> Clock:
    """The clock after a mark was told. At its due time it is breached, whenever that is noticed."""
    told = clock.told | mark
    return replace(clock, told=told, breached_at=clock.due_at, retracted=False) if mark is Mark.DUE else replace(clock, told=told)


def light(clock: Clock, rule: Rule, cal: Calendar, now: int) -> Light:
    """The light at a moment; a stopped or paused clock keeps the one it had. A window does not turn red."""
    now = point(clock, now)
    lit = (mark for mark, at in _moments(clock, rule, cal).items() if at <= now and not (rule.window and mark is Mark.DUE))
    passed = max(lit, default=None)
    return Light.GREEN if passed is None else LIGHTS[passed]


LIGHTS = {Mark.WARNING: Light.YELLOW, Mark.DUE: Light.RED, Mark.OVERDUE: Light.DEEP_RED}


def may_pause(clock: Clock, rule: Rule) -> bool:
    """Whether the clock runs and is of a kind that ever pauses."""
    return rule.pausable and not clock.stopped_at and not is_paused(clock)


def pause(clock: Clock, rule: Rule, reason: str, at: int, approver: str) -> Clock:
    """No mark is told until it is resumed. `reason`: of the suspension policy."""
    if not may_pause(clock, rule):
        raise ValueError(f"the clock {clock.purpose} is stopped, paused or never pauses")
    if at < max(clock.started_at, clock.pauses[-1].until if clock.pauses else 0):
        raise ValueError("a pause begins after the start and after the last pause")
    return replace(clock, pauses=(*clock.pauses, Pause(reason, at, 0, approver)), epoch=clock.epoch + 1)


def resume(clock: Clock, rule: Rule, cal: Calendar, at: int) -> Clock:
    """The deadline moves by the paused time, in the clock's own unit."""
    if clock.stopped_at or not is_paused(clock) or at < clock.pauses[-1].since:
        raise ValueError(f"the clock {clock.purpose} is not paused at that moment")
    return _moved(_unpaused(clock, at), rule, cal, at)


def may_extend(clock: Clock, rule: Rule, amount: int, now: int) -> bool:
    """Once, before it is due, by no more than the policy allows. A paused clock has not come to its due time."""
    return 0 < amount <= rule.extension and not clock.extended and not clock.stopped_at and point(clock, now) < clock.due_at


def extend(clock: Clock, rule: Rule, cal: Calendar, amount: int, now: int) -> Clock:
    """`amount`: in the clock's unit. A warning told early is told again when its new time comes."""
    if not may_extend(clock, rule, amount, now):
        raise ValueError(f"the clock {clock.purpose} may not be extended by {amount}")
    return _moved(replace(clock, extended=amount), rule, cal, now)


def recalculate(clock: Clock, rule: Rule, cal: Calendar, now: int) -> Clock:
    """The deadline by another version of the calendar. A clock that stopped, and a deadline that would be moved into the past, stay as
    they are. A breach that the new days undo is retracted; one that they only put off is dated anew.
    """
    if clock.stopped_at or cal.version == clock.calendar:
        return clock
    found = replace(clock, calendar=cal.version)
    due_at, here = due_time(found, cal), point(clock, now)
    if due_at < clock.due_at and due_at <= here:
        return clock
    if clock.told & Mark.DUE:
        undone = due_at > here
        found = replace(found, retracted=undone or clock.retracted, breached_at=clock.breached_at if undone else due_at)
    return _moved(found, rule, cal, now)


def retarget(clock: Clock, rule: Rule, cal: Calendar, budget: int, now: int) -> Clock:
    """Another limit from the same start, `budget` in the clock's unit, as who set it says. A breach that stands is dated anew; one that
    lies ahead again is retracted.
    """
    moved = _moved(replace(clock, budget=budget), rule, cal, now)
    if not clock.breached_at:
        return moved
    stands = bool(moved.told & Mark.DUE)
    return replace(moved, breached_at=moved.due_at if stands else clock.breached_at, retracted=not stands)


def stop(clock: Clock, rule: Rule, cal: Calendar, at: int, now: int) -> Clock:
    """The work was done at `at`, which is told `now`. A stopped clock stays as it is.

    An `at` in the future, or further back than the policy lets it lie, counts as now. One before the due time withdraws a breach; the
    breach stays in the struct beside it. One that was withdrawn stays so.
    """
    if clock.stopped_at:
        return clock
    at = max(clock.started_at, at if now - rule.backdating_ms <= at <= now else now)
    if is_paused(clock):
        clock = _moved(_unpaused(clock, max(at, clock.pauses[-1].since)), rule, cal, now)
    retracted = clock.retracted or (clock.breached_at > 0 and at < clock.due_at)
    return replace(clock, stopped_at=at, retracted=retracted, epoch=clock.epoch + 1)


def _moments(clock: Clock, rule: Rule, cal: Calendar) -> dict[Mark, int]:
    """When each light changes, in their order; the policy may do without the first and the last."""
    found = {Mark.DUE: clock.due_at}
    if rule.warning:
        found[Mark.WARNING] = moment(clock, cal, rule.warning)
    if rule.overdue:
        found[Mark.OVERDUE] = moment(clock, cal, rule.overdue)
    return found


def _unpaused(clock: Clock, at: int) -> Clock:
    last = clock.pauses[-1]
    return replace(clock, pauses=(*clock.pauses[:-1], Pause(last.reason, last.since, at, last.approver)))


def _moved(clock: Clock, rule: Rule, cal: Calendar, now: int) -> Clock:
    """With its deadline computed anew; marks that lie ahead again are to be told again."""
    clock = replace(clock, due_at=due_time(clock, cal), epoch=clock.epoch + 1)
    here = point(clock, now)
    told = sum(mark for mark, at in _moments(clock, rule, cal).items() if clock.told & mark and at <= here)
    return replace(clock, told=told)
