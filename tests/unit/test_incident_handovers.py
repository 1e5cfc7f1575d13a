"""Work between levels: what goes to which desk, an offer that nobody answers, and what who handed a case on hears of its end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.avro.handover.event import Handover
from schemas.state.incident_case.event import Upstream
from schemas.topics import DESKS
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from tests.unit.test_incident_clocks import Desk, at, handled
from tests.unit.test_incident_life_cycle import captured, command

CITY = {"actor_level": "city", "actor_org": "440300-desk"}


def heard(handovers: list[Handover]) -> list[tuple[str, str, str]]:
    """Kind, from whom, to whom."""
    return [(one.kind, one.from_desk, one.to_desk) for one in handovers]


def test_an_offer_goes_to_the_desk_above_with_the_time_it_has_and_its_answer_comes_back() -> None:
    desk = handled()
    desk.do("offer_up", "24 09:00")
    (offer,) = desk.handovers
    assert (offer.kind, offer.from_desk, offer.from_level, offer.to_desk, offer.to_level) == (
        "offered", "440305-desk", "county", "440300-desk", "city",
    )  # fmt: skip
    assert (offer.due_at, offer.case_seq, offer.holder, offer.state) == (desk.clock("reply").due_at, desk.case.seq, "water", "handling")
    desk.do("return", "24 10:00", reason="not_ours", **CITY)
    assert heard(desk.handovers)[1:] == [("returned", "440300-desk", "440305-desk")]
    assert (desk.handovers[-1].reason, desk.handovers[-1].due_at) == ("not_ours", 0)
    assert desk.handovers[-1].to_org == "440305-desk", "whose desk offered it, and not who works on it"
    desk.do("offer_up", "24 11:00")
    desk.do("take", "24 12:00", **CITY)
    assert heard(desk.handovers)[2:] == [("offered", "440305-desk", "440300-desk"), ("taken", "440300-desk", "440305-desk")]


def test_who_handed_a_case_on_hears_how_it_ends_also_from_above() -> None:
    desk = handled()
    desk.do("offer_up", "24 09:00")
    desk.do("take", "24 10:00", **CITY)
    desk.do("assign_down", "24 11:00", level="town", org="street", actor_level="province", actor_org="440000-desk")
    assert heard(desk.handovers)[2:] == [("handed_down", "440000-desk", "street")], (
        "the place is a county: its town has no desk in the register"
    )
    desk.do("report", "24 12:00", actor_person="worker", actor_level="town")
    assert desk.do("verify_ok", "24 14:00", actor_person="checker") == "applied"
    ended = [one for one in desk.handovers if one.kind == "ended"]
    assert heard(ended) == [("ended", "street", "440305-desk"), ("ended", "street", "440000-desk")]
    assert {(one.state, one.to_level) for one in ended} == {("closed", "county"), ("closed", "province")}
    desk.do("evaluate", "24 15:00", score=5)
    assert len([one for one in desk.handovers if one.kind == "ended"]) == 2, "it had ended already"


def test_an_offer_that_is_open_when_the_case_is_handed_down_has_its_answer() -> None:
    desk = Desk("S01", "23 09:00", division="440305001")
    desk.do("accept", "23 09:30")
    desk.do("triage", "23 10:00", grade=4)
    desk.do("assign", "23 10:30", org="street", level="town")
    desk.do("offer_up", "23 11:00")
    desk.do("assign_down", "23 11:30", level="village", org="village", **CITY)
    assert heard(desk.handovers) == [
        ("offered", "440305001-desk", "440305-desk"),
        ("handed_down", "440300-desk", "village"),
        ("handed_down", "440300-desk", "440305001-desk"),
    ]


def test_supervision_is_ordered_answered_and_lifted_between_issuer_and_holder() -> None:
    desk = handled()
    desk.do("supervise", "24 09:00", rung="supervise", paper="督〔2026〕1号", **CITY)
    desk.do("reply_supervision", "25 09:00", paper="复〔2026〕1号")
    desk.do("lift_supervision", "25 10:00", **CITY)
    assert heard(desk.handovers) == [
        ("supervised", "440300-desk", "440305-desk"),
        ("replied", "440305-desk", "440300-desk"),
        ("lifted", "440300-desk", "440305-desk"),
    ]
    assert [(one.rung, one.paper) for one in desk.handovers] == [
        ("supervise", "督〔2026〕1号"), ("supervise", "复〔2026〕1号"), ("supervise", "督〔2026〕1号"),
    ]  # fmt: skip
    assert [one.due_at for one in desk.handovers] == [at("27 17:30"), 0, 0]


def test_an_issuer_that_is_no_desk_hears_by_its_own_name() -> None:
    desk = handled()
    desk.do("supervise", "24 09:00", rung="supervise", actor_level="city", actor_org="440300-water")
    desk.do("reply_supervision", "25 09:00")
    assert (desk.handovers[-1].kind, desk.handovers[-1].to_desk, desk.handovers[-1].to_org) == ("replied", "440300-desk", "440300-water")


def test_who_hands_a_case_down_and_has_no_desk_in_the_register_is_named() -> None:
    desk = Desk("A20600", "23 09:00", division="441900003")
    desk.do("assign_down", "23 09:10", actor_level="city", actor_org="441900-desk", level="town", org="441900003-desk")
    assert desk.do("assign_down", "23 09:20", actor_level="county", actor_org="park", level="village", org="works") == "applied"
    assert heard(desk.handovers) == [("handed_down", "441900-desk", "441900003-desk"), ("handed_down", "park", "works")]


def test_an_offer_that_no_policy_sets_a_time_for_is_handed_without_one() -> None:
    desk = handled()
    desk.state = msgspec.structs.replace(desk.case, upstream=Upstream("offered", "city", "440305-desk", at("24 08:00")))
    assert desk.do("return", "24 09:00", **CITY) == "applied"
    assert (desk.handovers[-1].kind, desk.handovers[-1].due_at) == ("returned", 0)


def test_each_body_of_a_joint_handling_gets_its_task_and_the_lead_hears_when_it_is_done() -> None:
    desk = handled()
    desk.do("convene", "24 09:00", orgs=("fire", "power"), actor_org="water")
    desk.do("convene", "24 09:10", orgs=("gas", "fire"), actor_org="water")
    desk.do("task_done", "24 10:00", org="", actor_org="fire")
    desk.do("task_waive", "24 10:00", org="power", actor_org="water", reason="no_need")
    assert [(one.kind, one.to_org, one.task) for one in desk.handovers] == [
        ("task", "fire", "open"), ("task", "power", "open"), ("task", "gas", "open"),
        ("task", "water", "done"), ("task", "power", "waived"),
    ]  # fmt: skip
    assert {one.to_desk for one in desk.handovers} == {"440305-desk"}


def test_a_lead_body_whose_place_has_no_desk_of_its_level_hands_tasks_by_its_own_name() -> None:
    case = captured(state="handling", division="441900003", county="441900", holder_level="county")
    said = decide(case, command("convene", orgs=("fire",), actor_org="park", actor_division="440000"), Source("t", 0, 1), at("24 09:00"))
    (task,) = [emit.record for emit in said.emits if isinstance(emit.record, Handover)]
    assert (task.from_desk, task.to_desk, task.to_org) == ("park", "fire", "fire")


def dongguan(grade: int) -> Desk:
    """A fire in 东莞东城街道, in the hands of a village since 9:10."""
    desk = Desk("A20600", "23 09:00", division="441900003")
    who = {"actor_level": "city", "actor_org": "441900-desk"}
    desk.do("accept", "23 09:05", **who)
    desk.do("triage", "23 09:06", grade=grade, **who)
    desk.do("assign", "23 09:08", org="village", level="village", **who)
    assert desk.do("sign", "23 09:10", actor_person="signer", actor_level="village", actor_org="village") == "applied"
    return desk


def test_story_a_dongguan_case_climbs_from_the_town_to_the_city_for_there_is_no_county() -> None:
    desk = dongguan(grade=3)
    desk.do("offer_up", "23 10:00", actor_level="village", actor_org="village")
    assert desk.clock("reply").due_at == at("23 10:15"), "a quarter of an hour for an emergency"
    desk.wake("23 10:20")
    assert [(e.type, e.rule, e.occurred_at, e.upstream_level, e.tell_level) for e in desk.events[-3:]] == [
        ("incident.clock_warning", "", at("23 10:11") + 15_000, "town", ""),
        ("incident.clock_due", "", at("23 10:15"), "town", ""),
        ("incident.offer_timed_out", "offer_timed_out", at("23 10:15"), "city", "city"),
    ]
    assert [event.case_seq for event in desk.events] == list(range(1, len(desk.events) + 1))
    replies = [(one.holder, one.due_at, one.stopped_at, one.breached_at) for one in desk.case.clocks if one.purpose == "reply"]
    assert replies == [
        ("441900003-desk", at("23 10:15"), at("23 10:15"), at("23 10:15")),
        ("441900-desk", at("23 10:30"), 0, 0),
    ]
    assert (desk.case.holder, desk.case.holder_level) == ("village", "village"), "先期处置: who holds it goes on till it is taken"
    assert desk.do("take", "23 10:21", actor_level="town", actor_org="441900003-desk") == "level_too_low"
    assert desk.do("take", "23 10:25", actor_level="city", actor_org="441900-desk") == "applied"
    desk.do("report", "23 11:00", actor_person="worker", actor_level="city", actor_org="441900-desk")
    desk.do("verify_ok", "23 11:30", actor_person="checker", actor_level="city", actor_org="441900-desk")
    story = [(one.kind, one.from_desk, one.to_desk, one.to_level, one.due_at, one.rule) for one in desk.handovers]
    assert story == [
        ("offered", "village", "441900003-desk", "town", at("23 10:15"), ""),
        ("timed_out", "441900003-desk", "village", "village", 0, "offer_timed_out"),
        ("timed_out", "village", "441900003-desk", "town", 0, "offer_timed_out"),
        ("offered", "village", "441900-desk", "city", at("23 10:30"), "offer_timed_out"),
        ("taken", "441900-desk", "village", "village", 0, ""),
        ("ended", "441900-desk", "village", "village", 0, ""),
    ]


def test_at_the_highest_level_that_the_policy_asks_an_offer_stays_and_that_desk_is_told() -> None:
    desk = dongguan(grade=3)
    desk.do("offer_up", "23 10:00", level="city", actor_level="village", actor_org="village")
    desk.wake("23 10:15")
    event = next(e for e in desk.events if e.type == "incident.offer_timed_out")
    assert (event.upstream_state, event.upstream_level, event.tell_level) == ("offered", "city", "")
    assert not desk.clock("reply").stopped_at
    assert [(page.cause, page.target) for page in desk.pages if page.clock == "reply"] == [("ran_late", "441900-desk")]
    assert heard(desk.handovers)[1:] == [("timed_out", "441900-desk", "village"), ("timed_out", "village", "441900-desk")]
    assert desk.do("take", "23 10:40", actor_level="city", actor_org="441900-desk") == "applied", "late, and still welcome"


def test_what_is_major_goes_on_to_the_province() -> None:
    desk = dongguan(grade=2)
    desk.do("offer_up", "23 10:00", level="city", actor_level="village", actor_org="village")
    desk.wake("23 10:15")
    assert desk.case.upstream
    assert (desk.case.upstream.level, desk.case.upstream.desk) == ("province", "village")
    assert desk.handovers[-1].to_desk == "440000-desk"


def test_an_offer_in_time_never_times_out() -> None:
    desk = dongguan(grade=3)
    desk.do("offer_up", "23 10:00", actor_level="village", actor_org="village")
    desk.do("return", "23 10:14", actor_level="town", actor_org="441900003-desk", reason="busy")
    desk.wake("23 12:00")
    assert "incident.offer_timed_out" not in {e.type for e in desk.events}


@pytest.mark.parametrize("level", sorted(DESKS))
def test_a_handover_goes_to_the_topic_of_the_level_that_must_look(level: str) -> None:
    state = captured(state="handling", division="440305001001", holder_level="grid", holder="grid-7")
    asked = command("offer_up", "o", level=level, actor_level="grid", actor_org="grid-7", actor_division="440000")
    emits = decide(state, asked, Source("incident.commands", 0, 7), state.now).emits
    found = [(emit.topic.name, emit.record.to_level, emit.key) for emit in emits if isinstance(emit.record, Handover)]
    assert found == [(f"desk.{level}", level, state.case_id)]


def test_a_level_without_a_desk_of_its_own_gets_no_handover() -> None:
    state = captured(state="handling", holder_level="county")
    more: dict[str, Any] = {"level": "grid", "org": "grid-7", "actor_level": "county"}
    decision = decide(state, command("assign_down", "d", **more), Source("incident.commands", 0, 7), state.now)
    assert not [emit for emit in decision.emits if isinstance(emit.record, Handover)]
    assert decision.state
    assert [one.desk for one in decision.state.senders] == ["440305-desk"]


def test_who_offers_twice_hears_of_the_end_once() -> None:
    desk = handled()
    for day in ("24", "25"):
        desk.do("offer_up", f"{day} 09:00")
        desk.do("return", f"{day} 10:00", reason="not_ours", **CITY)
    desk.do("withdraw", "26 09:00")
    assert heard([one for one in desk.handovers if one.kind == "ended"]) == [("ended", "440305-desk", "440305-desk")]


def test_who_hands_down_what_it_had_offered_itself_needs_no_answer() -> None:
    desk = handled()
    desk.do("offer_up", "24 09:00")
    desk.do("assign_down", "24 10:00", level="town", org="street", actor_level="county", actor_org="440305-desk")
    assert heard(desk.handovers)[1:] == [("handed_down", "440305-desk", "street")]
