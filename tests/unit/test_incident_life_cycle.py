"""The incident's table against a hand-typed expectation: which command moves which state where, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.outcome.event import Outcome
from schemas.errors import Refusal
from schemas.state.incident_case.event import IncidentCase
from streams.domain.core import Decision, Source
from streams.domain.incident.decide import JOINED_MIDWAY, SOURCE_REOPENED, decide
from streams.domain.incident.table import COMMANDS, OPEN, State

CASE = ids.case_id("live", "p", "1")
SOURCE = Source("incident.commands", 0, 1)
NOW = 1_795_300_000_000

# state -> {command: state after}; typed from research/mission.md 3.1, not derived from the table
EXPECTED: dict[str, dict[str, str]] = {
    "captured": {"self_handle": "reported", "accept": "accepted", "decline": "declined", "withdraw": "withdrawn"},
    "accepted": {"triage": "triaged", "withdraw": "withdrawn"},
    "triaged": {"triage": "triaged", "assign": "assigned", "withdraw": "withdrawn"},
    "assigned": {"sign": "handling", "object": "triaged", "withdraw": "withdrawn"},
    "signed": {"withdraw": "withdrawn"},
    "handling": {"report": "reported", "withdraw": "withdrawn"},
    "reported": {"check": "verifying", "verify_ok": "closed", "verify_fail": "handling", "withdraw": "withdrawn"},
    "verifying": {"verify_ok": "closed", "verify_fail": "handling", "withdraw": "withdrawn"},
    "closed": {"evaluate": "evaluated", "reopen": "handling", "archive": "archived"},
    "evaluated": {"reopen": "handling", "archive": "archived"},
    "archived": {},
    "declined": {},
    "merged": {},
    "withdrawn": {},
}
ALL_COMMANDS = (
    "self_handle", "accept", "decline", "triage", "assign", "sign", "object", "report", "check", "verify_ok", "verify_fail",
    "evaluate", "reopen", "archive", "withdraw",
)  # fmt: skip


def command(name: str, key: str = "k", **changes: Any) -> IncidentCommand:
    values: dict[str, Any] = dict.fromkeys(IncidentCommand.__struct_fields__, "")
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
    import msgspec

    return msgspec.structs.replace(state, **changes)


def answer(decision: Decision[IncidentCase]) -> tuple[str, str]:
    outcome = decision.emits[-1].record
    assert isinstance(outcome, Outcome)
    return outcome.outcome, outcome.reason


def test_the_expectation_covers_every_state_and_command() -> None:
    assert set(EXPECTED) == set(State)
    assert set(ALL_COMMANDS) == set(COMMANDS)


@pytest.mark.parametrize("state", list(EXPECTED))
@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_every_cell_of_state_and_command_is_as_written_down(state: str, name: str) -> None:
    decision = decide(captured(state=state, handler_person="handler"), command(name), SOURCE, NOW)
    wanted = EXPECTED[state].get(name)
    assert decision.state is not None
    if wanted is None:
        assert answer(decision) == ("refused", Refusal.ILLEGAL_TRANSITION)
        assert decision.state.state == state
        assert len(decision.emits) == 1
    else:
        assert answer(decision) == ("applied", "")
        assert decision.state.state == wanted
        assert decision.state.seq == 2


def test_no_open_state_is_without_a_way_out() -> None:
    for state in OPEN:
        assert set(EXPECTED[state].values()) - {state}, state


@pytest.mark.parametrize(
    ("name", "state", "changes", "refusal"),
    [
        ("decline", "captured", {"reason": ""}, Refusal.REASON_MISSING),
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


def test_the_second_objection_is_left_to_the_common_superior() -> None:
    decision = decide(captured(state="assigned", objections=1), command("object"), SOURCE, NOW)
    assert answer(decision) == ("refused", Refusal.OBJECTIONS_EXHAUSTED)


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
