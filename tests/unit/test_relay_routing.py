"""A department's record becomes one command, field by field, or is refused with a pointer; an event becomes one signed delta."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas import geohash, ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.incident_report.event import IncidentReport
from schemas.avro.live_delta.event import LiveDelta
from schemas.errors import InvalidPayload, Reason
from schemas.realms import Realm
from schemas.topics import LIVE_DELTAS
from streams.domain.core import Emit, Source
from streams.domain.incident.deltas import delta
from streams.domain.incident.intake import command_of
from tests.helpers import blank

NOW = 1_790_000_000_000  # 2026-09-21 22:13:20 in China
SOURCE = Source("sandbox.intake.sfj", 3, 41)
REPORT = IncidentReport(
    external_id="SZ-1", source_version=7, type="A10100", division="440305", occurred_at="2026-09-21T20:00:00+08:00", state="handling",
    holder="应急局", reassignments=2, reopens=1, grade=3, longitude=113.948, latitude=22.553, reason="rain",
    due_at="2026-09-25T17:30:00+08:00",
)  # fmt: skip
OBSERVED: dict[str, Any] = blank(IncidentCommand) | {
    "command_id": ids.command_id("sandbox", "sfj", "SZ-1:7"), "case_id": ids.case_id("sandbox", "sfj", "SZ-1"), "name": "observe",
    "realm": "sandbox", "expected_seq": -1, "division": "440305", "incident_type": "A10100", "actor_org": "sfj", "actor_role": "producer",
    "actor_level": "county", "actor_division": "440305", "occurred_at": 1_789_992_000_000, "occurred_offset": 480, "received_at": NOW,
    "cause": "fact", "producer": "sfj", "state": "handling", "source_version": 7, "holder": "应急局", "reassignments": 2, "reopens": 1,
    "grade": 3, "reason": "rain", "cell": geohash.cell(113.948, 22.553), "src_topic": "sandbox.intake.sfj", "src_partition": 3,
    "src_offset": 41, "src_position": 0, "evidence": False, "due_at": 1_790_328_600_000, "policy_version": "2026.1",
}  # fmt: skip
BARE: dict[str, Any] = {
    "state": None, "holder": None, "reassignments": None, "reopens": None, "grade": None, "longitude": None, "latitude": None,
    "reason": None, "due_at": None,
}  # fmt: skip
CAPTURED = OBSERVED | {
    "name": "capture", "state": "", "holder": "", "reassignments": -1, "reopens": -1, "grade": 0, "cell": "", "reason": "", "due_at": 0,
}  # fmt: skip


def routed(**changes: Any) -> IncidentCommand:
    return command_of(msgspec.structs.replace(REPORT, **changes), "sfj", Realm.SANDBOX, SOURCE, NOW, "2026.1")


def test_a_fact_becomes_one_command_field_by_field() -> None:
    assert routed() == IncidentCommand(**OBSERVED)


def test_a_matter_for_our_desks_becomes_a_capture() -> None:
    assert routed(**BARE) == IncidentCommand(**CAPTURED)


@pytest.mark.parametrize("half", [{"longitude": None}, {"latitude": None}])
def test_half_a_place_is_none(half: dict[str, Any]) -> None:
    assert routed(**half).cell == ""


def test_without_a_word_on_the_policies_the_command_names_none() -> None:
    assert command_of(REPORT, "sfj", Realm.SANDBOX, SOURCE, NOW).policy_version == ""


@pytest.mark.parametrize("grade", [1, 2, 3, 4])
@pytest.mark.parametrize(("longitude", "latitude"), [(-180.0, -90.0), (180.0, 90.0), (0.0, 0.0)])
def test_the_ends_of_what_is_allowed_are_allowed(grade: int, longitude: float, latitude: float) -> None:
    found = routed(grade=grade, longitude=longitude, latitude=latitude, external_id="x" * 200)
    assert (found.grade, found.cell) == (grade, geohash.cell(longitude, latitude))


@pytest.mark.parametrize(
    ("changes", "reason", "pointer", "detail"),
    [
        ({"external_id": ""}, Reason.BAD_VALUE, "/external_id", "external_id is empty"),
        ({"external_id": "x" * 201}, Reason.TOO_LONG, "/external_id", "at most"),
        ({"division": "999999"}, Reason.UNKNOWN_DIVISION, "/division", "no division '999999'"),
        ({"type": "X1"}, Reason.UNKNOWN_TYPE, "/type", "no event type 'X1'"),
        ({"state": "asleep"}, Reason.UNKNOWN_STATE, "/state", "no state 'asleep'"),
        ({"grade": 0}, Reason.BAD_VALUE, "/grade", "a grade is 1 to 4"),
        ({"grade": 5}, Reason.BAD_VALUE, "/grade", "a grade is 1 to 4"),
        ({"longitude": 180.1}, Reason.BAD_VALUE, "/longitude", "not a place on earth"),
        ({"longitude": -180.1}, Reason.BAD_VALUE, "/longitude", "not a place on earth"),
        ({"latitude": -90.1}, Reason.BAD_VALUE, "/longitude", "not a place on earth"),
        ({"latitude": 90.1}, Reason.BAD_VALUE, "/longitude", "not a place on earth"),
        ({"state": None}, Reason.BAD_VALUE, "/due_at", "a target goes with an observed state: what our desks do has our deadlines"),
        ({"due_at": "soon"}, Reason.BAD_VALUE, "/due_at", "not an RFC 3339 time"),
        ({"due_at": "2100-01-02T00:00:00Z"}, Reason.TIME_IN_FUTURE, "/due_at", "after 2100"),
        ({"occurred_at": "yesterday"}, Reason.BAD_VALUE, "/occurred_at", "not an RFC 3339 time"),
        ({"occurred_at": "2026-09-25T20:00:00+08:00"}, Reason.TIME_IN_FUTURE, "/occurred_at", "ten minutes"),
    ],
)
def test_what_is_wrong_is_named_and_pointed_at(changes: dict[str, Any], reason: Reason, pointer: str, detail: str) -> None:
    with pytest.raises(InvalidPayload) as found:
        routed(**changes)
    assert (found.value.reason, found.value.pointer) == (reason, pointer)
    assert detail == found.value.detail if reason is Reason.BAD_VALUE and "RFC" not in detail else detail in found.value.detail


def test_an_event_becomes_one_delta_field_by_field() -> None:
    words = {name: f"the {name}" for name, kind in IncidentEvent.__annotations__.items() if kind in (str, "str")}
    event = IncidentEvent(**blank(IncidentEvent) | words | {"case_seq": 4, "occurred_at": 5, "received_at": 6, "mirrored": True})
    same = (
        "event_id", "case_id", "case_seq", "case_number", "realm", "type", "title", "county", "county_from", "incident_type", "type_from",
        "state", "state_from", "division", "occurred_at", "received_at", "mirrored",
    )  # fmt: skip
    source: dict[str, Any] = {"src_topic": "sandbox.intake.sfj", "src_partition": 3, "src_offset": 41, "src_position": 0}
    wanted = LiveDelta(**{name: getattr(event, name) for name in same}, **source)
    assert delta(event, SOURCE) == Emit(LIVE_DELTAS, "the realm", "the case_id", wanted, 0)
