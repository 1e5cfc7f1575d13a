"""Where a guard of the incident table begins to refuse: each at its edge, on both sides."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.state.incident_case.event import Awaiting, Joint, MergedCase, Segment, Shelved, Supervision, Suspended, Task, Upstream
from streams.domain.incident import chains, rules, timing
from streams.domain.incident.decide import decide
from tests.helpers import assert_can_be_stored
from tests.unit.test_incident_clocks import Desk, at, handled
from tests.unit.test_incident_life_cycle import CASE, LATE, NOW, OTHER, SOURCE, answer, captured, command

CITY = {"actor_level": "city", "actor_org": "440300-desk"}
COUNTY = {"actor_level": "county", "actor_org": "440305-desk"}
JOINT = {"joint": Joint("lead", (Task("fire", "open", NOW, 0), Task("water", "done", NOW, NOW)))}
OFFERED = {"upstream": Upstream("offered", "city", "440305-desk", NOW)}
LONGEST = rules.longest_suspension(captured(), "expert_appraisal", NOW)
SUSPEND: dict[str, Any] = {"reason": "expert_appraisal", "actor_level": "city"}
SHELVE: dict[str, Any] = {"actor_level": "city", "until": NOW + 1}


def paper(rung: str, **more: Any) -> Supervision:
    return msgspec.structs.replace(Supervision(rung, "440300-desk", "city", "", NOW, 0, 0, 0), **more)


@pytest.mark.parametrize(
    ("name", "state", "of_case", "of_command", "why"),
    [
        ("reopen", "closed", {"segments": ()}, {}, "applied"),
        ("offer_up", "handling", OFFERED, {}, "already_offered"),
        ("offer_up", "handling", {"upstream": Upstream("taken", "city", "440305-desk", NOW)}, {}, "applied"),
        ("offer_up", "handling", {}, {"level": "county"}, "no_level_above"),
        ("offer_up", "handling", {}, {"level": "village"}, "no_level_above"),
        ("offer_up", "handling", {"holder_level": "province"}, {}, "no_level_above"),
        ("take", "handling", {"upstream": Upstream("taken", "city", "440305-desk", NOW)}, CITY, "not_offered"),
        ("take", "handling", OFFERED, {"actor_level": "county"}, "level_too_low"),
        ("take", "handling", OFFERED, {"actor_level": "province"}, "applied"),
        ("assign_down", "handling", {}, {"actor_level": "town", "level": "village"}, "level_too_low"),
        ("assign_down", "handling", {}, {"actor_level": "county", "level": "county"}, "level_not_below"),
        ("assign_down", "handling", {}, {"actor_level": "county", "level": ""}, "applied"),
        ("convene", "handling", {}, {"orgs": ("fire", "")}, "org_missing"),
        ("convene", "handling", {}, {"orgs": ()}, "org_missing"),
        ("convene", "handling", {"suspended": Suspended("x", NOW, NOW + 1, "boss")}, {"orgs": ("fire",)}, "suspended"),
        ("convene", "handling", {"shelved": Shelved(NOW, NOW + 1, "boss")}, {"orgs": ("fire",)}, "shelved"),
        ("task_waive", "handling", JOINT, {"org": "fire", "actor_org": "fire"}, "not_convener"),
        ("task_waive", "handling", {}, {"org": "fire", "actor_org": ""}, "not_convener"),
        ("task_waive", "handling", JOINT, {"org": "water", "actor_org": "lead"}, "task_unknown"),
        ("task_done", "handling", JOINT, {"org": "fire", "actor_org": "lead"}, "applied"),
        ("task_done", "handling", JOINT, {"org": "water", "actor_org": "water"}, "task_unknown"),
        ("report", "handling", JOINT, {}, "tasks_open"),
        ("suspend", "handling", {}, SUSPEND | {"until": NOW}, "time_past"),
        ("suspend", "handling", {}, SUSPEND | {"until": NOW + 1}, "applied"),
        ("suspend", "handling", {}, SUSPEND | {"until": LONGEST}, "applied"),
        ("suspend", "handling", {}, SUSPEND | {"until": LONGEST + 1}, "too_long"),
        ("suspend", "handling", {}, SUSPEND | {"reason": ""}, "reason_missing"),
        ("suspend", "handling", {}, SUSPEND | {"actor_person": ""}, "person_missing"),
        ("resume", "handling", {}, {}, "not_suspended"),
        ("unshelve", "handling", {}, {}, "not_shelved"),
        ("shelve", "handling", {}, SHELVE | {"until": 0}, "review_missing"),
        ("shelve", "handling", {}, SHELVE | {"until": NOW}, "time_past"),
        ("shelve", "handling", {}, SHELVE, "applied"),
        ("shelve", "handling", {}, SHELVE | {"reason": ""}, "reason_missing"),
        ("shelve", "handling", {"holder_level": "province"}, SHELVE, "level_too_low"),
        ("shelve", "handling", {"holder_level": "province"}, SHELVE | {"actor_level": "province"}, "applied"),
        ("supervise", "handling", {"holder_level": "county"}, CITY | {"rung": "listed"}, "applied"),
        ("supervise", "handling", {"holder_level": "town"}, COUNTY | {"rung": "listed"}, "level_too_low"),
        ("supervise", "handling", {"holder_level": "town"}, COUNTY | {"rung": "summon"}, "applied"),
        ("supervise", "handling", {}, CITY | {"rung": "remind", "actor_org": ""}, "org_missing"),
        ("supervise", "handling", {"supervised": (paper("supervise"),)}, CITY | {"rung": "supervise"}, "rung_not_above"),
        ("supervise", "handling", {"supervised": (paper("supervise"),)}, CITY | {"rung": "circulate"}, "applied"),
        ("supervise", "handling", {"supervised": (paper("supervise"), paper("circulate"))}, CITY | {"rung": "supervise"}, "rung_not_above"),
        ("supervise", "handling", {"supervised": (paper("circulate", lifted_at=NOW),)}, CITY | {"rung": "remind"}, "applied"),
        ("reply_supervision", "handling", {"supervised": (paper("remind"),)}, {"rung": "supervise"}, "no_reply_owed"),
        ("lift_supervision", "handling", {}, CITY, "not_supervised"),
        ("lift_supervision", "handling", {"supervised": (paper("remind", lifted_at=NOW),)}, CITY, "not_supervised"),
        ("lift_supervision", "handling", {"supervised": (paper("remind"),)}, CITY | {"rung": "listed"}, "not_issuer"),
        ("respond", "handling", {"response_level": 2}, {"response_level": 2, "actor_level": "county"}, "response_unchanged"),
        ("respond", "handling", {"response_level": 2}, {"response_level": -1, "actor_level": "county"}, "response_unchanged"),
        ("respond", "handling", {"response_level": 2}, {"response_level": 0, "actor_level": "county"}, "applied"),
        ("respond", "handling", {"response_level": 2}, {"response_level": 4, "actor_level": "county"}, "applied"),
        ("respond", "handling", {"response_level": 2}, {"response_level": 5, "actor_level": "county"}, "response_unchanged"),
        ("respond", "handling", {"response_level": 2}, {"response_level": 3, "actor_level": "town"}, "level_too_low"),
        ("merge_into", "handling", {}, {"target": ""}, "target_missing"),
        ("merge_into", "handling", {}, {"target": CASE}, "target_itself"),
        ("release", "handling", {"merged": (MergedCase("c3", NOW, ()),)}, {"target": OTHER}, "not_merged"),
        ("amend", "captured", {}, {"division": "440304", "actor_division": "440305"}, "out_of_scope"),
        ("amend", "captured", {}, {"division": "999999", "actor_division": "440000"}, "out_of_scope"),
        ("amend", "captured", {}, {"division": "440305", "incident_type": "X"}, "nothing_to_amend"),
        ("amend", "captured", {}, {"division": "440305", "incident_type": "M01001"}, "nothing_to_amend"),
        ("amend", "captured", {}, {"division": "440305", "incident_type": "S01"}, "applied"),
        ("amend", "captured", {}, {"division": "", "incident_type": "", "cell": "ws0e6"}, "applied"),
        ("amend", "captured", {}, {"division": "", "incident_type": "", "sealed_ref": "s"}, "applied"),
        ("verify_ok", "reported", {}, {"actor_person": ""}, "person_missing"),
        ("verify_ok", "reported", {"signer_person": "verifier"}, {}, "same_person"),
        ("reopen", "closed", {"signer_person": "verifier"}, {}, "same_person"),
        ("reopen", "closed", {"signer_person": "verifier"}, {"person": "neighbour"}, "applied"),
        ("object", "assigned", {"objections": 1}, {}, "applied"),
        ("object", "assigned", {"objections": 2}, {}, "objections_exhausted"),
        ("assign", "triaged", {"objections": 1}, {"actor_level": "county"}, "applied"),
        ("assign", "triaged", {"objections": 2, "holder_level": "town"}, {"actor_level": "county"}, "level_too_low"),
        ("assign", "triaged", {"objections": 2, "holder_level": "town"}, {"actor_level": "city"}, "applied"),
        ("assign", "triaged", {"objections": 2, "holder_level": "province"}, {"actor_level": "province"}, "applied"),
        ("assign", "triaged", {"objections": 2}, {"actor_level": "province"}, "applied"),
        ("accept", "captured", {}, {"expected_seq": 1}, "applied"),
    ],
)  # fmt: skip
def test_a_guard_at_its_edge(name: str, state: str, of_case: dict[str, Any], of_command: dict[str, Any], why: str) -> None:
    decision = decide(captured(state=state, **of_case), command(name, **of_command), SOURCE, NOW)
    outcome, reason = answer(decision)
    assert (reason or outcome) == why
    assert_can_be_stored(decision)


def test_a_handling_body_is_asked_back_after_its_objection_at_the_desk_of_its_level() -> None:
    for level, holder in (("city", "440300-desk"), ("county", "440305-desk"), ("unit", "440305-desk")):
        after = decide(captured(state="assigned", holder="water", holder_level=level), command("object"), SOURCE, NOW).state
        assert after
        assert (after.holder, after.objections) == (holder, 1)


def test_each_failed_check_begins_a_round() -> None:
    case = captured(state="reported", handler_person="handler")
    for number in (2, 3):
        case = decide(case, command("verify_fail", str(number)), SOURCE, NOW).state or case
        assert (case.state, case.round, case.reopens) == ("handling", number, 0)
        case = msgspec.structs.replace(case, state="reported")


def test_an_offer_names_who_made_it_and_a_taker_without_a_name_is_the_desk_of_its_level() -> None:
    asked = decide(captured(state="handling", holder="water"), command("offer_up", "1", actor_org="", occurred_at=NOW), SOURCE, NOW).state
    assert asked
    assert asked.upstream == Upstream("offered", "city", "water", NOW)
    named = decide(captured(state="handling", holder="water"), command("offer_up", "1", actor_org="440305-desk"), SOURCE, NOW).state
    assert named
    assert named.upstream == Upstream("offered", "city", "440305-desk", NOW)
    taken = decide(named, command("take", "2", actor_level="city", actor_org=""), SOURCE, NOW + 5).state
    assert taken
    assert taken.upstream == Upstream("taken", "city", "440300-desk", NOW + 5)
    assert (taken.holder, taken.holder_level, taken.reassignments) == ("440300-desk", "city", 1)
    down = decide(taken, command("assign_down", "3", actor_level="city", org="440300-desk", level="county"), SOURCE, NOW + 9).state
    assert down
    assert (down.holder, down.holder_level, down.reassignments, down.upstream) == ("440300-desk", "county", 1, None)


@pytest.mark.parametrize(
    ("place", "holder_level", "given"),
    [("440305001", "county", "town"), ("440305001", "province", "city"), ("441900003", "city", "town"), ("440305", "county", "town"),
     ("440305", "unit", "grid")],
)  # fmt: skip
def test_a_case_is_handed_to_the_next_level_below_that_its_place_has(place: str, holder_level: str, given: str) -> None:
    case = captured(state="handling", division=place, holder_level=holder_level)
    asked = command("assign_down", actor_level="province", actor_division="440000", org="body", level="")
    after = decide(case, asked, SOURCE, NOW).state
    assert after
    assert after.holder_level == given


def test_who_hands_a_case_down_and_has_no_desk_in_the_register_hears_of_its_end_by_name() -> None:
    case = captured(state="handling", division="441900003", county="441900", holder_level="town")
    asked = command("assign_down", actor_level="county", actor_org="park-office", actor_division="440000", org="body", level="village")
    after = decide(case, asked, SOURCE, NOW).state
    assert after
    assert [(one.desk, one.level) for one in after.senders] == [("park-office", "county")]


@pytest.mark.parametrize(("actor", "lead"), [("power", "power"), ("", "water")])
def test_who_convenes_leads_or_else_who_holds_the_case(actor: str, lead: str) -> None:
    case = captured(state="handling", holder="water")
    after = decide(case, command("convene", orgs=("fire", "gas", "fire"), actor_org=actor), SOURCE, NOW).state
    assert after
    assert after.joint == Joint(lead, (Task("fire", "open", NOW, 0), Task("gas", "open", NOW, 0)))


@pytest.mark.parametrize(("name", "state"), [("task_done", "done"), ("task_waive", "waived")])
def test_a_task_ends_with_how_and_when_and_the_others_stay(name: str, state: str) -> None:
    tasks = (Task("fire", "open", NOW, 0), Task("fire", "done", NOW - 9, NOW - 5), Task("water", "open", NOW, 0))
    case = captured(state="handling", joint=Joint("lead", tasks))
    after = decide(case, command(name, org="fire", actor_org="lead"), SOURCE, NOW + 7).state
    assert after
    assert after.joint == Joint("lead", (Task("fire", state, NOW, NOW + 7), *tasks[1:]))


def test_a_suspension_without_an_end_lasts_as_long_as_its_ground_allows() -> None:
    after = decide(captured(state="handling"), command("suspend", **SUSPEND), SOURCE, NOW).state
    assert after
    assert after.suspended == Suspended("expert_appraisal", NOW, LONGEST, "verifier")
    shelved = decide(captured(state="handling"), command("shelve", **SHELVE), SOURCE, NOW).state
    assert shelved
    assert shelved.shelved == Shelved(NOW, NOW + 1, "verifier")


def test_of_several_papers_only_the_one_that_is_meant_is_answered_and_lifted() -> None:
    desk = Desk("S01", "23 09:00")
    for hour, rung in ((10, "remind"), (11, "supervise"), (14, "listed")):
        assert desk.do("supervise", f"23 {hour}:00", rung=rung, paper=f"no {hour}", **CITY) == "applied"
    assert [(e.supervised_rung, e.reply_due_at) for e in desk.events[-1:]] == [("listed", at("24 17:30"))], "the first reply is due first"
    assert desk.do("reply_supervision", "23 15:00") == "applied"
    assert [one.replied_at for one in desk.case.supervised] == [at("23 15:00"), 0, 0], "the oldest that waits"
    assert desk.do("reply_supervision", "23 15:10", rung="listed") == "applied"
    assert [one.replied_at for one in desk.case.supervised] == [at("23 15:00"), 0, at("23 15:10")]
    assert desk.do("lift_supervision", "23 16:00", **CITY) == "applied"
    assert [one.lifted_at for one in desk.case.supervised] == [0, 0, at("23 16:00")], "the newest"
    assert desk.events[-1].supervised_rung == "supervise"
    assert desk.do("lift_supervision", "23 16:10", rung="remind", **CITY) == "applied"
    assert [one.lifted_at for one in desk.case.supervised] == [at("23 16:10"), 0, at("23 16:00")]
    assert [(one.issuer, one.issuer_level, one.paper, one.issued_at) for one in desk.case.supervised] == [
        ("440300-desk", "city", "no 10", at("23 10:00")), ("440300-desk", "city", "no 11", at("23 11:00")),
        ("440300-desk", "city", "no 14", at("23 14:00")),
    ]  # fmt: skip


def test_an_extension_is_told_with_the_clock_it_moved_whatever_case_it_names() -> None:
    desk = handled()
    assert desk.do("extend", "24 09:00", purpose="handle", amount=1, target=OTHER, **CITY) == "applied"
    handle = desk.clock("handle")
    assert (desk.events[-1].clock, desk.events[-1].clock_due_at, desk.events[-1].clocks) == ("handle", handle.due_at, (handle,))
    assert desk.events[-1].target == ""


def test_whom_nobody_reached_of_one_clock_leaves_the_others_awaited() -> None:
    sign = msgspec.structs.replace(LATE, purpose="sign", holder="water", stopped_at=0)
    accept = msgspec.structs.replace(LATE, stopped_at=0)
    waits = tuple(Awaiting(clock.purpose, clock.holder, clock.started_at, "county", NOW + 60_000, 1, 1, "desk") for clock in (sign, accept))
    case = captured(clocks=(accept, sign), awaiting=waits, climbs=())
    told = command("nobody_notified", purpose="accept", org=accept.holder, whom="desk", level="county")
    after = chains.nobody_notified(case, told, NOW)["awaiting"]
    assert after == (waits[0], msgspec.structs.replace(waits[1], whom="", until=NOW))


@pytest.mark.parametrize(
    ("changes", "why"),
    [({}, None), ({"due_at": NOW}, "already_due"), ({"due_at": NOW + 1}, None), ({"told": 3}, "already_due"), ({"told": 1}, None),
     ({"extended": 1}, "already_extended"), ({"stopped_at": NOW}, "clock_unknown")],
)  # fmt: skip
def test_a_clock_that_has_come_to_its_due_time_is_not_extended(changes: dict[str, Any], why: str | None) -> None:
    handle = handled().clock("handle")
    clock = msgspec.structs.replace(handle, **{"started_at": NOW - 86_400_000, "due_at": NOW + 9} | changes)
    asked = command("extend", purpose="handle", amount=1)
    assert timing.why_not_extend(captured(incident_type="S01", clocks=(clock,)), asked, NOW) == why


def test_from_a_desk_to_the_first_body_is_no_reassignment_whichever_of_the_desks_it_lay_at() -> None:
    lay = {"state": "triaged", "division": "440305001", "holder": "440305001-desk", "holder_level": "town"}
    case = captured(**lay, segments=(Segment("440305-desk", "county", NOW, 0),))
    after = decide(case, command("assign", org="water"), SOURCE, NOW).state
    assert after
    assert (after.holder, after.reassignments) == ("water", 0)


@pytest.mark.parametrize(("person", "handler"), [("new", "new"), ("", "old")])
def test_who_signs_handles_the_case_and_a_signature_without_a_person_leaves_who_did(person: str, handler: str) -> None:
    case = captured(state="assigned", handler_person="old", signer_person="old")
    after = decide(case, command("sign", actor_person=person), SOURCE, NOW).state
    assert after
    assert (after.handler_person, after.signer_person) == (handler, handler)
