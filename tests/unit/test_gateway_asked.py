"""The gateway's door for each command of an incident: what it takes, what it needs, and where it points when something is wrong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from schemas import geohash, ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.errors import Reason
from services.gateway import bodies, decoding, intake
from services.gateway.decoding import Invalid
from streams.domain.incident.table import COMMANDS, INNER
from tests.principals import DESK
from tests.unit.test_gateway_intake import CASE, NOW, context

OTHER = ids.case_id("live", "demo-producer", "E-2")
DAY = "2026-11-30T09:00:00+08:00"
DAY_MS = NOW + 8 * 86_400_000
BODIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # what is posted, and what the core gets of it
    "offer_up": ({"level": "city"}, {"level": "city"}),
    "return": ({"reason": "not_ours"}, {"reason": "not_ours"}),
    "assign_down": ({"org": "街道", "level": "town"}, {"org": "街道", "level": "town"}),
    "convene": ({"orgs": ["fire", "power", "fire"]}, {"orgs": ("fire", "power")}),
    "task_waive": ({"org": "fire", "reason": "no_need"}, {"org": "fire"}),
    "suspend": ({"reason": "expert_appraisal", "until": DAY}, {"reason": "expert_appraisal", "until": DAY_MS}),
    "shelve": ({"reason": "no_budget", "until": DAY}, {"until": DAY_MS}),
    "supervise": ({"rung": "supervise", "paper": "督〔2026〕1号"}, {"rung": "supervise", "paper": "督〔2026〕1号"}),
    "respond": ({"response_level": 0}, {"response_level": 0}),
    "extend": ({"reason": "parts", "purpose": "handle", "amount": 2}, {"purpose": "handle", "amount": 2}),
    "acknowledge": ({"purpose": "handle"}, {"purpose": "handle"}),
    "evaluate": ({"score": 2}, {"score": 2}),
    "contest": ({"reason": "holiday", "purpose": "accept"}, {"reason": "holiday", "purpose": "accept"}),
    "uphold_breach": ({"reason": "seen", "purpose": "sign", "org": "water"}, {"purpose": "sign", "org": "water"}),
    "withdraw_breach": ({"reason": "seen", "purpose": "sign"}, {"purpose": "sign"}),
    "repin": ({"reason": "new_rules", "policy_version": "2026.1"}, {"reason": "new_rules", "policy_version": "2026.1"}),
    "draft_report": ({"stage": "first", "level": "city", "paper": "报1"}, {"stage": "first", "level": "city", "paper": "报1"}),
    "sign_report": ({"stage": "final"}, {"stage": "final", "level": ""}),
    "decline": ({"reason": "not_ours", "org": "12345"}, {"reason": "not_ours", "org": "12345"}),
    "merge_into": ({"target": OTHER.upper()}, {"target": OTHER}),
    "amend": (
        {"division": "440305001", "place": {"lon": 113.9, "lat": 22.5}},
        {"division": "440305001", "cell": geohash.cell(113.9, 22.5)},
    ),
    "void": ({"reason": "typing_error"}, {"reason": "typing_error"}),
    "report": ({"occurred_at": "2026-11-22T08:00:00+08:00"}, {"occurred_at": NOW - 3_600_000}),
}


def command(name: str, fields: dict[str, Any], case_id: str = CASE) -> IncidentCommand:
    body = decoding.decode(json.dumps(fields).encode(), bodies.Command)
    made = intake.command(body, name, case_id, context(DESK), division="440305").command
    assert isinstance(made, IncidentCommand)
    return made


def errors_of(name: str, fields: dict[str, Any]) -> dict[str, Reason]:
    with pytest.raises(Invalid) as invalid:
        command(name, fields)
    return {error.pointer: error.reason for error in invalid.value.errors}


@pytest.mark.parametrize("name", list(BODIES))
def test_a_body_becomes_the_command_that_the_core_takes(name: str) -> None:
    posted, wanted = BODIES[name]
    made = command(name, posted)
    assert {field: getattr(made, field) for field in wanted} == wanted
    assert made.name == name


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - set(BODIES)))
def test_every_other_command_needs_no_more_than_a_reason(name: str) -> None:
    assert command(name, {"reason": "r"}).reason == "r"


@pytest.mark.parametrize("name", sorted(INNER))
def test_what_the_lane_asks_itself_nobody_asks_from_outside(name: str) -> None:
    assert errors_of(name, {}) == {"/name": Reason.BAD_VALUE}


@pytest.mark.parametrize(
    ("name", "fields", "pointers"),
    [
        ("convene", {}, {"/orgs"}),
        ("shelve", {}, {"/reason", "/until"}),
        ("extend", {"purpose": "lunch"}, {"/reason", "/purpose"}),
        ("supervise", {}, {"/rung"}),
        ("supervise", {"rung": "shout"}, {"/rung"}),
        ("suspend", {"reason": "busy"}, {"/reason"}),
        ("suspend", {"reason": "expert_appraisal", "until": "2026-11-21T09:00:00+08:00"}, {"/until"}),
        ("shelve", {"reason": "r", "until": "2099-01-01T00:00:00+08:00"}, {"/until"}),
        ("shelve", {"reason": "r", "until": "tomorrow"}, {"/until"}),
        ("merge_into", {"target": "440305"}, {"/target"}),
        ("offer_up", {"level": "planet"}, {"/level"}),
        ("amend", {"division": "999999"}, {"/division"}),
        ("report", {"occurred_at": "2026-11-23T09:00:00+08:00"}, {"/occurred_at"}),
        ("accept", {"rung": "remind", "orgs": ["a"], "score": 3}, {"/rung", "/orgs", "/score"}),
        ("evaluate", {"score": 6}, {"/score"}),
        ("respond", {"response_level": 5}, {"/response_level"}),
        ("convene", {"orgs": ["a", ""]}, {"/orgs/1"}),
    ],
)
def test_what_is_wrong_is_pointed_at(name: str, fields: dict[str, Any], pointers: set[str]) -> None:
    assert set(errors_of(name, fields)) == pointers


def test_of_a_citizen_a_pseudonym_is_kept_that_joins_no_two_cases() -> None:
    asking = replace(context(DESK), fingerprint=lambda data: hashlib.sha256(data).hexdigest())
    body = decoding.decode(json.dumps({"reason": "again", "person": "13800138000"}).encode(), bodies.Command)
    made = [intake.command(body, "reopen", case, asking, division="440305").command for case in (CASE, OTHER, CASE)]
    people = [one.person for one in made if isinstance(one, IncidentCommand)]
    assert people[0] == people[2] != people[1]
    assert "13800138000" not in repr(made)


def test_who_reports_again_is_known_by_the_phone_of_the_first_report() -> None:
    asking = replace(context(DESK), fingerprint=lambda data: hashlib.sha256(data).hexdigest())
    first = {"type": "M01001", "division": "440305", "occurred_at": "2026-11-22T08:30:00+08:00", "event_id": "E-1"}
    first["reporter"] = {"name": "李四", "phone": "13800138000"}  # type: ignore[assignment]
    captured = intake.incident(decoding.decode(json.dumps(first).encode(), bodies.Incident), asking).command
    body = decoding.decode(json.dumps({"reason": "again", "person": "13800138000"}).encode(), bodies.Command)
    again = intake.command(body, "reopen", captured.case_id, asking, division="440305").command
    assert isinstance(captured, IncidentCommand)
    assert isinstance(again, IncidentCommand)
    assert captured.person == again.person != ""
