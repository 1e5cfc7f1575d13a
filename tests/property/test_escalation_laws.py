"""Laws of the lateness ladder and of hand-overs: over the same logs as the laws of the machine."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.state.clock import key_of
from schemas.state.incident_case.event import IncidentCase
from schemas.topics import DESKS
from streams.domain.clocks.running import is_paused
from streams.domain.incident.settling import wake_up
from streams.domain.incident.table import ENDED, State
from tests.property.test_case_laws import DAY, HOUR, TELLING, Step, lived, logs, wakes
from tests.timer_logs import lived as worked
from tests.unit.test_incident_life_cycle import CASE, command

LATER = (60_000, HOUR, DAY, 10 * DAY)
CLIMBED = {"incident.ran_late", "incident.supervised", "incident.unacknowledged"}


def live_clocks(state: IncidentCase) -> set[tuple[str, str, int]]:
    return {key_of(clock) for clock in state.clocks if not clock.stopped_at and not is_paused(clock)}


@settings(max_examples=80, deadline=None)
@given(logs())
def test_only_clocks_that_run_are_awaited_and_a_closed_case_awaits_nobody(log: list[Step]) -> None:
    for state in lived(log).states:
        if state.state in ENDED and state.state != State.MERGED:
            assert not state.awaiting
        assert {key_of(one) for one in state.awaiting} <= live_clocks(state)
        assert len({(*key_of(one), one.whom) for one in state.awaiting}) == len(state.awaiting)
        for key in {key_of(one) for one in state.awaiting}:
            assert len({(one.step, one.until, one.told) for one in state.awaiting if key_of(one) == key}) == 1, "a chain is of one step"


@settings(max_examples=80, deadline=None)
@given(logs())
def test_who_was_told_and_does_not_acknowledge_is_told_again_or_the_ladder_climbs(log: list[Step]) -> None:
    life = lived(log)
    state = life.state
    if state.state in ENDED:
        return
    for paged in state.awaiting:
        then = lived([(wake_up(CASE, paged.until, "live"), paged.until)], state)
        said = [e for e in then.events if (e.clock, e.clock_holder) == (paged.purpose, paged.holder) and e.occurred_at <= paged.until]
        again = [e for e in said if e.type == "incident.told_again" and e.step == paged.step]
        climbed = [e for e in said if e.type in CLIMBED and (e.step > paged.step or e.type == "incident.unacknowledged")]
        assert again or climbed or key_of(paged) not in live_clocks(then.state)
        pages = [p for p in then.pages if (p.clock, p.clock_holder, p.cause) == (paged.purpose, paged.holder, "told_again")]
        assert bool(again) == bool([p for p in pages if p.step == paged.step])


@settings(max_examples=80, deadline=None)
@given(logs(), st.sampled_from(LATER))
def test_what_was_acknowledged_pages_nobody_again_but_for_a_later_step_at_its_own_time(log: list[Step], later: int) -> None:
    state = lived(log).state
    if state.state in ENDED or not state.awaiting:
        return
    levels = sorted({one.level for one in state.awaiting})
    asked = [(command("acknowledge", f"ack {level}", actor_level=level, actor_division="440000"), state.now) for level in levels]
    answered = lived(asked, state)
    assert answered.outcomes[0].outcome == "applied"
    assert not answered.state.awaiting
    assert not answered.pages
    assert answered.state.clocks == state.clocks, "no clock stops"
    acked = {(one.purpose, one.holder): one.step for one in state.awaiting}
    first: dict[tuple[str, str], tuple[str, int]] = {}
    for page in lived([(wake_up(CASE, 0, "live"), state.now + later)], answered.state).pages:
        first.setdefault((page.clock, page.clock_holder), (page.cause, page.step))
    for clock, step in acked.items():
        if clock in first:
            cause, next_step = first[clock]
            assert cause == "ran_late"
            assert next_step > step


@settings(max_examples=60, deadline=None)
@given(logs())
def test_every_page_and_handover_comes_with_an_event_that_says_so(log: list[Step]) -> None:
    life = lived(log)
    events = {event.case_seq: event for event in life.events}
    for page in life.pages:
        event = events[page.case_seq]
        assert (event.clock, event.clock_holder, event.step, event.ack_by) == (page.clock, page.clock_holder, page.step, page.ack_by)
        assert page.target
        assert (page.target_kind == "head") <= ("head" in event.tell)
    by_event: dict[int, int] = {}
    for page in life.pages:
        by_event[page.case_seq] = by_event.get(page.case_seq, 0) + 1
    for event in life.events:
        if event.type in ("incident.ran_late", "incident.told_again", "incident.supervised") and event.step:
            assert by_event.get(event.case_seq, 0) == len([whom for whom in event.tell.split("+") if whom])
    for one in life.handovers:
        assert (one.occurred_at, one.holder, one.state) == (
            events[one.case_seq].occurred_at,
            events[one.case_seq].holder,
            events[one.case_seq].state,
        )
        assert one.to_desk


@settings(max_examples=80, deadline=None)
@given(logs())
def test_when_a_case_ends_each_desk_that_handed_it_on_hears_of_it_once(log: list[Step]) -> None:
    life = lived(log)
    handed = {"incident.offered_up", "incident.assigned_down"}
    senders: set[str] = set()
    before = ""
    for event in life.events:
        senders |= {one.from_desk for one in life.handovers if one.case_seq == event.case_seq and event.type in handed}
        ended = [one.to_desk for one in life.handovers if one.case_seq == event.case_seq and one.kind == "ended"]
        if event.state in ENDED and before not in ENDED:
            assert len(ended) == len(set(ended))
            assert senders <= set(ended)
        else:
            assert not ended
        before = event.state
    assert {one.to_level for one in life.handovers} <= set(DESKS)


@settings(max_examples=80, deadline=None)
@given(logs())
def test_an_offer_that_is_not_answered_goes_up_or_stays_and_is_told_and_the_holder_keeps_its_duty(log: list[Step]) -> None:
    life = lived(log)
    state = life.state
    if state.state in ENDED or state.upstream is None or state.upstream.state != "offered":
        return
    reply = [c for c in state.clocks if (c.purpose, c.started_at, c.level) == ("reply", state.upstream.since, state.upstream.level)][-1]
    if is_paused(reply) or reply.told & 2:
        return
    then = lived([(wake_up(CASE, reply.due_at, "live"), reply.due_at)], state)
    (event,) = [e for e in then.events if e.type == "incident.offer_timed_out" and e.clock_due_at == reply.due_at]
    assert (event.holder, event.occurred_at) == (state.holder, reply.due_at)
    assert then.state.upstream
    assert then.state.upstream.state == "offered"
    waiting = [c for c in then.state.clocks if c.purpose == "reply" and c.started_at == then.state.upstream.since and not c.stopped_at]
    assert waiting, "a clock runs for whoever is asked now"


@settings(max_examples=80, deadline=None)
@given(logs(), st.lists(st.integers(0, 400 * DAY), max_size=10))
def test_a_record_tells_a_step_once_and_no_silence_counts_before_somebody_was_told(log: list[Step], times: list[int]) -> None:
    asked: dict[tuple[str, str, int], set[int]] = {}  # till when who was told had to answer; two clocks may share purpose and holder
    records: set[tuple[Any, ...]] = set()
    for event in lived(wakes(log, times)).events:
        if event.type not in {*TELLING, "incident.supervised"} or event.cause == "user":
            continue
        key = (event.clock, event.clock_holder, event.step)
        if event.type in ("incident.told_again", "incident.unacknowledged") and event.rule == "unacknowledged":
            assert event.occurred_at in asked[key], "they had as long as they were given"
            assert event.occurred_at <= event.received_at
        if event.tell and event.ack_by:
            records_key = (event.src_offset, *key, event.clock_due_at)
            assert records_key not in records
            records.add(records_key)
            assert event.ack_by > event.received_at, "from when they were told"
            asked.setdefault(key, set()).add(event.ack_by)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1_000_000))
def test_a_window_for_supplements_is_never_breached_and_never_open_after_its_end(seed: int) -> None:
    life = worked(seed)
    for event in life.events:
        for clock in event.clocks:
            if clock.purpose == "supplement":
                assert not clock.breached_at
                assert clock.stopped_at <= clock.due_at
    for clock in life.state.clocks:
        assert clock.purpose != "supplement" or clock.stopped_at or clock.due_at > life.until
