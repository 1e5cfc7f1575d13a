"""Gaps in rosters: each told once, whoever looks and however often the notifier is started."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro.duty_event.event import DutyEvent
from services.notifier.gaps import AHEAD_MS, FILLED, FOUND, NOBODY, Gaps
from streams.domain.people.roster import Stretch
from tests.pages import HOUR, START

DESK = "440305-desk"


def cut(gaps: Sequence[tuple[int, int]], now: int) -> list[Stretch]:
    """What a roster answers for the next day: hours since START, as seen from `now`."""
    seen = [(max(START + start * HOUR, now), min(START + end * HOUR, now + AHEAD_MS)) for start, end in gaps]
    return [Stretch(start, end) for start, end in seen if start < end]


def looked(known: Gaps, gaps: Sequence[tuple[int, int]], hour: float) -> list[tuple[str, int]]:
    now = START + int(hour * HOUR)
    return [(event.type, (event.starts_at - START) // HOUR) for event in known.look(DESK, cut(gaps, now), now)]


def test_a_gap_is_found_a_day_ahead_and_said_again_when_it_comes_true() -> None:
    known, gaps = Gaps(), [(30, 38)]
    assert looked(known, gaps, 0) == []
    assert looked(known, gaps, 7) == [("gap_found", 30)]
    assert looked(known, gaps, 20) == []
    assert looked(known, gaps, 30) == [("nobody_on_duty", 30)]
    assert known.open_at(START + 31 * HOUR) == 1
    assert looked(known, gaps, 35) == []
    assert looked(known, gaps, 38) == [], "it has ended: nobody filled it"
    assert known.open_at(START + 39 * HOUR) == 0


def test_a_gap_that_somebody_takes_is_filled_before_and_within() -> None:
    known = Gaps()
    looked(known, [(10, 12), (20, 22)], 0)
    assert looked(known, [(20, 22)], 1) == [("gap_filled", 10)]
    assert looked(known, [(20, 22)], 21) == [("nobody_on_duty", 20)]
    assert looked(known, [], 21.5) == [("gap_filled", 20)]


def test_a_gap_without_an_end_in_sight_is_one_gap_however_long_one_looks() -> None:
    known = Gaps()
    said = [event for hour in range(0, 100, 3) for event in looked(known, [(5, 90)], hour)]
    assert said == [("gap_found", 5), ("nobody_on_duty", 5)]


def test_two_gaps_are_two_also_after_one_whose_end_was_not_seen() -> None:
    known = Gaps()
    assert looked(known, [(20, 30)], 0) == [("gap_found", 20)]
    assert looked(known, [(20, 30), (50, 54)], 29) == [("nobody_on_duty", 20), ("gap_found", 50)]


def test_ids_are_those_of_desk_stretch_and_what_is_said() -> None:
    one, two = Gaps(), Gaps()
    first, again = (known.look(DESK, cut([(3, 5)], START), START) for known in (one, two))
    (other,) = Gaps().look("440303-desk", cut([(3, 5)], START), START)
    assert first == again
    assert len({first[0].duty_event_id, other.duty_event_id}) == 2


spans = st.lists(st.tuples(st.integers(0, 70), st.integers(1, 40)), max_size=4)


def disjoint(raw: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Gaps that neither touch nor overlap, in order."""
    found: list[tuple[int, int]] = []
    for start, length in sorted(raw):
        if not found or start > found[-1][1]:
            found.append((start, start + length))
    return found


@given(spans, st.integers(1, 120), st.sets(st.integers(0, 119), max_size=5))
@settings(deadline=None)
def test_looked_at_hour_by_hour_with_any_restarts_each_gap_is_said_once(raw: list[tuple[int, int]], hours: int, restarts: set[int]) -> None:
    gaps, known = disjoint(raw), Gaps()
    log: list[DutyEvent] = []
    for hour in range(hours):
        if hour in restarts:
            known = Gaps()
            for event in log:
                known.fold(event)
        now = START + hour * HOUR
        log += known.look(DESK, cut(gaps, now), now)
    said = {kind: [(event.starts_at - START) // HOUR for event in log if event.type == kind] for kind in (FOUND, NOBODY, FILLED)}
    assert said[FOUND] == [start for start, _ in gaps if start < hours - 1 + 24]
    assert said[NOBODY] == [start for start, _ in gaps if start < hours]
    assert len({event.duty_event_id for event in log}) == len(log)
    assert restarts or not said[FILLED]
    for start in said[FILLED]:  # its end was out of sight when it was found, and a restart forgot that it came into sight
        assert next(end for begin, end in gaps if begin == start) >= max(0, start - 23) + 24
