"""What one press, one acknowledgement and one closing leave behind, field by field: the case, the event, the outcome, the page."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import asdict

from schemas import ids
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.errors import InvalidPayload, Reason
from schemas.topics import ALARM_EVENTS, NOTIFICATIONS, OUTCOMES
from streams.domain.alarm.decide import REOPEN_MS, decide
from streams.domain.alarm.pages import fallback
from streams.domain.commands import mark_of
from streams.domain.core import Decision, Source
from tests.unit.test_alarm_life_cycle import CASE, NOW, SOURCE, command, event, in_state, pages, raised

TITLE = "紧急求助（待判明）· 汕头市龙湖区金霞街道"
NUMBER = ids.case_number(CASE, "440507", NOW - 9)
ASKED: dict[str, Any] = {
    "division": "440507001", "subject": "one-person", "actor_org": "lh-terminals", "actor_role": "producer", "actor_level": "town",
    "occurred_at": NOW - 9, "received_at": NOW - 5, "cause": "fact", "reason": "fell", "mended": "division", "cell": "ws0e6",
    "sealed_ref": "sealed-1", "home_cluster": "gd", "expected_seq": -1,
}  # fmt: skip


def first() -> Decision[Any]:
    return decide(None, command("press", **ASKED), SOURCE, NOW)


def outcome(decision: Decision[Any]) -> Outcome:
    return next(emit.record for emit in decision.emits if isinstance(emit.record, Outcome))


def test_a_first_press_leaves_a_whole_case() -> None:
    asked = command("press", **ASKED)
    state = first().state
    assert state
    assert asdict(state) == {
        "case_id": CASE, "case_number": NUMBER, "seq": 1, "now": NOW, "state": "raised", "division": "440507001", "county": "440507",
        "level": "town", "alarm_class": "unclear", "title": TITLE, "holder": "440507-desk", "holder_level": "county", "round": 1,
        "press_count": 1, "paged_at": NOW, "acknowledged_by": "", "acknowledged_at": 0, "closed_at": 0, "device": "LH-1",
        "subject": "one-person", "producer": "terminals", "opened_at": NOW - 9, "policy_version": "2026.1",
        "calendar_version": "cn-2020-2026", "home_cluster": "gd", "ownership_epoch": 0, "recent": mark_of(asked), "step": 0,
    }  # fmt: skip


def test_a_first_press_says_one_event_with_all_that_is_known_of_it() -> None:
    event_emit, outcome_emit, page_emit = first().emits
    assert [(emit.topic, emit.realm, emit.key, emit.position) for emit in (event_emit, outcome_emit, page_emit)] == [
        (ALARM_EVENTS, "live", CASE, 0), (OUTCOMES, "live", CASE, 1), (NOTIFICATIONS, "live", CASE, 4),
    ]  # fmt: skip
    assert asdict(event_emit.record) == {
        "event_id": ids.derived_id(*SOURCE, 0, NOW), "case_id": CASE, "case_seq": 1, "type": "alarm.raised", "kind": "alarm",
        "division": "440507001", "level": "town", "realm": "live", "actor_person": "", "actor_org": "lh-terminals",
        "actor_role": "producer", "actor_level": "town", "occurred_at": NOW - 9, "occurred_offset": 480, "received_at": NOW - 5,
        "policy_version": "2026.1", "calendar_version": "cn-2020-2026", "cause": "fact", "src_topic": "alarm.commands",
        "src_partition": 0, "src_offset": 1, "src_position": 0, "home_cluster": "gd", "ownership_epoch": 0,
        "command_id": command("press").command_id, "case_number": NUMBER, "round": 1, "alarm_class": "unclear", "class_from": "",
        "county": "440507", "county_from": "", "state": "raised", "state_from": "", "holder": "440507-desk", "holder_level": "county",
        "press_count": 1, "pages": 1, "acknowledged_by": "", "device": "LH-1", "subject": "one-person", "producer": "terminals",
        "title": TITLE, "reason": "fell", "rule": "", "mended": "division", "cell": "ws0e6", "sealed_ref": "sealed-1",
        "opened_at": NOW - 9,
    }  # fmt: skip
    assert asdict(outcome_emit.record) == {
        "command_id": command("press").command_id, "case_id": CASE, "realm": "live", "outcome": "applied", "reason": "", "rule": "",
        "case_seq": 1, "name": "press", "producer": "terminals", "division": "440507001", "received_at": NOW - 5,
        "src_topic": "alarm.commands", "src_partition": 0, "src_offset": 1, "src_position": 1,
    }  # fmt: skip
    assert asdict(page_emit.record) == {
        "notification_id": ids.derived_id(*SOURCE, 4, NOW), "case_id": CASE, "kind": "alarm", "realm": "live", "type": "page",
        "cause": "raised", "target_kind": "desk", "target": "440507-desk", "target_level": "county", "step": 0, "urgency": 1,
        "category": "unclear", "division": "440507001", "county": "440507", "case_number": NUMBER, "case_seq": 1, "round": 1,
        "press_count": 1, "title": TITLE, "reason": "", "command_id": command("press").command_id, "policy_version": "2026.1",
        "occurred_at": NOW - 9, "received_at": NOW - 5, "src_topic": "alarm.commands", "src_partition": 0, "src_offset": 1,
        "src_position": 4, "clock": "", "clock_holder": "", "clock_due_at": 0, "ack_by": 0,
    }  # fmt: skip


def test_a_press_that_came_without_a_time_of_arrival_was_received_when_it_was_appended() -> None:
    decision = decide(None, command("press", received_at=0), SOURCE, NOW)
    assert {emit.record.received_at for emit in decision.emits} == {NOW}  # type: ignore[attr-defined]


def test_a_repeat_press_says_where_it_was_before_and_leaves_the_rest_of_the_round_alone() -> None:
    decision = decide(raised(), command("press", "again", division="440513", device="", subject=""), SOURCE, NOW + 10)
    made, case = event(decision), decision.state
    assert case
    assert (made.county_from, made.county, made.state_from, made.class_from) == ("440507", "440513", "raised", "unclear")
    assert (case.device, case.subject, case.opened_at, case.seq, case.round) == ("LH-1", "", NOW, 2, 1)
    assert (case.holder, case.holder_level) == ("440513-desk", "county")


def test_who_was_pressed_for_stays_known_when_a_later_press_does_not_say() -> None:
    state = decide(None, command("press", "first", subject="one-person", device="LH-1"), SOURCE, NOW).state
    after = decide(state, command("press", "again", subject="", device=""), SOURCE, NOW + 10).state
    assert after
    assert (after.subject, after.device) == ("one-person", "LH-1")
    other = decide(after, command("press", "third", subject="another", device="LH-2"), SOURCE, NOW + 20).state
    assert other
    assert (other.subject, other.device) == ("another", "LH-2")


def test_a_first_press_may_name_neither_device_nor_person() -> None:
    state = decide(None, command("press", device="", subject=""), SOURCE, NOW).state
    assert state
    assert (state.device, state.subject) == ("", "")


def test_an_alarm_that_somebody_has_acknowledged_stays_with_them_when_it_moves() -> None:
    held = decide(raised(), command("ack", "1", actor_org="440507001-station", actor_level="town"), SOURCE, NOW).state
    moved = decide(held, command("press", "2", division="440513"), SOURCE, NOW + 10)
    assert moved.state
    assert (moved.state.county, moved.state.holder, moved.state.holder_level) == ("440513", "440507001-station", "town")
    assert [(page.cause, page.target) for page in pages(moved)] == [("moved", "440513-desk")]


def test_an_unmoved_alarm_stays_with_who_holds_it() -> None:
    state = raised(holder="440507-station", holder_level="town")
    after = decide(state, command("press", "again"), SOURCE, NOW + 10).state
    assert after
    assert (after.holder, after.holder_level) == ("440507-station", "town")


def test_a_new_round_forgets_who_answered_the_last_one() -> None:
    later = NOW + REOPEN_MS + 1
    for when, wanted in ((NOW + REOPEN_MS, "alarm.reopened"), (later, "alarm.raised")):
        decision = decide(in_state("closed"), command("press", "again"), SOURCE, when)
        assert event(decision).type == wanted
        assert decision.state
        assert (decision.state.acknowledged_by, decision.state.acknowledged_at, decision.state.closed_at) == ("", 0, 0)
        assert (decision.state.holder, decision.state.holder_level) == ("440507-desk", "county")


def test_a_refusal_and_a_repeat_are_answered_with_the_place_of_the_case_and_remembered() -> None:
    refused = decide(raised(), command("close", "early", division=""), SOURCE, NOW + 3)
    assert asdict(outcome(refused)) | {"command_id": ""} == {
        "command_id": "", "case_id": CASE, "realm": "live", "outcome": "refused", "reason": "illegal_transition", "rule": "",
        "case_seq": 1, "name": "close", "producer": "terminals", "division": "440507", "received_at": NOW + 3,
        "src_topic": "alarm.commands", "src_partition": 0, "src_offset": 1, "src_position": 1,
    }  # fmt: skip
    assert refused.state
    assert refused.state.now == NOW + 3
    again = decide(refused.state, command("close", "early", division=""), Source("alarm.commands", 0, 9), NOW + 8)
    said = outcome(again)
    assert (said.outcome, said.case_seq, said.division, said.received_at, said.rule) == ("repeated", 1, "440507", NOW + 8, "")


def test_a_command_on_no_alarm_is_answered_with_its_own_division() -> None:
    said = outcome(decide(None, command("ack", division="440106"), SOURCE, NOW))
    assert (said.case_seq, said.division) == (0, "440106")


def test_each_of_the_last_commands_is_remembered_not_only_the_newest() -> None:
    state = in_state("closed")
    for key in ("first", "ack", "close"):
        name = "press" if key == "first" else key
        assert outcome(decide(state, command(name, key), SOURCE, NOW)).outcome == "repeated", key


def test_an_acknowledgement_stands_under_no_rule_and_keeps_the_desk_that_names_none_of_its_own() -> None:
    decision = decide(raised(), command("ack", "1", actor_org="", actor_level=""), SOURCE, NOW + 4)
    assert decision.state
    assert (decision.state.holder, decision.state.holder_level) == ("440507-desk", "county")
    assert (decision.state.acknowledged_by, decision.state.acknowledged_at) == ("p-21", NOW + 4)
    assert (event(decision).rule, outcome(decision).rule, outcome(decision).case_seq) == ("", "", 2)
    closed = decide(decision.state, command("close", "2"), SOURCE, NOW + 6)
    assert closed.state
    assert (closed.state.closed_at, closed.state.paged_at) == (NOW + 6, NOW)


def test_the_rule_that_an_event_stands_under_is_in_the_outcome_too() -> None:
    decision = decide(raised(), command("press", "again"), SOURCE, NOW + 1)
    assert event(decision).rule == outcome(decision).rule == "not_paged_again"


def test_a_press_from_no_division_points_at_it() -> None:
    with pytest.raises(InvalidPayload) as caught:
        decide(None, command("press", division="999999"), SOURCE, NOW)
    assert (caught.value.pointer, caught.value.detail) == ("/division", "no division '999999'")


@pytest.mark.parametrize("known", [True, False])
def test_the_page_of_what_could_not_be_read_says_all_that_is_sure(known: bool) -> None:
    asked = command("press", **ASKED) if known else None
    emit = fallback(
        key="the key", realm="drill", places=("999999", "440507001", "440106") if known else ("", "x"), command=asked, source=SOURCE,
        received_at=NOW, reason=Reason.BAD_AVRO,
    )  # fmt: skip
    case = CASE if known else "the key"
    assert (emit.topic, emit.realm, emit.key, emit.position) == (NOTIFICATIONS, "drill", case, 4)
    assert isinstance(emit.record, Notification)
    assert asdict(emit.record) == {
        "notification_id": ids.derived_id(*SOURCE, 4, NOW), "case_id": case, "kind": "alarm", "realm": "drill", "type": "page",
        "cause": "fallback", "target_kind": "desk", "target": "440507-desk" if known else "440000-duty",
        "target_level": "county" if known else "province", "step": 0, "urgency": 1, "category": "unclear" if known else "",
        "division": "440507001" if known else "", "county": "440507" if known else "", "case_number": "", "case_seq": 0, "round": 0,
        "press_count": 0, "title": "求助记录无法处理 · 汕头市龙湖区金霞街道" if known else "求助记录无法处理", "reason": "bad_avro",
        "command_id": command("press").command_id if known else "", "policy_version": "", "occurred_at": NOW, "received_at": NOW,
        "src_topic": "alarm.commands", "src_partition": 0, "src_offset": 1, "src_position": 4, "clock": "", "clock_holder": "",
        "clock_due_at": 0, "ack_by": 0,
    }  # fmt: skip
