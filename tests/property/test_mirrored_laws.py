"""Laws of a mirrored case's clock and ledger: whatever its department tells, in whatever order, and however often the case is woken."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain.incident.settling import wake_up
from streams.domain.incident.table import ENDED
from tests.property.test_case_laws import DAY, HOUR, Step, lived, told
from tests.unit.test_incident_life_cycle import CASE, NOW, command

STATES = ("captured", "handling", "handling", "reported", "closed", "closed", "evaluated")


@st.composite
def facts(draw: st.DrawFn) -> list[Step]:
    """What a department tells, each fact with the time it is of, some told late, some out of order, with and without a target."""
    log: list[Step] = []
    now = NOW
    for number in range(draw(st.integers(1, 12))):
        now += draw(st.sampled_from([0, HOUR, DAY, 9 * DAY]))
        fact = command(
            "observe", f"f{number}", state=draw(st.sampled_from(STATES)), source_version=draw(st.sampled_from([0, number + 1, 3])),
            occurred_at=now - draw(st.sampled_from([0, 0, HOUR, 5 * DAY])), holder=draw(st.sampled_from(["", "a", "b"])),
            due_at=draw(st.sampled_from([0, 0, NOW - DAY, NOW + 2 * DAY, NOW + 20 * DAY])),
        )  # fmt: skip
        log.append((fact, now))
    return log


@settings(max_examples=100, deadline=None)
@given(facts(), st.lists(st.integers(0, 60 * DAY), max_size=10))
def test_the_clock_says_the_same_however_often_the_case_is_woken(log: list[Step], times: list[int]) -> None:
    end = log[-1][1]
    woken = sorted([*log, *((wake_up(CASE, 0, "live"), log[0][1] + at % (end - log[0][1] + 1)) for at in times)], key=lambda step: step[1])
    last = (wake_up(CASE, 0, "live"), end)
    seldom, often = lived([*log, last]), lived([*woken, last])
    assert often.state == seldom.state
    assert told(often) == told(seldom)


@settings(max_examples=150, deadline=None)
@given(facts())
def test_the_clock_is_late_exactly_when_the_case_ended_after_its_target_or_is_open_behind_it(log: list[Step]) -> None:
    life = lived([*log, (wake_up(CASE, 0, "live"), log[-1][1])])
    state = life.state
    assert len(state.clocks) == (state.source_due_at > 0)
    for clock in state.clocks:
        assert clock.due_at == state.source_due_at
        assert (clock.stopped_at > 0) == (state.state in ENDED)
        ended_late = clock.stopped_at > clock.due_at
        open_behind = not clock.stopped_at and clock.due_at <= state.now
        assert (clock.breached_at > 0 and not clock.retracted) == (ended_late or open_behind)
    assert not {event.tell for event in life.events} - {""}


@settings(max_examples=100, deadline=None)
@given(facts())
def test_the_ledger_has_no_overlap_ends_with_the_case_and_sums_to_what_its_events_say(log: list[Step]) -> None:
    life = lived(log)
    segments = life.state.segments
    assert all(one.since <= one.until <= following.since for one, following in itertools.pairwise(segments))
    assert [one for one in segments if not one.until] == (list(segments[-1:]) if life.state.state not in ENDED else [])
    assert sum(event.held_ms for event in life.events) == sum(one.until - one.since for one in segments if one.until)


@settings(max_examples=50, deadline=None)
@given(facts())
def test_every_fact_has_one_answer_and_the_events_clocks_are_the_cases(log: list[Step]) -> None:
    life = lived(log)
    assert [one.command_id for one in life.outcomes] == [fact.command_id for fact, _ in log]
    held = {(clock.purpose, clock.holder, clock.started_at): clock for event in life.events for clock in event.clocks}
    assert tuple(held.values()) == life.state.clocks
