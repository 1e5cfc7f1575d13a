"""The incident's table against a hand-typed expectation: which command moves which state where, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.outcome.event import Outcome
from schemas.errors import Refusal
from schemas.state.clock import Clock
from schemas.state.incident_case.event import (
    Awaiting,
    Climb,
    Contest,
    Filed,
    IncidentCase,
    Joint,
    MergedCase,
    Shelved,
    Supervision,
    Suspended,
    Task,
    Upstream,
)
from schemas.topics import INCIDENT_EVENTS
from streams.domain.core import Decision, Source
from streams.domain.incident.decide import decide
from streams.domain.incident.observe import JOINED_MIDWAY, SOURCE_REOPENED
from streams.domain.incident.table import ABSORB, COMMANDS, OPEN, RELEASE, UNREACHED, State
from tests.helpers import assert_can_be_stored, blank

CASE = ids.case_id("live", "p", "1")
SOURCE = Source("incident.commands", 0, 1)
NOW = 1_795_300_000_000


def _matrix() -> dict[str, dict[str, str]]:
    """command -> {state: state after}; typed by hand, each row with its source, not derived from the table."""
    found = {}
    with Path(__file__).with_name("incident_matrix.csv").open(encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            assert row.pop("source")
            name = row.pop("command")
            found[name] = {state: state if after == "=" else after for state, after in row.items() if after}
    return found


EXPECTED = _matrix()
OTHER = ids.case_id("live", "p", "2")
HELD = Supervision("remind", "city", "city", "", NOW, NOW + 1, 0, 0)
LATE = Clock(
    purpose="accept", round=1, holder="440305-desk", level="county", unit="ms", until="midnight", budget=1, extended=0,
    calendar="cn-2020-2026", policy="sla_municipal 1/clocks/0", started_at=NOW - 2, due_at=NOW - 1, stopped_at=NOW, pauses=(), told=7,
    breached_at=NOW - 1, retracted=False, epoch=1,
)  # fmt: skip
DISPUTE = Contest("accept", "440305-desk", NOW - 2, "440305-desk", "holiday", NOW, 0, "", False, NOW - 1)
CLOCK = ("accept", "440305-desk", NOW - 2)
PAGED: dict[str, Any] = {
    "clocks": (msgspec.structs.replace(LATE, stopped_at=0),), "climbs": (Climb(*CLOCK, 9),),
    "awaiting": tuple(Awaiting(*CLOCK, "county", NOW + 60_000, 1, 1, whom) for whom in ("desk", "head")),
}  # fmt: skip
READY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # what a command's guards ask of the case, and of the command
    "take": ({"upstream": Upstream("offered", "city", "county", NOW)}, {"actor_level": "city"}),
    "return": ({"upstream": Upstream("offered", "city", "county", NOW)}, {"actor_level": "city"}),
    "assign_down": ({}, {"actor_level": "county", "level": "town"}),
    "convene": ({}, {"orgs": ("fire", "water")}),
    "task_done": ({"joint": Joint("lead", (Task("org", "open", NOW, 0),))}, {"actor_org": "lead"}),
    "task_waive": ({"joint": Joint("lead", (Task("org", "open", NOW, 0),))}, {"actor_org": "lead"}),
    "suspend": ({}, {"reason": "expert_appraisal", "actor_level": "city"}),
    "resume": ({"suspended": Suspended("expert_appraisal", NOW, NOW + 10_000, "boss")}, {}),
    "shelve": ({}, {"actor_level": "city", "until": NOW + 86_400_000}),
    "unshelve": ({"shelved": Shelved(NOW, NOW + 10_000, "boss")}, {}),
    "supervise": ({}, {"actor_level": "city", "actor_org": "city", "rung": "remind"}),
    "reply_supervision": ({"supervised": (HELD,)}, {}),
    "lift_supervision": ({"supervised": (HELD,)}, {"actor_org": "city"}),
    "respond": ({}, {"response_level": 3, "actor_level": "county"}),
    "acknowledge": (PAGED, {"actor_level": "county"}),
    "nobody_notified": (PAGED, {"purpose": "accept", "org": "440305-desk", "whom": "head", "level": "county"}),
    "extend": ({}, {"actor_level": "city", "purpose": "total"}),
    "contest": ({"clocks": (LATE,)}, {"purpose": "accept", "org": "", "actor_level": "county", "actor_org": "440305-desk"}),
    "uphold_breach": ({"clocks": (LATE,), "contests": (DISPUTE,)}, {"purpose": "accept", "org": "", "actor_level": "city"}),
    "withdraw_breach": ({"clocks": (LATE,), "contests": (DISPUTE,)}, {"purpose": "accept", "org": "", "actor_level": "city"}),
    "repin": ({"calendar_version": "cn-2020-2025"}, {"actor_level": "province"}),
    "draft_report": ({}, {"stage": "first", "actor_level": "county"}),
    "sign_report": ({"filed": (Filed("first", "city", "", "drafter", NOW, "", 0),)}, {"stage": "first", "actor_level": "county"}),
    "merge_into": ({}, {"target": OTHER}),
    "split": ({"before": "handling", "merged_into": OTHER}, {}),
    "absorb": ({}, {"target": OTHER}),
    "release": ({"merged": (MergedCase(OTHER, NOW, ()),)}, {"target": OTHER}),
    "amend": ({}, {"division": "440305001"}),
}  # fmt: skip


def command(name: str, key: str = "k", **changes: Any) -> IncidentCommand:
    values: dict[str, Any] = blank(IncidentCommand)
    values |= {
        "command_id": ids.command_id("live", "p", key), "case_id": CASE, "name": name, "realm": "live", "expected_seq": -1,
        "division": "440305", "incident_type": "M01001", "actor_person": "verifier", "actor_division": "440305", "occurred_at": NOW,
        "occurred_offset": 480, "received_at": 0, "producer": "p", "source_version": 0, "reassignments": -1, "reopens": -1,
        "grade": 0, "org": "org", "reason": "reason", "evidence": True, "src_partition": -1, "src_offset": -1, "src_position": -1,
    }  # fmt: skip
    return IncidentCommand(**values | changes)


def captured(**changes: Any) -> IncidentCase:
    state = decide(None, command("capture", "capture"), SOURCE, NOW).state
    assert state is not None
    return msgspec.structs.replace(state, **changes)


def answer(decision: Decision[IncidentCase]) -> tuple[str, str]:
    (outcome,) = (emit.record for emit in decision.emits if isinstance(emit.record, Outcome))
    return outcome.outcome, outcome.reason


def test_the_expectation_covers_every_state_and_command() -> None:
    assert set(EXPECTED) == set(COMMANDS) | {ABSORB, RELEASE, UNREACHED}
    assert {state for row in EXPECTED.values() for state in row} == set(State)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("name", list(EXPECTED))
def test_every_cell_of_state_and_command_is_as_written_down(state: str, name: str) -> None:
    of_case, of_command = READY.get(name, ({}, {}))
    before = captured(**{"state": state, "handler_person": "handler"} | of_case)
    decision = decide(before, command(name, **of_command), SOURCE, NOW)
    assert_can_be_stored(decision)
    wanted = EXPECTED[name].get(state)
    assert decision.state is not None
    if wanted is None:
        assert answer(decision) == ("refused", Refusal.ILLEGAL_TRANSITION)
        assert decision.state.state == state
        assert not [emit for emit in decision.emits if emit.topic is INCIDENT_EVENTS]
    else:
        assert answer(decision) == ("applied", "")
        assert decision.state.state == wanted
        assert decision.state.seq == 2


def test_no_open_state_is_without_a_way_out() -> None:
    for state in OPEN:
        assert {row[state] for row in EXPECTED.values() if state in row} - {state}, state


@pytest.mark.parametrize(
    ("name", "state", "changes", "refusal"),
    [
        ("decline", "captured", {"reason": ""}, Refusal.REASON_MISSING),
        ("decline", "captured", {"org": ""}, Refusal.ORG_MISSING),
        ("report", "handling", {"evidence": False}, Refusal.EVIDENCE_MISSING),
        ("withdraw", "handling", {"reason": ""}, Refusal.REASON_MISSING),
        ("object", "assigned", {"reason": ""}, Refusal.REASON_MISSING),
        ("reopen", "closed", {"reason": ""}, Refusal.REASON_MISSING),
        ("verify_fail", "reported", {"reason": ""}, Refusal.REASON_MISSING),
        ("assign", "triaged", {"org": ""}, Refusal.ORG_MISSING),
        ("self_handle", "captured", {"evidence": False}, Refusal.NOT_SELF_HANDLED),
        ("verify_ok", "reported", {"actor_person": "handler"}, Refusal.SAME_PERSON),
        ("verify_fail", "verifying", {"actor_person": "handler"}, Refusal.SAME_PERSON),
        ("accept", "captured", {"expected_seq": 7}, Refusal.STALE_SEQ),
        ("accept", "captured", {"actor_division": "440106"}, Refusal.OUT_OF_SCOPE),
        ("capture", "captured", {}, Refusal.ALREADY_EXISTS),
        ("observe", "captured", {"state": "closed"}, Refusal.NOT_MIRRORED),
    ],
)
def test_a_guard_refuses_with_its_reason(name: str, state: str, changes: dict[str, Any], refusal: Refusal) -> None:
    decision = decide(captured(state=state, handler_person="handler"), command(name, **changes), SOURCE, NOW)
    assert answer(decision) == ("refused", refusal)


def test_a_fire_is_not_settled_on_the_spot() -> None:
    decision = decide(captured(incident_type="A20600"), command("self_handle"), SOURCE, NOW)
    assert answer(decision) == ("refused", Refusal.NOT_SELF_HANDLED)


def test_a_command_on_no_case_is_refused_and_leaves_none() -> None:
    decision = decide(None, command("accept"), SOURCE, NOW)
    assert answer(decision) == ("refused", Refusal.NO_SUCH_CASE)
    assert decision.state is None


def test_after_the_second_objection_only_the_common_superior_assigns_and_there_is_no_third() -> None:
    state = decide(captured(state="assigned", objections=1), command("object", "2"), SOURCE, NOW).state
    assert state is not None
    assert (state.state, state.objections) == ("triaged", 2)
    assert answer(decide(state, command("assign", "3", actor_level="county"), SOURCE, NOW)) == ("refused", Refusal.LEVEL_TOO_LOW)
    state = decide(state, command("assign", "4", actor_level="city"), SOURCE, NOW).state
    assert answer(decide(state, command("object", "5"), SOURCE, NOW)) == ("refused", Refusal.OBJECTIONS_EXHAUSTED)


@pytest.mark.parametrize("name", ["capture", "accept"])
def test_a_repeated_command_changes_nothing_and_says_so(name: str) -> None:
    first = decide(captured() if name == "accept" else None, command(name), SOURCE, NOW)
    again = decide(first.state, command(name), Source("incident.commands", 0, 9), NOW + 5)
    assert answer(again) == ("repeated", "")
    assert again.state == first.state
    assert len(again.emits) == 1


def test_a_repeat_of_a_refused_command_is_a_repeat_even_when_it_would_now_be_legal() -> None:
    refused = decide(captured(), command("sign", "s"), SOURCE, NOW).state
    assert answer(decide(refused, command("sign", "s"), SOURCE, NOW)) == ("repeated", "")


def test_assigning_again_to_another_body_is_counted_and_the_first_is_not() -> None:
    state = captured(state="triaged")
    state = decide(state, command("assign", "1", org="a"), SOURCE, NOW).state or state
    assert state.reassignments == 0
    state = decide(state, command("object", "2"), SOURCE, NOW).state or state
    state = decide(state, command("assign", "3", org="b"), SOURCE, NOW).state or state
    assert (state.holder, state.reassignments, state.objections) == ("b", 1, 1)


def test_a_reopened_case_begins_a_new_round() -> None:
    state = decide(captured(state="closed"), command("reopen"), SOURCE, NOW).state
    assert state is not None
    assert (state.state, state.round, state.reopens) == ("handling", 2, 1)


def test_time_in_a_case_never_runs_backwards() -> None:
    state = captured(now=NOW + 10)
    event = decide(state, command("accept"), SOURCE, NOW).emits[0].record
    assert isinstance(event, IncidentEvent)
    assert event.received_at == NOW + 10


def observe(version: int, state: str, **changes: Any) -> IncidentCommand:
    return command("observe", f"v{version}", source_version=version, state=state, **changes)


def test_a_department_may_tell_of_a_case_in_midstream_under_a_named_rule() -> None:
    decision = decide(None, observe(1, "handling", holder="70"), SOURCE, NOW)
    event, outcome = (emit.record for emit in decision.emits)
    assert isinstance(event, IncidentEvent)
    assert isinstance(outcome, Outcome)
    assert (event.rule, outcome.rule, event.mirrored, event.holder) == (JOINED_MIDWAY, JOINED_MIDWAY, True, "70")


def test_a_late_fact_is_refused_by_its_version_and_desks_do_not_touch_mirrored_cases() -> None:
    state = decide(None, observe(5, "handling"), SOURCE, NOW).state
    assert answer(decide(state, observe(4, "captured"), SOURCE, NOW)) == ("refused", Refusal.STALE_VERSION)
    assert answer(decide(state, command("report"), SOURCE, NOW)) == ("refused", Refusal.MIRRORED)


def test_a_source_that_opens_its_case_again_is_followed_and_its_own_counters_rule() -> None:
    state = decide(None, observe(1, "closed", holder="a"), SOURCE, NOW).state
    decision = decide(state, observe(2, "handling", holder="b", reopens=4), SOURCE, NOW)
    event = decision.emits[0].record
    assert isinstance(event, IncidentEvent)
    assert (event.rule, event.reopens, event.round, event.reassignments) == (SOURCE_REOPENED, 4, 2, 1)


def test_titles_are_composed_of_type_and_place() -> None:
    assert captured().title == "供水井盖异常 · 深圳市南山区"
