"""Two derivations, written apart, agree: the auditor of timers finds nothing in what the core did by itself, whatever was asked of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.calendar import calendar
from schemas.clocks import Until
from services.audit.timers.days import days
from streams.domain.clocks.working import add_working, end_of_calendar_day, end_of_working_day, working_between
from streams.domain.incident.settling import wake_up
from tests.property.test_case_laws import DAY, Step, logs, wakes
from tests.property.test_case_laws import lived as lived_log
from tests.timer_logs import Life, audited, followed, lived
from tests.unit.test_incident_life_cycle import CASE, NOW

OURS, CORES = days("cn-2020-2026"), calendar("cn-2020-2026")
MOMENTS = st.integers(NOW - 6 * 365 * DAY, NOW + 3 * 365 * DAY)  # beyond the published days too


UNTOLD = "which pages were acknowledged"  # an event about several clocks says none, and the next moment may fit several


@settings(max_examples=100, deadline=None)
@given(logs(), st.lists(st.integers(0, 400 * DAY), max_size=5))
def test_of_any_log_every_deadline_and_firing_is_derived_as_it_was_told(log: list[Step], times: list[int]) -> None:
    until = log[-1][1] + 60 * DAY
    life = lived_log([*wakes(log, times), (wake_up(CASE, 0, "live"), until)])
    report = audited([Life(life.events, life.state, until)])
    assert not report.differences, report.document()
    assert set(report.not_looked_at) <= {UNTOLD}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1_000_000))
def test_of_any_desks_work_every_deadline_and_firing_is_derived_as_it_was_told(seed: int) -> None:
    report = audited([lived(seed)])
    assert not report.differences, report.document()
    assert set(report.not_looked_at) <= {UNTOLD}, "what the log does not tell is said, not guessed"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1_000_000))
def test_of_any_mirrored_case_too(seed: int) -> None:
    report = audited([followed(seed)])
    assert report.exact, report.document()


@settings(max_examples=300, deadline=None)
@given(MOMENTS, st.integers(0, 400 * 3_600_000), st.integers(1, 60), st.sampled_from(list(Until)))
def test_two_calendars_count_alike(start: int, length: int, count: int, until: Until) -> None:
    assert OURS.after(start, length) == add_working(CORES, start, length)
    assert OURS.worked(start, start + length) == working_between(CORES, start, start + length)
    assert OURS.limit(start, count, until, (), working=True) == end_of_working_day(CORES, start, count, until)
    assert OURS.limit(start, count, until, (), working=False) == end_of_calendar_day(CORES, start, count, until)
