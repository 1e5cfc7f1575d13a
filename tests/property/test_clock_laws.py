"""Clocks under any pauses, extensions and completions: deadlines by a naive walk, and marks that do not depend on when one looks."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.calendar import date_of, number
from schemas.clocks import Light, Mark, Rule, Unit, Until
from schemas.state.clock import Clock, Pause
from streams.domain.clocks import clock as life
from streams.domain.clocks.clock import Moment, light, marks, may_extend, may_pause, tell
from streams.domain.clocks.deadline import Kind, explain
from streams.domain.clocks.running import due_time, is_paused, moment, point, share
from streams.domain.clocks.working import day_of, day_start, working_between
from tests.clocks import CAL, at, rule

MINUTE = 60_000
DAY = 1440 * MINUTE
BUDGETS = {
    Unit.MS: st.integers(1, 3000).map(lambda n: n * MINUTE),
    Unit.WORKING_MS: st.integers(1, 1500).map(lambda n: n * MINUTE),
    Unit.WORKING_DAY: st.integers(1, 12),
    Unit.CALENDAR_DAY: st.integers(1, 40),
}
STARTS = st.integers(0, 300 * 1440).map(lambda n: at("2026-01-01 00:00") + n * MINUTE) | st.just(at("2026-02-13 16:00"))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    unit = draw(st.sampled_from(list(Unit)))
    return rule(
        unit,
        draw(BUDGETS[unit]),
        until=draw(st.sampled_from(list(Until))),
        extension=draw(BUDGETS[unit]),
        backdating_ms=draw(st.sampled_from([0, 600 * MINUTE, 9 * DAY])),
        warning=draw(st.sampled_from([0, 500, 750, 1000])),
        overdue=draw(st.sampled_from([0, 1000, 1500])),
    )


@st.composite
def paused_clocks(draw: st.DrawFn) -> tuple[Rule, Clock]:
    """A clock with up to three pauses that have ended, anywhere after its start."""
    of, started = draw(rules()), draw(STARTS)
    edges = sorted(draw(st.lists(st.integers(0, 12 * 1440), min_size=0, max_size=6)))
    pauses = tuple(Pause("p", started + a * MINUTE, started + b * MINUTE, "") for a, b in zip(edges[::2], edges[1::2], strict=False))
    clock = replace(life.start(of, CAL, started, "desk", "town"), pauses=pauses)
    return of, replace(clock, due_at=due_time(clock, CAL))


def rests(clock: Clock, moment: int) -> bool:
    """Whether what ends at this moment ended within a pause."""
    return any(pause.since < moment <= pause.until for pause in clock.pauses)


def naive_due(clock: Clock) -> int:
    if clock.unit in (Unit.MS, Unit.WORKING_MS):
        now, left = clock.started_at, clock.budget
        while left:
            counts = clock.unit == Unit.MS or working_between(CAL, now, now + MINUTE)
            now += MINUTE
            left -= MINUTE if counts and not rests(clock, now) else 0
        return now
    day, left = day_of(clock.started_at), clock.budget

    def end(of: int) -> int:
        return day_start(of) + (1050 * MINUTE if clock.until == Until.BUSINESS else DAY)

    while left:
        day += 1
        left -= (clock.unit == Unit.CALENDAR_DAY or CAL.is_workday(date_of(day))) and not rests(clock, end(day))
    while not CAL.is_workday(date_of(day)) or rests(clock, end(day)):
        day += 1
    return end(day)


@settings(max_examples=300, deadline=None)
@given(paused_clocks())
def test_a_deadline_under_pauses_is_that_of_a_naive_walk(drawn: tuple[Rule, Clock]) -> None:
    _, clock = drawn
    assert clock.due_at == naive_due(clock)
    assert not rests(clock, clock.due_at)
    assert clock.due_at >= replace(clock, due_at=due_time(replace(clock, pauses=()), CAL)).due_at


@settings(max_examples=300, deadline=None)
@given(paused_clocks(), st.integers(0, 12 * 1440))
def test_a_pause_in_two_parts_is_the_same_pause(drawn: tuple[Rule, Clock], minute: int) -> None:
    _, clock = drawn
    cut = clock.started_at + minute * MINUTE
    parts = [
        part
        for p in clock.pauses
        for part in ((Pause("p", p.since, cut, ""), Pause("p", cut, p.until, "")) if p.since < cut < p.until else (p,))
    ]
    assert due_time(replace(clock, pauses=tuple(parts)), CAL) == clock.due_at


@settings(max_examples=300, deadline=None)
@given(paused_clocks())
def test_the_steps_of_a_deadline_add_up(drawn: tuple[Rule, Clock]) -> None:
    of, clock = drawn
    found = explain(clock, of, CAL)
    amounts: dict[Kind, int] = {}
    for step in found.steps:
        amounts[step.kind] = amounts.get(step.kind, 0) + step.amount
    counted = amounts[Kind.RULE] + amounts.get(Kind.PAUSE, 0)
    if clock.unit == Unit.MS:
        assert counted == found.at - clock.started_at
    elif clock.unit == Unit.WORKING_MS:
        assert counted == working_between(CAL, clock.started_at, found.at)
    else:
        rest = amounts.get(Kind.REST, 0) + amounts.get(Kind.HOLIDAY, 0) + amounts.get(Kind.ROLLED, 0)
        assert counted + rest == day_of(found.at - 1) - day_of(clock.started_at)
    assert found.provisional == (clock.unit != Unit.MS and day_of(found.at - 1) > number(CAL.published_until))
    assert found.provisional == (found.steps[-1].kind is Kind.PROVISIONAL)


@settings(max_examples=200, deadline=None)
@given(paused_clocks())
def test_a_share_is_reached_at_its_moment_and_not_before(drawn: tuple[Rule, Clock]) -> None:
    of, clock = drawn
    if not share(clock, CAL, clock.due_at - 1):
        return  # one mark for all: tested by hand
    for least in {of.warning, 1000, of.overdue} - {0}:
        reached = moment(clock, CAL, least)
        assert share(clock, CAL, reached) >= least
        assert share(clock, CAL, reached - 1) < least or reached == clock.due_at, "after the last close of business the share is full"


class Act(NamedTuple):
    after: int  # minutes since the one before
    name: str
    amount: int


ACTS = st.lists(
    st.builds(Act, st.integers(0, 4000), st.sampled_from(["pause", "resume", "extend", "stop"]), st.integers(0, 2000)), max_size=7
)


def settled(clock: Clock, of: Rule, now: int, said: list[Moment]) -> Clock:
    """Every mark up to now, in order, as the machine settles them before each record."""
    while (left := marks(clock, of, CAL)) and left[0].at <= now:
        said.append(left[0])
        clock = tell(clock, left[0].mark)
    return clock


def acted(clock: Clock, of: Rule, act: Act, now: int) -> Clock:
    match act.name:
        case "pause" if may_pause(clock, of):
            return life.pause(clock, of, "p", now, "lead")
        case "resume" if is_paused(clock) and not clock.stopped_at:
            return life.resume(clock, of, CAL, now)
        case "extend" if may_extend(clock, of, min(act.amount, of.extension), now):
            return life.extend(clock, of, CAL, min(act.amount, of.extension), now)
        case "stop" if act.amount % 4 == 0:
            return life.stop(clock, of, CAL, now - act.amount * MINUTE, now)
    return clock


def lived(of: Rule, started: int, acts: list[Act], ticks: list[int]) -> tuple[Clock, list[Moment]]:
    clock, now, said = life.start(of, CAL, started, "desk", "town"), started, []  # type: tuple[Clock, int, list[Moment]]
    waiting = sorted(started + tick * MINUTE for tick in ticks)
    for act in (*acts, Act(40 * 1440, "", 0)):
        now += act.after * MINUTE
        while waiting and waiting[0] <= now:
            clock = settled(clock, of, waiting.pop(0), said)
        clock = acted(settled(clock, of, now, said), of, act, now)
        check(clock, of, now)
    return clock, said


def check(clock: Clock, of: Rule, now: int) -> None:
    """What holds for every clock that is settled."""
    assert clock.due_at == due_time(clock, CAL)
    assert (clock.breached_at == 0) == (not clock.told & Mark.DUE)
    if not clock.stopped_at:
        resumed = clock.pauses[-1].until if clock.pauses else 0
        assert all(found.at > now or found.at == now == resumed for found in marks(clock, of, CAL)) or is_paused(clock)
        lights = {0: Light.GREEN, 1: Light.YELLOW, 2: Light.RED, 4: Light.DEEP_RED}
        told = clock.told | sum(found.mark for found in marks(clock, of, CAL) if found.at == now)  # a pause's end brings it on
        highest = max((mark for mark in Mark if told & mark), default=0)
        assert light(clock, of, CAL, now) is lights[int(highest)]
    if clock.breached_at:
        assert clock.retracted == (bool(clock.stopped_at) and clock.stopped_at < clock.due_at)
    if is_paused(clock) and not clock.stopped_at:
        assert point(clock, now + DAY) == clock.pauses[-1].since


@settings(max_examples=300, deadline=None)
@given(rules(), STARTS, ACTS, st.lists(st.integers(0, 60 * 1440), max_size=20))
@example(rule(Unit.CALENDAR_DAY, 8, warning=500), at("2026-01-01 00:00"), [Act(6284, "pause", 0), Act(181, "resume", 0)], [])
def test_when_marks_come_and_what_is_breached_does_not_depend_on_ticks(of: Rule, started: int, acts: list[Act], ticks: list[int]) -> None:
    assert lived(of, started, acts, ticks) == lived(of, started, acts, [])


@settings(max_examples=200, deadline=None)
@given(rules(), STARTS, ACTS)
def test_a_pause_never_brings_a_deadline_nearer_and_never_ends_in_a_breach(of: Rule, started: int, acts: list[Act]) -> None:
    clock, now = life.start(of, CAL, started, "desk", "town"), started
    for act in acts:
        now += act.after * MINUTE
        if not is_paused(clock):
            before = settled(clock, of, now, [])
            clock = life.pause(before, of, "p", now, "lead")
        else:
            after = life.resume(clock, of, CAL, now)
            assert after.due_at >= clock.due_at
            assert after.due_at > now or clock.told & Mark.DUE
            clock = after
