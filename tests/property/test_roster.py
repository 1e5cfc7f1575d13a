"""Laws of duty rosters: told moment by moment, as shifts, as gaps and as the next change, it is one roster."""

from __future__ import annotations

from dataclasses import replace as moved
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.people.records import Days, Layer, Override, Roster, Swap, Turn, Window
from streams.domain.people.roster import Away, Stretch, gaps, next_change, on_duty, shifts

MINUTE = 60_000
SHANGHAI = timezone(timedelta(hours=8))
BEGIN = int(datetime(2026, 9, 29, 20, 0, tzinfo=SHANGHAI).timestamp() * 1000)  # before the holidays of October and their make-up days
MINUTES = 2 * 24 * 60
PEOPLE = ("li", "wang", "zhao", "chen")

people = st.sampled_from(PEOPLE)
minutes = st.integers(-600, MINUTES + 600)
turns = st.lists(st.lists(people, min_size=1, max_size=2).map(lambda who: Turn(tuple(who))), min_size=1, max_size=4).map(tuple)
windows = st.builds(
    Window, start=st.integers(0, 1439), until=st.integers(0, 1440), days=st.sampled_from([day.value for day in Days]),
    weekdays=st.lists(st.integers(1, 7), max_size=3, unique=True).map(tuple),
)  # fmt: skip


def at(minute: int) -> int:
    return BEGIN + minute * MINUTE


layers = st.builds(
    Layer, name=st.just("班"), turns=turns, length=st.sampled_from([1, 7, 60, 480, 1440]), starts_at=minutes.map(at),
    until=st.just(0) | minutes.map(at), windows=st.lists(windows, max_size=2).map(tuple),
)  # fmt: skip
spans = st.tuples(minutes, st.integers(1, 900)).map(lambda pair: (at(pair[0]), at(sum(pair))))
overrides = st.builds(lambda who, span: Override(who, span[0], span[1], "leave"), people, spans)
swaps = st.builds(lambda who, by, span: Swap(who, by, span[0], span[1], "trade"), people, people, spans)
rosters = st.builds(
    Roster, desk=st.just("440305-desk"), layers=st.lists(layers, max_size=3).map(tuple),
    overrides=st.lists(overrides, max_size=2).map(tuple), swaps=st.lists(swaps, max_size=2).map(tuple),
)  # fmt: skip
absences = st.dictionaries(people, st.lists(spans.map(lambda span: Stretch(*span)), max_size=2).map(tuple), max_size=2)


def by_hand(roster: Roster, moment: int, away: Away) -> tuple[str, ...]:
    """The rules once more, from their words, with the wall's clock."""
    here = [who for who in PEOPLE if not any(one.start <= moment < one.until for one in away.get(who, ()))]
    over = [one.person for one in roster.overrides if one.start <= moment < one.until and one.person in here]
    if over:
        return tuple(dict.fromkeys(over))
    for layer in roster.layers:
        local = datetime.fromtimestamp(moment / 1000, SHANGHAI)
        if moment < layer.starts_at or (layer.until and moment >= layer.until):
            continue
        if layer.windows and not any(_open(window, local) for window in layer.windows):
            continue
        turn = int((datetime.fromtimestamp(moment / 1000, UTC) - datetime.fromtimestamp(layer.starts_at / 1000, UTC)).total_seconds())
        crew = []
        for person in layer.turns[turn // 60 // layer.length % len(layer.turns)].persons:
            by = [one.by for one in roster.swaps if one.person == person and one.start <= moment < one.until and one.by in here]
            crew += [by[-1]] if by else [person] if person in here else []
        if crew:
            return tuple(dict.fromkeys(crew))
    return ()


def _open(window: Window, local: datetime) -> bool:
    for back in (0, 1):
        opened = local.replace(hour=0, minute=0) - timedelta(days=back)
        until = window.until + (0 if window.until > window.start else 1440)
        if opened + timedelta(minutes=window.start) <= local < opened + timedelta(minutes=until) and _day(window, opened):
            return True
    return False


FREE = {
    (10, day) for day in range(1, 8)
}  # 国务院办公厅关于2026年部分节假日安排的通知: 1 to 7 October; 20 September and 10 October are worked


def _day(window: Window, day: datetime) -> bool:
    free = (day.month, day.day) in FREE or (day.isoweekday() > 5 and (day.month, day.day) not in {(9, 20), (10, 10)})
    kind = window.days == "every" or free == (window.days == "free")
    return kind and (not window.weekdays or day.isoweekday() in window.weekdays)


@settings(max_examples=40, deadline=None)
@given(rosters, absences)
def test_a_walk_minute_by_minute_equals_the_shifts_and_the_rules_in_words(roster: Roster, away: Away) -> None:
    told: dict[int, tuple[str, ...]] = {}
    for shift in shifts(roster, at(0), at(MINUTES), away):
        told |= dict.fromkeys(range(shift.start, shift.until, MINUTE), shift.persons)
    walked = {moment: on_duty(roster, moment, away) for moment in range(at(0), at(MINUTES), MINUTE)}
    assert told == walked
    for moment in range(at(0), at(MINUTES), 13 * MINUTE):
        assert walked[moment] == by_hand(roster, moment, away)


@settings(max_examples=60, deadline=None)
@given(rosters, absences)
def test_gaps_are_exactly_the_moments_with_nobody(roster: Roster, away: Away) -> None:
    found = gaps(roster, at(0), at(MINUTES), away)
    empty = [moment for moment in range(at(0), at(MINUTES), MINUTE) if not on_duty(roster, moment, away)]
    assert [moment for gap in found for moment in range(gap.start, gap.until, MINUTE)] == empty
    assert all(first.until < second.start for first, second in pairwise(found))


@settings(max_examples=150, deadline=None)
@given(rosters, absences, overrides, swaps)
def test_neither_an_override_nor_a_swap_leaves_a_gap_that_was_not_there(roster: Roster, away: Away, over: Override, swap: Swap) -> None:
    before = gaps(roster, at(0), at(MINUTES), away)
    for more in (
        msgspec.structs.replace(roster, overrides=(*roster.overrides, over)),
        msgspec.structs.replace(roster, swaps=(*roster.swaps, swap)),
    ):
        for gap in gaps(more, at(0), at(MINUTES), away):
            assert any(one.start <= gap.start and gap.until <= one.until for one in before)


@settings(max_examples=150, deadline=None)
@given(rosters, absences, minutes)
def test_the_next_change_is_where_the_present_shift_ends(roster: Roster, away: Away, minute: int) -> None:
    found = next_change(roster, at(minute), away)
    first, *rest = shifts(roster, at(minute), at(minute + 3 * MINUTES), away)
    if rest:
        assert found == first.until
    else:
        assert found is None or found >= first.until


@settings(max_examples=60, deadline=None)
@given(rosters, absences, st.integers(1, MINUTES - 1))
def test_shifts_of_two_halves_are_those_of_the_whole(roster: Roster, away: Away, cut: int) -> None:
    first, second = shifts(roster, at(0), at(cut), away), shifts(roster, at(cut), at(MINUTES), away)
    if first[-1].persons == second[0].persons:
        second = (moved(second[0], start=first[-1].start), *second[1:])
        first = first[:-1]
    assert first + second == shifts(roster, at(0), at(MINUTES), away)
