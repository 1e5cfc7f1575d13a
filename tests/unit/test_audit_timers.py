"""The auditor of timers finds each fault once, by its own name, and nothing where nothing is wrong."""

from __future__ import annotations

import ast
import random
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import services.audit.timers
from schemas.avro.incident_event.event import IncidentEvent
from schemas.clocks import Mark
from schemas.state.incident_case.event import IncidentCase
from services.audit.timers.firing import MARK_OF, firing_of
from services.audit.timers.report import percentile
from services.audit.timers.table import Table, Waiting
from streams.domain.incident.table import ENDED
from streams.engine.value import QUARANTINED, pack
from tests import numbered as rows
from tests.timer_logs import HOUR, Life, audited, lived, numbered
from tests.timer_logs import replace as changed

CASES = 200
ENDING = ("incident.offer_timed_out", "incident.window_closed")  # firings that end their clock
ALLOWED = {*sys.stdlib_module_names, "schemas", "aiokafka"}
READER = "services.adapters.topic_log"  # which imports contracts only: tests/unit/test_audit_fold.py


@pytest.fixture(scope="module")
def lives() -> list[Life]:
    return [lived(seed) for seed in range(CASES)]


def counts(lives: list[Life], spoilt: Life) -> dict[str, int]:
    """What is found among all cases of which one was spoilt."""
    case_id = spoilt.state.case_id
    report = audited([spoilt if life.state.case_id == case_id else life for life in lives])
    assert report.exit_code == 1, report.document()
    assert all(spoilt.state.case_id in example for found in report.differences.values() for example in found.examples)
    return report.counts


def each(lives: list[Life], count: int, fits: Any = lambda _event: True) -> list[tuple[Life, int]]:
    """Some firings, by chance: a case and the place of the event."""
    found = [(life, at) for life in lives for at in life.firings if fits(life.events[at])]
    return random.Random(20261123).sample(found, count)


def spoilt(life: Life, events: list[IncidentEvent]) -> Life:
    return Life(numbered(events), life.state, life.until)


def is_mark(event: IncidentEvent) -> bool:
    return event.type in MARK_OF


def test_an_untouched_log_has_no_difference_and_its_figures_add_up(lives: list[Life]) -> None:
    report = audited(lives)
    assert report.exact, report.document()
    firings = sum(len(life.firings) for life in lives)
    assert firings > 5_000, "thousands of timers"
    assert (report.figures["cases"], report.figures["states"], report.figures["firings"]) == (CASES, CASES, firings)
    assert len(report.late) == firings
    assert set(Counter(event.type for life in lives for event in life.events)) >= {
        "incident.resumed", "incident.unshelved", "incident.extended", "incident.supervised", "incident.taken", "incident.reported",
    }  # fmt: skip


def test_one_firing_that_was_never_told_is_one_difference(lives: list[Life]) -> None:
    """A dropped entry of the wheel: the state says due, nothing is told."""
    for life, at in each(lives, 25):
        told = life.events[:at] + life.events[at + 1 :]
        assert counts([life], spoilt(life, told)) == {"missing": 1}, life.events[at]
    assert counts(lives, spoilt(life, told)) == {"missing": 1}


def test_one_due_time_shifted_by_a_second_in_an_event_is_one_difference(lives: list[Life]) -> None:
    for life, at in each(lives, 25, is_mark):
        event = life.events[at]
        clocks = tuple(changed(clock, due_at=clock.due_at + 1000) for clock in event.clocks)
        events = [*life.events[:at], changed(event, clock_due_at=event.clock_due_at + 1000, clocks=clocks), *life.events[at + 1 :]]
        assert counts([life], spoilt(life, events)) == {"wrong_due": 1}, event


def test_one_clock_that_runs_a_second_too_long_is_one_difference_however_much_it_tells() -> None:
    """The fault is in the state, so every later moment of the clock is off."""
    found = Counter[tuple[str, ...]]()
    for seed in range(70):
        chance = random.Random(seed)
        when = chance.randrange(6)

        def shift(number: int, state: IncidentCase, when: int = when, chance: random.Random = chance) -> IncidentCase:
            running = [clock for clock in state.clocks if not clock.stopped_at]
            if number != when or not running or state.state in ENDED:
                return state
            chosen = chance.choice(running)
            later = tuple(changed(clock, due_at=clock.due_at + 1000) if clock is chosen else clock for clock in state.clocks)
            return changed(state, clocks=later)

        faulty, sound = lived(seed, shift), lived(seed)
        report = audited([faulty])
        assert sum(report.counts.values()) <= 1, report.document()
        assert report.exact or faulty.events != sound.events
        found[tuple(report.counts)] += 1
    assert set(found) <= {(), ("wrong_due",), ("wrong_next",)}
    assert found["wrong_due",] > 25


def test_one_wake_up_applied_twice_is_one_difference(lives: list[Life]) -> None:
    for life, at in each(lives, 25, lambda event: event.clock and event.type not in ENDING):
        again = changed(life.events[at], src_offset=life.events[at].src_offset + 1)
        events = [*life.events[: at + 1], again, *life.events[at + 1 :]]
        assert counts([life], spoilt(life, events)) == {"doubled": 1}, again


def test_a_firing_an_hour_early_is_one_difference(lives: list[Life]) -> None:
    for life, at in each(lives, 25, is_mark):
        moment = life.events[at].occurred_at - HOUR
        events = [*life.events[:at], changed(life.events[at], occurred_at=moment, received_at=moment), *life.events[at + 1 :]]
        assert counts([life], spoilt(life, events)) == {"early": 1}, life.events[at]


def test_a_breach_told_of_a_paused_clock_is_one_difference(lives: list[Life]) -> None:
    tried = 0
    for life in lives:
        for at, event in enumerate(life.events):
            paused = [clock for clock in event.clocks if clock.pauses and not clock.pauses[-1].until and not clock.told & Mark.DUE]
            if event.type in ("incident.suspended", "incident.shelved") and paused:
                breach = changed(
                    event, type="incident.clock_due", cause="timer", clock=paused[0].purpose, clock_holder=paused[0].holder,
                    clock_due_at=paused[0].due_at, clocks=(),
                )  # fmt: skip
                events = [*life.events[: at + 1], breach, *life.events[at + 1 :]]
                assert counts([life], spoilt(life, events)) == {"while_paused": 1}, event
                tried += 1
    assert tried > 5


def test_a_breach_told_of_a_stopped_clock_is_one_difference(lives: list[Life]) -> None:
    tried = 0
    for life in lives[:100]:
        for at, event in enumerate(life.events):
            if event.type != "incident.accepted":
                continue
            (accept,) = [clock for clock in event.clocks if clock.purpose == "accept"]
            breach = changed(
                event, type="incident.clock_due", clock="accept", clock_holder=accept.holder, clock_due_at=accept.due_at, clocks=()
            )
            events = [*life.events[: at + 1], breach, *life.events[at + 1 :]]
            assert counts([life], spoilt(life, events)) == {"stopped": 1}
            tried += 1
    assert tried > 50


def test_a_firing_told_by_a_later_record_than_the_next_is_late(lives: list[Life]) -> None:
    tried = 0
    for life in lives:
        for at in life.firings:
            event, after = life.events[at], life.events[at + 1 : at + 2]
            if after and is_mark(event) and not firing_of(after[0]) and after[0].state not in ENDED and not after[0].clocks:
                events = [*life.events[:at], after[0], changed(event, received_at=after[0].received_at), *life.events[at + 2 :]]
                assert counts([life], spoilt(life, events)) == {"late": 1}
                tried += 1
    assert tried > 10


def test_what_a_full_record_leaves_to_the_next_wake_up_is_not_missing(lives: list[Life]) -> None:
    life, at = next(
        (life, at)
        for life in lives
        for at in life.firings
        if at + 2 < len(life.events) and not firing_of(life.events[at + 1]) and life.events[at + 1].type == "incident.responded"
    )
    event, after = life.events[at], life.events[at + 1]
    events = [*life.events[:at], changed(after, src_position=240), changed(event, received_at=after.received_at), *life.events[at + 2 :]]
    assert "missing" not in audited([spoilt(life, events)]).counts
    events[at] = after
    assert counts([life], spoilt(life, events)) == {"late": 1}


def test_a_step_that_tells_somebody_else_and_a_clock_nobody_started_are_found(lives: list[Life]) -> None:
    life, at = each(lives, 1, lambda event: event.type == "incident.ran_late")[0]
    events = [*life.events[:at], changed(life.events[at], tell="nobody"), *life.events[at + 1 :]]
    assert counts(lives, spoilt(life, events)) == {"wrong_saying": 1}
    capture, *rest = life.events
    assert "wrong_clock" in counts([life], spoilt(life, [changed(capture, clocks=capture.clocks[:1]), *rest]))
    assert counts([life], spoilt(life, [changed(capture, wakes_at=capture.wakes_at + 1), *rest])) == {"wrong_next": 1}


def test_time_to_answer_that_counts_from_the_steps_own_moment_and_a_paper_for_silence_are_found(lives: list[Life]) -> None:
    """What the core itself once did."""

    def is_late(event: IncidentEvent) -> bool:
        return event.type == "incident.ran_late" and event.ack_by > 0 and event.received_at > event.occurred_at + HOUR

    for life, at in each(lives, 10, is_late):
        event = life.events[at]
        early = changed(event, ack_by=event.ack_by - (event.received_at - event.occurred_at))
        assert counts([life], spoilt(life, [*life.events[:at], early, *life.events[at + 1 :]])) == {"wrong_saying": 1}
    climbed = [(life, at) for life in lives for at in life.firings if life.events[at].rule == "unacknowledged" and life.events[at].tell]
    life, at = next((life, at) for life, at in climbed if life.events[at].type == "incident.ran_late")
    paper = changed(life.events[at], type="incident.supervised", supervised_rung="remind")
    assert counts([life], spoilt(life, [*life.events[:at], paper, *life.events[at + 1 :]])) == {"wrong_saying": 1}


def test_what_is_due_and_not_told_is_pending_and_then_missing() -> None:
    life = next(life for life in map(lived, range(CASES)) if life.firings and life.firings[-1] == len(life.events) - 1)
    last = life.events[-1]
    cut = Life(life.events[:-1], life.state, last.occurred_at + 5_000)
    report = audited([cut], late_after=60_000)
    assert (report.counts.get("missing"), len(report.pending), max(report.pending)) == (None, 1, 5_000)
    assert audited([Life(cut.events, life.state, last.occurred_at + 60_001)], late_after=60_000).counts["missing"] == 1


def test_the_table_waits_for_what_the_log_says(lives: list[Life]) -> None:
    life = next(life for life in lives if life.state.next_due)
    later = Life(life.events, changed(life.state, next_due=life.state.next_due + 1), life.until)
    assert counts(lives, later) == {"table.next_due": 1}


def test_what_the_log_does_not_say_is_counted_by_its_reason_and_proves_nothing(lives: list[Life]) -> None:
    life = next(life for life in lives if len(life.firings) > 3)
    gone = Life([*life.events[:2], *life.events[3:]], life.state, life.until)
    strange = Life([life.events[0], changed(life.events[1], type="incident.foretold", rule="")], life.state, life.until)
    future = Life([changed(life.events[0], policy_version="2099.1")], life.state, life.until)
    for one, why in ((gone, "missing from the log"), (strange, "incident.foretold"), (future, "UnknownPolicy")):
        report = audited([one])
        assert (report.counts, report.exact, report.exit_code) == ({}, False, 2)
        assert [why in reason for reason in report.not_looked_at] == [True], report.document()


def test_of_the_table_the_highest_version_counts_and_the_header_says_when_the_wheel_rings(lives: list[Life]) -> None:
    state = next(life.state for life in lives if life.state.next_due)
    key = state.case_id.encode()

    def stored(version: int, flags: int = 0, due: int = state.next_due) -> Any:
        return SimpleNamespace(key=key, value=pack(version, flags, rows.encode(state), b"outbox", due))

    table = Table()
    table.take(0, [stored(7), stored(6, due=1), SimpleNamespace(key=b"\x00mark", value=b"1" * 20)])
    assert table.cases == {key: Waiting(7, state.seq, state.next_due, state.next_due, quarantined=False)}
    table.take(0, [stored(8, QUARANTINED, 0)])
    assert table.cases[key] == Waiting(8, state.seq, state.next_due, 0, quarantined=True)


def test_percentiles_are_values_that_occurred() -> None:
    assert [percentile(list(range(1, 101)), share) for share in (50, 99, 100)] == [50, 99, 100]
    assert (percentile([7], 50), percentile([], 99)) == (7, 0)


def test_the_auditor_of_timers_imports_contracts_and_clients_only() -> None:
    found = set()
    for path in Path(services.audit.timers.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = ("services.audit", READER)
    assert {name for name in found if name.split(".")[0] not in ALLOWED and not name.startswith(ours)} == set()
    assert {name for name in found if name.startswith("schemas.calendar")} <= {"schemas.calendar.FILES", "schemas.calendar.FOLDER"}
