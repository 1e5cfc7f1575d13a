"""The alarm's table against a hand-typed expectation: which command moves which state where, who is paged, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas import ids
from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.alarm_event.event import AlarmEvent
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.errors import InvalidPayload, Reason, Refusal
from schemas.state.alarm_case.event import AlarmCase
from streams.domain.alarm.decide import NOT_PAGED_AGAIN, QUIET_MS, REOPEN_MS, REOPENED, decide
from streams.domain.alarm.table import CLASS_NAMES, COMMANDS, PRESS, UNREACHED, URGENCY, AlarmClass, State
from streams.domain.core import Decision, Source
from tests.helpers import assert_can_be_stored

CASE = ids.alarm_id("live", "terminals", "device:LH-1")
SOURCE = Source("alarm.commands", 0, 1)
NOW = 1_795_300_000_000

# state -> {command: state after}; typed from research/mission.md 3.2, not derived from the table
EXPECTED: dict[str, dict[str, str]] = {
    "raised": {"press": "raised", "ack": "acknowledged", "nobody_notified": "raised"},
    "acknowledged": {"press": "acknowledged", "close": "closed"},
    "closed": {"press": "raised"},
}
ALL_COMMANDS = ("press", "ack", "close", "nobody_notified")


def command(name: str, key: str = "k", **changes: Any) -> AlarmCommand:
    values: dict[str, Any] = dict.fromkeys(AlarmCommand.__struct_fields__, "")
    values |= {
        "command_id": ids.command_id("live", "p", key), "case_id": CASE, "name": name, "realm": "live", "expected_seq": -1,
        "division": "440507" if name == "press" else "", "alarm_class": "unclear" if name == "press" else "", "device": "LH-1",
        "actor_person": "" if name == "press" else "p-21", "actor_org": "440507-desk", "actor_level": "county",
        "actor_division": "440507", "occurred_at": NOW, "occurred_offset": 480, "received_at": 0, "producer": "terminals",
        "reason": "helped", "src_partition": -1, "src_offset": -1, "src_position": -1, "round": 1, "step": 0,
    }  # fmt: skip
    return AlarmCommand(**values | changes)


def raised(**changes: Any) -> AlarmCase:
    state = decide(None, command("press", "first"), SOURCE, NOW).state
    assert state is not None
    return msgspec.structs.replace(state, **changes)


def in_state(state: str) -> AlarmCase:
    """An alarm brought there by commands."""
    found = raised()
    for name in {"raised": (), "acknowledged": ("ack",), "closed": ("ack", "close")}[state]:
        found = decide(found, command(name, name), SOURCE, NOW).state or found
    return found


def answer(decision: Decision[AlarmCase]) -> tuple[str, str]:
    outcome = next(emit.record for emit in decision.emits if isinstance(emit.record, Outcome))
    return outcome.outcome, outcome.reason


def event(decision: Decision[AlarmCase]) -> AlarmEvent:
    return next(emit.record for emit in decision.emits if isinstance(emit.record, AlarmEvent))


def pages(decision: Decision[AlarmCase]) -> list[Notification]:
    return [emit.record for emit in decision.emits if isinstance(emit.record, Notification)]


def test_the_expectation_covers_every_state_and_command() -> None:
    assert set(EXPECTED) == set(State)
    assert set(ALL_COMMANDS) == {PRESS, UNREACHED, *COMMANDS}
    assert set(URGENCY) == set(CLASS_NAMES) == set(AlarmClass)


@pytest.mark.parametrize("state", list(EXPECTED))
@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_every_cell_of_state_and_command_is_as_written_down(state: str, name: str) -> None:
    before = in_state(state)
    decision = decide(before, command(name), SOURCE, NOW + QUIET_MS)
    assert_can_be_stored(decision)
    wanted = EXPECTED[state].get(name)
    assert decision.state is not None
    if wanted is None:
        assert answer(decision) == ("refused", Refusal.ILLEGAL_TRANSITION)
        assert (decision.state.state, decision.state.seq, len(decision.emits)) == (state, before.seq, 1)
    else:
        assert answer(decision) == ("applied", "")
        assert (decision.state.state, decision.state.seq) == (wanted, before.seq + 1)
        assert event(decision).state == wanted
        assert len(pages(decision)) == event(decision).pages == (name in ("press", "nobody_notified"))


@pytest.mark.parametrize("alarm_class", list(AlarmClass))
def test_a_press_of_any_class_pages_the_countys_desk_at_once(alarm_class: str) -> None:
    decision = decide(None, command("press", alarm_class=alarm_class, division="440507001"), SOURCE, NOW)
    (page,) = pages(decision)
    assert (page.target, page.cause, page.category, page.urgency) == (
        "440507-desk",
        "raised",
        alarm_class,
        URGENCY[AlarmClass(alarm_class)],
    )
    assert (page.case_seq, page.press_count, page.received_at, page.occurred_at) == (1, 1, NOW, NOW)
    assert page.case_number == event(decision).case_number == ids.case_number(CASE, "440507", NOW)
    assert page.title == f"紧急求助（{CLASS_NAMES[AlarmClass(alarm_class)]}）· 汕头市龙湖区" + page.title.split("龙湖区")[1]


def unreached(state: AlarmCase, key: str, **changes: Any) -> Decision[AlarmCase]:
    return decide(state, command("nobody_notified", key, actor_person="", **{"round": 1, "step": state.step} | changes), SOURCE, NOW + 5)


@pytest.mark.parametrize(("alarm_class", "above"), [("life", True), ("unclear", True), ("medical", True), ("service", False)])
def test_a_page_that_reached_nobody_goes_to_the_head_and_then_to_the_level_above_at_once(alarm_class: str, above: bool) -> None:
    """But for household help: that no more than the county hears of."""
    state = raised(alarm_class=alarm_class)
    told = []
    for number in range(4):
        decision = unreached(state, f"n{number}", reason="nobody_on_duty")
        if answer(decision)[0] == "refused":
            break
        made = event(decision)
        assert (made.type, made.reason, made.rule) == ("alarm.no_one_notified", "nobody_on_duty", "")
        told += [(page.cause, page.target_kind, page.target, page.target_level, page.step) for page in pages(decision)]
        assert event(decision).pages == len(pages(decision))
        assert decision.state
        state = decision.state
    last = [("no_one_notified", "desk", "440500-desk", "city", 2)]
    assert told == [("no_one_notified", "head", "440507-desk", "county", 1)] + (last if above else [])
    assert (state.state, state.acknowledged_by) == ("raised", ""), "it waits for a person all the same"


def test_of_a_page_that_another_has_followed_nothing_is_heard_and_a_press_begins_at_the_desk_again() -> None:
    state = unreached(raised(), "n").state
    assert state
    assert state.step == 1
    assert answer(unreached(state, "n2", step=0)) == ("refused", Refusal.NOTHING_AWAITED)
    assert answer(unreached(state, "n3", round=2)) == ("refused", Refusal.NOTHING_AWAITED)
    pressed = decide(state, command("press", "again"), SOURCE, NOW + QUIET_MS + 5)
    assert [(page.target_kind, page.target, page.step) for page in pages(pressed)] == [("desk", "440507-desk", 0)]
    assert pressed.state
    assert pressed.state.step == 0


def test_what_no_list_of_ours_knows_is_unclear_and_as_urgent_as_life() -> None:
    (page,) = pages(decide(None, command("press", alarm_class="flood"), SOURCE, NOW))
    assert (page.category, page.urgency) == ("unclear", 1)


@pytest.mark.parametrize(("after", "paged"), [(0, False), (QUIET_MS - 1, False), (QUIET_MS, True), (3_600_000, True)])
@pytest.mark.parametrize("state", ["raised", "acknowledged"])
def test_a_repeat_press_is_counted_and_pages_nobody_twice_within_a_second(state: str, after: int, paged: bool) -> None:
    decision = decide(in_state(state), command("press", "again"), SOURCE, NOW + after)
    made = event(decision)
    assert (made.type, made.press_count, made.round, made.state) == ("alarm.pressed_again", 2, 1, state)
    assert [page.cause for page in pages(decision)] == (["pressed_again"] if paged else [])
    assert made.rule == ("" if paged else NOT_PAGED_AGAIN)


def test_the_second_of_quiet_begins_with_the_page_and_not_with_the_press_that_paged_nobody() -> None:
    state = decide(raised(), command("press", "1"), SOURCE, NOW + 900).state
    assert len(pages(decide(state, command("press", "2"), SOURCE, NOW + 1000))) == 1


def test_a_press_that_becomes_more_urgent_or_comes_from_elsewhere_pages_even_within_the_second() -> None:
    service = decide(None, command("press", "first", alarm_class="service"), SOURCE, NOW).state
    assert [page.cause for page in pages(decide(service, command("press", alarm_class="life"), SOURCE, NOW + 10))] == ["more_urgent"]
    (page,) = pages(decide(raised(), command("press", division="440513"), SOURCE, NOW + 10))
    assert (page.cause, page.target, page.county) == ("moved", "440513-desk", "440513")


@pytest.mark.parametrize(
    ("held", "pressed", "after"),
    [("medical", "unclear", "unclear"), ("unclear", "service", "unclear"), ("unclear", "life", "life"), ("life", "unclear", "life"),
     ("service", "medical", "medical"), ("safety", "medical", "safety")],
)  # fmt: skip
def test_a_repeat_never_makes_an_alarm_less_urgent(held: str, pressed: str, after: str) -> None:
    state = decide(None, command("press", "first", alarm_class=held), SOURCE, NOW).state
    assert event(decide(state, command("press", alarm_class=pressed), SOURCE, NOW)).alarm_class == after


def test_a_press_soon_after_the_end_opens_the_same_alarm_again_and_pages() -> None:
    decision = decide(in_state("closed"), command("press", "again"), SOURCE, NOW + REOPEN_MS)
    made = event(decision)
    assert (made.type, made.rule, made.round, made.press_count, made.acknowledged_by) == ("alarm.reopened", REOPENED, 1, 2, "")
    assert [page.cause for page in pages(decision)] == ["reopened"]


def test_a_press_long_after_the_end_begins_the_next_round_with_a_number_of_its_own_day() -> None:
    later = NOW + REOPEN_MS + 86_400_000
    decision = decide(in_state("closed"), command("press", "again", occurred_at=later), SOURCE, later)
    made = event(decision)
    assert (made.type, made.rule, made.round, made.press_count, made.opened_at) == ("alarm.raised", "", 2, 1, later)
    assert (made.case_number, made.class_from, made.state_from) == (ids.case_number(CASE, "440507", later), "", "closed")
    assert [page.cause for page in pages(decision)] == ["raised"]


@pytest.mark.parametrize(
    ("name", "state", "changes", "refusal"),
    [
        ("ack", "raised", {"actor_person": ""}, Refusal.PERSON_MISSING),
        ("close", "acknowledged", {"actor_person": ""}, Refusal.PERSON_MISSING),
        ("close", "acknowledged", {"reason": ""}, Refusal.REASON_MISSING),
        ("ack", "raised", {"actor_division": "440106"}, Refusal.OUT_OF_SCOPE),
        ("ack", "raised", {"expected_seq": 7}, Refusal.STALE_SEQ),
        ("resolve", "acknowledged", {}, Refusal.ILLEGAL_TRANSITION),
    ],
)
def test_a_guard_refuses_with_its_reason(name: str, state: str, changes: dict[str, Any], refusal: Refusal) -> None:
    decision = decide(in_state(state), command(name, **changes), SOURCE, NOW)
    assert answer(decision) == ("refused", refusal)
    assert pages(decision) == []


def test_a_command_on_no_alarm_is_refused_and_leaves_none() -> None:
    decision = decide(None, command("ack"), SOURCE, NOW)
    assert answer(decision) == ("refused", Refusal.NO_SUCH_CASE)
    assert decision.state is None


def test_who_acknowledged_and_who_closed_is_on_record() -> None:
    acknowledged = decide(
        raised(), command("ack", "1", actor_person="p-30", actor_org="440507001-station", actor_level="town"), SOURCE, NOW
    )
    made = event(acknowledged)
    assert (made.acknowledged_by, made.actor_person, made.holder, made.holder_level) == ("p-30", "p-30", "440507001-station", "town")
    closed = event(decide(acknowledged.state, command("close", "2"), SOURCE, NOW))
    assert (closed.actor_person, closed.acknowledged_by, closed.reason, closed.pages) == ("p-21", "p-30", "helped", 0)


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_a_repeated_command_changes_nothing_and_pages_nobody(name: str) -> None:
    before = {"press": None, "close": in_state("acknowledged")}.get(name, in_state("raised"))
    first = decide(before, command(name), SOURCE, NOW)
    again = decide(first.state, command(name), Source("alarm.commands", 0, 9), NOW + 5000)
    assert answer(again) == ("repeated", "")
    assert again.state == first.state
    assert len(again.emits) == 1


def test_a_press_from_no_division_is_unreadable_and_not_refused() -> None:
    with pytest.raises(InvalidPayload) as caught:
        decide(None, command("press", division="999999"), SOURCE, NOW)
    assert caught.value.reason is Reason.UNKNOWN_DIVISION


def test_time_in_an_alarm_never_runs_backwards() -> None:
    assert event(decide(raised(now=NOW + 10), command("ack"), SOURCE, NOW)).received_at == NOW + 10
