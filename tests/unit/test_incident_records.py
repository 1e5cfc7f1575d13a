"""What the incident lane writes, field by field: a new case and its event, a page, a hand-over, and the commands of a merge to its root."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import asdict

from schemas import ids
from schemas.avro.handover.event import Handover
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.state.incident_case.event import IncidentCase, MergedCase
from schemas.topics import DESKS, INCIDENT_COMMANDS, INCIDENT_EVENTS, NOTIFICATIONS, OUTCOMES
from streams.domain.commands import mark_of
from streams.domain.core import Decision, Emit, Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up
from streams.domain.incident.telling import urgency_of
from tests.unit.test_incident_clocks import Desk, at, handled
from tests.unit.test_incident_life_cycle import CASE, NOW, OTHER, SOURCE, captured, command

ASKED: dict[str, Any] = {
    "division": "440232113", "incident_type": "A20600", "actor_person": "grid-7", "actor_org": "440232113-desk", "actor_role": "desk",
    "actor_level": "town", "actor_division": "440232", "occurred_at": NOW - 90_000, "received_at": NOW - 5, "cause": "sighting",
    "person": "villager", "cell": "ws0e6", "sealed_ref": "sealed-1", "home_cluster": "gd", "grade": 3, "paper": "file 7", "score": 4,
    "policy_version": "2026.1", "reason": "smoke", "expected_seq": -1,
}  # fmt: skip
NUMBER = ids.case_number(CASE, "440232113", NOW - 90_000)
TITLE = "火灾事故 · 韶关市乳源瑶族自治县必背镇"


def only(emits: tuple[Emit, ...], kind: Any) -> Any:
    (found,) = (emit for emit in emits if isinstance(emit.record, kind))
    return found


def entered() -> Decision[IncidentCase]:
    return decide(None, command("capture", **ASKED), SOURCE, NOW)


def test_a_captured_matter_leaves_a_whole_case() -> None:
    case = entered().state
    assert case
    left = asdict(case)
    assert [(clock.purpose, clock.holder, clock.level, clock.started_at) for clock in left.pop("clocks")] == [
        ("accept", "440232113-desk", "town", NOW - 5), ("total", "440232113-desk", "town", NOW - 5),
    ]  # fmt: skip
    assert [asdict(one) for one in left.pop("segments")] == [{"holder": "440232113-desk", "level": "town", "since": NOW, "until": 0}]
    assert left == {
        "case_id": CASE, "case_number": NUMBER, "seq": 1, "now": NOW, "state": "captured", "division": "440232113", "county": "440232",
        "level": "town", "incident_type": "A20600", "title": TITLE, "grade": 3, "holder": "440232113-desk", "holder_level": "town",
        "round": 1, "reassignments": 0, "reopens": 0, "objections": 0, "mirrored": False, "source_version": 0, "producer": "p",
        "handler_person": "", "opened_at": NOW - 90_000, "policy_version": "2026.1", "calendar_version": "cn-2020-2026",
        "home_cluster": "gd", "ownership_epoch": 0, "recent": mark_of(command("capture")), "upstream": None, "joint": None,
        "suspended": None, "shelved": None, "supervised": (), "response_level": 0, "merged_into": "", "before": "", "merged": (),
        "reporters": ("villager",), "climbs": (), "awaiting": (), "contests": (), "filed": (), "source_due_at": 0, "senders": (),
        "signer_person": "", "next_due": case.next_due, "arrived_at": NOW - 5,
    }  # fmt: skip


def test_a_captured_matter_says_one_event_with_all_that_is_known_of_it() -> None:
    event, outcome = entered().emits
    case = entered().state
    assert case
    accept, total = case.clocks
    assert (event.topic, event.realm, event.key, event.position) == (INCIDENT_EVENTS, "live", CASE, 0)
    assert asdict(event.record) == {
        "event_id": ids.derived_id(*SOURCE, 0, NOW), "case_id": CASE, "case_seq": 1, "type": "incident.captured", "kind": "incident",
        "division": "440232113", "level": "town", "realm": "live", "actor_person": "grid-7", "actor_org": "440232113-desk",
        "actor_role": "desk", "actor_level": "town", "occurred_at": NOW - 90_000, "occurred_offset": 480, "received_at": NOW - 5,
        "policy_version": "2026.1", "calendar_version": "cn-2020-2026", "cause": "sighting", "src_topic": "incident.commands",
        "src_partition": 0, "src_offset": 1, "src_position": 0, "home_cluster": "gd", "ownership_epoch": 0,
        "command_id": command("capture").command_id, "case_number": NUMBER, "incident_type": "A20600", "type_from": "",
        "county": "440232", "county_from": "", "state": "captured", "state_from": "", "holder": "440232113-desk",
        "holder_level": "town", "grade": 3, "round": 1, "reassignments": 0, "reopens": 0, "mirrored": False, "producer": "p",
        "title": TITLE, "reason": "smoke", "rule": "", "cell": "ws0e6", "sealed_ref": "sealed-1", "opened_at": NOW - 90_000,
        "wakes_at": case.next_due, "light": "green", "light_from": "", "clock": "", "clock_holder": "", "clock_due_at": 0,
        "clock_breached_at": 0, "due_at": min(accept.due_at, total.due_at), "upstream_state": "", "upstream_level": "",
        "suspended_reason": "", "suspension_ends_at": 0, "review_at": 0, "supervised_rung": "", "reply_due_at": 0,
        "response_level": 0, "lead": "", "open_tasks": 0, "target": "", "merged_into": "", "merged_count": 0,
        "earliest_at": NOW - 90_000, "paper": "file 7", "score": 4, "person": "villager", "tell": "", "tell_level": "", "held_ms": 0,
        "clocks": (accept, total), "step": 0, "ack_by": 0, "stage": "", "source_due_at": 0, "holder_level_from": "",
        "offered_level_from": "",
    }  # fmt: skip
    assert (outcome.topic, outcome.realm, outcome.key, outcome.position) == (OUTCOMES, "live", CASE, 1)
    assert asdict(outcome.record) == {
        "command_id": command("capture").command_id, "case_id": CASE, "realm": "live", "outcome": "applied", "reason": "", "rule": "",
        "case_seq": 1, "name": "capture", "producer": "p", "division": "440232113", "received_at": NOW - 5,
        "src_topic": "incident.commands", "src_partition": 0, "src_offset": 1, "src_position": 1,
    }  # fmt: skip


def test_refused_and_repeated_commands_are_answered_with_the_place_of_the_case() -> None:
    case = entered().state
    refused = decide(case, command("sign", "s", division="", actor_division="440232"), SOURCE, NOW + 3)
    assert asdict(only(refused.emits, Outcome).record) == {
        "command_id": command("sign", "s").command_id, "case_id": CASE, "realm": "live", "outcome": "refused",
        "reason": "illegal_transition", "rule": "", "case_seq": 1, "name": "sign", "producer": "p", "division": "440232113",
        "received_at": NOW + 3, "src_topic": "incident.commands", "src_partition": 0, "src_offset": 1, "src_position": 1,
    }  # fmt: skip
    assert refused.state
    assert refused.state.now == NOW + 3
    said = only(decide(refused.state, command("sign", "s", division=""), SOURCE, NOW + 9).emits, Outcome).record
    assert (said.outcome, said.case_seq, said.division, said.received_at) == ("repeated", 1, "440232113", NOW + 9)
    nowhere = only(decide(None, command("sign", "s", division="440106"), SOURCE, NOW).emits, Outcome).record
    assert (nowhere.reason, nowhere.case_seq, nowhere.division) == ("no_such_case", 0, "440106")


def test_each_of_the_last_commands_is_remembered_not_only_the_newest() -> None:
    case = captured()
    for name in ("accept", "triage", "assign"):
        case = decide(case, command(name, name), SOURCE, NOW).state or case
    for name in ("accept", "triage", "assign"):
        assert only(decide(case, command(name, name), SOURCE, NOW).emits, Outcome).record.outcome == "repeated"


def test_a_wake_up_is_nobodys_and_says_only_when_and_of_which_case() -> None:
    made = wake_up(CASE, NOW, "drill")
    assert codec(IncidentCommand).decode(codec(IncidentCommand).encode(made)) == made
    said = asdict(made)
    blank = {name: "" for name, value in said.items() if isinstance(value, str)}
    assert {name: value for name, value in said.items() if value and value != blank.get(name)} == {
        "case_id": CASE, "name": "wake", "realm": "drill", "occurred_at": NOW, "occurred_offset": 480, "cause": "timer", "expected_seq": -1,
        "reassignments": -1, "reopens": -1, "src_partition": -1, "src_offset": -1, "src_position": -1,
    }  # fmt: skip


def test_what_a_case_does_by_itself_names_nobody_and_nothing_of_the_record_that_came() -> None:
    desk = Desk("M01001", "23 08:30")
    late = command(
        "accept", "late", actor_person="p1", actor_org="o1", actor_role="desk", actor_level="county", occurred_at=at("23 10:05"),
        received_at=at("23 10:05") + 7, cause="call", org="named", level="city", reason="why", cell="ws0e6", sealed_ref="sealed-2",
        rung="remind", paper="paper", target=OTHER, person="villager", until=5,
    )  # fmt: skip
    said = decide(desk.case, late, Source("incident.commands", 3, 44), at("23 10:05") + 9)
    event = said.emits[0].record
    assert isinstance(event, IncidentEvent)
    position = said.emits[0].position
    told = {name: value for name, value in asdict(event).items() if value and name not in ("clocks", "title")}
    clock = desk.clock("accept")
    total = desk.clock("total")
    assert told == {
        "event_id": ids.derived_id("incident.commands", 3, 44, position, at("23 10:05") + 9), "case_id": CASE, "case_seq": 2,
        "type": "incident.clock_warning", "kind": "incident", "division": "440305", "level": "county", "realm": "live",
        "occurred_at": at("23 10:00"), "occurred_offset": 480, "received_at": at("23 10:05") + 9, "policy_version": "2026.1",
        "calendar_version": "cn-2020-2026", "cause": "timer", "src_topic": "incident.commands", "src_partition": 3, "src_offset": 44,
        "case_number": desk.case.case_number, "incident_type": "M01001", "type_from": "M01001", "county": "440305",
        "county_from": "440305", "state": "captured", "state_from": "captured", "holder": "440305-desk", "holder_level": "county",
        "holder_level_from": "county", "round": 1, "producer": "p", "opened_at": at("23 08:30"), "wakes_at": at("23 10:30"),
        "light": "yellow", "light_from": "green", "clock": "accept", "clock_holder": "440305-desk", "clock_due_at": clock.due_at,
        "due_at": min(clock.due_at, total.due_at), "earliest_at": at("23 08:30"),
    }  # fmt: skip


def test_a_step_of_a_ladder_pages_with_all_that_the_desk_must_know() -> None:
    desk = Desk("M01001", "23 08:30")
    late = decide(desk.case, wake_up(CASE, at("23 10:31"), "live"), Source("incident.commands", 3, 44), at("23 10:31"))
    page, event = only(late.emits, Notification), late.emits[-2].record
    assert isinstance(event, IncidentEvent)
    assert (page.topic, page.realm, page.key, page.position) == (NOTIFICATIONS, "live", CASE, 18)
    assert asdict(page.record) == {
        "notification_id": ids.derived_id("incident.commands", 3, 44, 18, at("23 10:31")), "case_id": CASE, "kind": "incident",
        "realm": "live", "type": "page", "cause": "ran_late", "target_kind": "desk", "target": "440305-desk", "target_level": "county",
        "step": 1, "urgency": 3, "category": "M01001", "division": "440305", "county": "440305",
        "case_number": desk.case.case_number, "case_seq": event.case_seq, "round": 1, "press_count": 0, "title": desk.case.title,
        "reason": "", "command_id": "", "policy_version": "2026.1", "occurred_at": at("23 10:30"), "received_at": at("23 10:31"),
        "src_topic": "incident.commands", "src_partition": 3, "src_offset": 44, "src_position": 18, "clock": "accept",
        "clock_holder": "440305-desk", "clock_due_at": at("23 10:30"), "ack_by": event.ack_by,
    }  # fmt: skip
    assert (event.type, event.case_seq, event.step, event.tell, event.rule) == ("incident.ran_late", 4, 1, "desk", "lateness_ladder")
    assert event.ack_by == at("23 11:31"), "a working hour after it was told"


@pytest.mark.parametrize(
    ("grade", "incident_type", "urgency"),
    [(1, "M01001", 1), (2, "M01001", 1), (3, "M01001", 2), (4, "M01001", 3), (0, "M01001", 3), (4, "A20600", 2), (0, "L01000", 2),
     (0, "R01000", 2), (1, "A20600", 1)],
)  # fmt: skip
def test_how_urgent_a_page_is_follows_grade_and_kind(grade: int, incident_type: str, urgency: int) -> None:
    assert urgency_of(captured(grade=grade, incident_type=incident_type)) == urgency


def test_a_hand_over_says_all_that_the_other_desk_must_know() -> None:
    desk = handled()
    asked = command(
        "offer_up", "offer", actor_level="county", actor_org="440305-desk", actor_division="440000", division="440305", incident_type="",
        occurred_at=at("24 08:59"), received_at=at("24 09:00") - 7, reason="too_big",
    )  # fmt: skip
    source = Source("incident.commands", 3, 44)
    said = decide(desk.case, asked, source, at("24 09:00"))
    emit, after = only(said.emits, Handover), said.state
    assert after
    assert (emit.topic, emit.realm, emit.key, emit.position) == (DESKS["city"], "live", CASE, 16)
    assert asdict(emit.record) == {
        "handover_id": ids.derived_id(*source, 16, at("24 09:00")), "case_id": CASE, "case_number": after.case_number,
        "case_seq": after.seq, "case_kind": "incident", "realm": "live", "kind": "offered", "to_desk": "440300-desk", "to_level": "city",
        "to_org": "440300-desk", "from_desk": "440305-desk", "from_level": "county", "due_at": after.clocks[-1].due_at,
        "reason": "too_big", "rule": "", "rung": "", "paper": "", "task": "", "division": "440305", "county": "440305",
        "incident_type": "S01", "grade": 4, "title": after.title, "state": "handling", "holder": "water", "holder_level": "county",
        "round": 1, "policy_version": "2026.1", "command_id": asked.command_id, "opened_at": at("23 09:00"),
        "occurred_at": at("24 08:59"), "received_at": at("24 09:00") - 7, "home_cluster": "", "ownership_epoch": 0,
        "src_topic": "incident.commands", "src_partition": 3, "src_offset": 44, "src_position": 16,
    }  # fmt: skip


# --- merge and split: the other half is a command to the root ---------------------------------------------------------------


def merged_case() -> IncidentCase:
    return captured(reporters=("villager",), merged=(MergedCase("c3", NOW - 500, ()),))


def inner(decision: Decision[IncidentCase]) -> IncidentCommand:
    emit = only(decision.emits, IncidentCommand)
    assert (emit.topic, emit.realm, emit.position) == (INCIDENT_COMMANDS, "live", 5)
    assert emit.key == emit.record.case_id
    found: IncidentCommand = emit.record
    return found


def test_a_merge_tells_the_root_who_reported_and_since_when() -> None:
    asked = command("merge_into", "m", target=OTHER, received_at=NOW - 3, cell="ws0e6", sealed_ref="s", cause="call", reason="the same")
    assert inner(decide(merged_case(), asked, SOURCE, NOW)) == msgspec.structs.replace(
        asked, command_id=ids.command_id("live", "case", f"{asked.command_id}:absorb"), case_id=OTHER, name="absorb", expected_seq=-1,
        target=CASE, reason="the same", received_at=NOW - 3, cause="rule", cell="", sealed_ref="", linked=("villager",),
        linked_at=NOW - 500,
    )  # fmt: skip


def test_a_split_tells_the_root_and_a_command_without_an_arrival_was_received_when_appended() -> None:
    state = captured(state="merged", before="handling", merged_into=OTHER, opened_at=NOW - 700, reporters=("villager",))
    asked = command("split", "s", reason="not the same", expected_seq=1)
    assert inner(decide(state, asked, SOURCE, NOW + 4)) == msgspec.structs.replace(
        asked, command_id=ids.command_id("live", "case", f"{asked.command_id}:release"), case_id=OTHER, name="release", expected_seq=-1,
        target=CASE, received_at=NOW + 4, cause="rule", linked=("villager",), linked_at=NOW - 700,
    )  # fmt: skip


def test_a_root_that_does_not_take_a_case_has_it_split_off_again_and_no_answer_goes_back() -> None:
    asked = command("absorb", "a", target=OTHER, linked=("villager",), linked_at=NOW - 9, cause="rule")
    refused = decide(captured(state="withdrawn"), asked, SOURCE, NOW)
    back = inner(refused)
    assert back == msgspec.structs.replace(
        asked, command_id=ids.command_id("live", "case", f"{asked.command_id}:split"), case_id=OTHER, name="split", target=CASE,
        reason="illegal_transition", received_at=NOW, linked=(), linked_at=0,
    )  # fmt: skip
    child = captured(case_id=OTHER, state="merged", before="handling", merged_into=CASE)
    split = decide(child, msgspec.structs.replace(back, actor_division="440305"), SOURCE, NOW + 1)
    assert split.state
    assert (split.state.state, split.state.merged_into, split.state.before) == ("handling", "", "")
    assert [type(emit.record) for emit in split.emits] == [IncidentEvent, Outcome]
    event = split.emits[0].record
    assert isinstance(event, IncidentEvent)
    assert (event.rule, event.target) == ("root_refused", CASE)


def test_a_root_keeps_each_case_once_and_lets_go_only_of_the_one_named() -> None:
    state = captured()
    for number, target in enumerate(("c1", "c2", "c1")):
        asked = command("absorb", f"a{number}", target=target, linked=(f"reporter {number}",), linked_at=NOW - 100 * number - 1)
        decision = decide(state, asked, SOURCE, NOW)
        state = decision.state or state
    assert state.merged == (MergedCase("c2", NOW - 101, ("reporter 1",)), MergedCase("c1", NOW - 201, ("reporter 2",)))
    event = decision.emits[0].record
    assert isinstance(event, IncidentEvent)
    assert (event.merged_count, event.earliest_at, event.target) == (2, NOW - 201, "c1")
    after = decide(state, command("release", "r", target="c2"), SOURCE, NOW).state
    assert after
    assert [one.case_id for one in after.merged] == ["c1"]


def test_a_merged_case_says_where_it_went_and_how_it_stood() -> None:
    decision = decide(captured(state="handling"), command("merge_into", "m", target=OTHER), SOURCE, NOW)
    assert decision.state
    assert (decision.state.merged_into, decision.state.before, decision.state.next_due) == (OTHER, "handling", 0)
    event = decision.emits[0].record
    assert isinstance(event, IncidentEvent)
    assert (event.merged_into, event.target, event.state, event.state_from, event.light) == (OTHER, OTHER, "merged", "handling", "")
