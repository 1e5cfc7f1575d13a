"""Intake: what a body becomes, and what is said about a wrong one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from schemas import geohash, ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.errors import Reason
from schemas.principals import Principal
from schemas.realms import Realm
from services.gateway import bodies, cloudevents, decoding, intake
from services.gateway.decoding import Invalid
from services.gateway.intake import Accepted, Context
from tests.principals import ADMIN, DESK, OTHER_DESK, PRODUCER, SCREEN

NOW = int(datetime.fromisoformat("2026-11-22T09:00:00+08:00").timestamp() * 1000)
GOOD = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-22T08:30:00+08:00", "event_id": "E-1"}
FACT = {**GOOD, "external_id": "X-1", "source_version": 3, "state": "handling"}
CASE = ids.case_id("live", "demo-producer", "E-1")


def context(principal: Principal = PRODUCER, realm: Realm = Realm.LIVE, now: int = NOW) -> Context:
    return Context(principal, realm, now, lambda data: f"auto-{len(data)}", "home")


def incident(fields: dict[str, Any], **options: Any) -> Accepted:
    key, fact = options.pop("key", ""), options.pop("fact", False)
    return intake.incident(decoding.decode(json.dumps(fields).encode(), bodies.Incident), context(**options), key=key, fact=fact)


def errors_of(fields: Any, **options: Any) -> dict[str, Reason]:
    with pytest.raises(Invalid) as invalid:
        incident(fields, **options)
    return {error.pointer: error.reason for error in invalid.value.errors}


def test_an_incident_becomes_a_capture() -> None:
    accepted = incident(GOOD)
    command = accepted.command
    assert isinstance(command, IncidentCommand)
    assert (command.name, command.state, command.cause, command.producer) == ("capture", "", "fact", "demo-producer")
    assert command.case_id == ids.case_id("live", "demo-producer", "E-1")
    assert command.command_id == ids.command_id("live", "demo-producer", "E-1")
    assert (command.occurred_at, command.occurred_offset, command.received_at) == (NOW - 1_800_000, 480, 0)
    assert (command.src_topic, command.home_cluster, command.sealed_ref) == ("", "home", "")
    assert accepted.case_number == ids.case_number(command.case_id, "440305", command.occurred_at)
    assert accepted.event_id == "E-1"


def test_the_actor_is_the_principal_and_nobody_else() -> None:
    command = incident(GOOD, principal=DESK).command
    assert (command.actor_person, command.actor_org, command.actor_role) == ("p-17", "440305-desk", "desk")
    assert (command.actor_level, command.actor_division, command.cause) == ("county", "440305", "user")
    for name in ("producer", "principal", "actor", "actor_org", "realm", "case_id", "command_id", "received_at"):
        assert errors_of({**GOOD, name: "other"}) == {f"/{name}": Reason.BAD_VALUE}


def test_a_state_makes_it_an_observed_fact_with_the_version_in_its_id() -> None:
    command = incident({**FACT, "event_id": None, "holder": "应急局", "reassignments": 2, "grade": 3}).command
    assert isinstance(command, IncidentCommand)
    assert (command.name, command.state, command.source_version, command.holder) == ("observe", "handling", 3, "应急局")
    assert (command.reassignments, command.reopens, command.grade) == (2, -1, 3)
    assert command.case_id == ids.case_id("live", "demo-producer", "X-1")
    assert command.command_id == ids.command_id("live", "demo-producer", "X-1:3")


def test_a_fact_brings_its_own_target_and_a_matter_for_our_desks_has_none() -> None:
    made = incident({**FACT, "due_at": "2026-11-29T17:30:00+08:00"}).command
    assert isinstance(made, IncidentCommand)
    assert made.due_at == 1_795_944_600_000
    assert errors_of({**FACT, "due_at": "2200-01-01T00:00:00Z"}) == {"/due_at": Reason.TIME_IN_FUTURE}
    assert errors_of({**FACT, "due_at": "tomorrow"}) == {"/due_at": Reason.BAD_VALUE}
    assert errors_of({**GOOD, "due_at": "2026-11-29T17:30:00+08:00"}) == {"/due_at": Reason.BAD_VALUE}


def test_the_key_in_the_header_stands_in_for_the_event_id() -> None:
    without = {name: value for name, value in GOOD.items() if name != "event_id"}
    assert incident(without, key="E-1").command == incident(GOOD).command
    assert incident(GOOD, key="other").command == incident(GOOD).command


def test_a_body_without_any_id_gets_one_from_its_content() -> None:
    without = {name: value for name, value in GOOD.items() if name != "event_id"}
    first = incident(without)
    assert first.event_id.startswith("auto-")
    assert first.command == incident(dict(reversed(without.items()))).command


def test_realms_and_producers_do_not_share_cases() -> None:
    made = (incident(GOOD), incident(GOOD, realm=Realm.SANDBOX), incident(GOOD, principal=DESK))
    assert len({accepted.command.case_id for accepted in made}) == 3


def test_persons_and_free_text_are_set_aside_for_sealing_and_nowhere_else() -> None:
    body = {
        **GOOD,
        "reporter": {"name": "某甲", "phone": "13800000000", "id": "44030519900101"},
        "note": "楼道积水",
        "place": {"lon": 113.948, "lat": 22.553, "address": "某路1号"},
    }
    accepted = incident(body)
    assert json.loads(accepted.personal) == {"reporter": body["reporter"], "note": "楼道积水", "address": "某路1号"}
    assert accepted.command.sealed_ref == ids.sealed_id(accepted.command.command_id)
    assert accepted.command.cell == geohash.cell(113.948, 22.553)
    text = repr(accepted.command)
    for secret in ("某甲", "13800000000", "44030519900101", "楼道积水", "某路", "113.948"):
        assert secret not in text


def test_a_place_without_address_needs_no_seal() -> None:
    accepted = incident({**GOOD, "place": {"lon": 113.948, "lat": 22.553, "crs": "CGCS2000"}})
    assert (accepted.personal, accepted.command.sealed_ref) == (b"", "")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "Z99999"}, {"/type": Reason.UNKNOWN_TYPE}),
        ({"type": 7}, {"/type": Reason.BAD_VALUE}),
        ({"division": "999999"}, {"/division": Reason.UNKNOWN_DIVISION}),
        ({"occurred_at": "2026-11-22T08:30:00"}, {"/occurred_at": Reason.BAD_VALUE}),
        ({"occurred_at": "gestern"}, {"/occurred_at": Reason.BAD_VALUE}),
        ({"occurred_at": "1999-12-31T00:00:00+08:00"}, {"/occurred_at": Reason.TIME_TOO_OLD}),
        ({"occurred_at": "2026-11-22T09:10:01+08:00"}, {"/occurred_at": Reason.TIME_IN_FUTURE}),
        ({"state": "sleeping"}, {"/state": Reason.UNKNOWN_STATE}),
        ({"grade": 5}, {"/grade": Reason.BAD_VALUE}),
        ({"source_version": -1}, {"/source_version": Reason.BAD_VALUE}),
        ({"source_version": 2**70}, {"/source_version": Reason.BAD_VALUE}),
        ({"event_id": ""}, {"/event_id": Reason.BAD_VALUE}),
        ({"event_id": "x" * 201}, {"/event_id": Reason.BAD_VALUE}),
        ({"note": "x" * 4001}, {"/note": Reason.BAD_VALUE}),
        ({"reason": "a whole sentence with a name in it"}, {"/reason": Reason.BAD_VALUE}),
        ({"place": {"lon": 113.9}}, {"/place/lat": Reason.BAD_VALUE}),
        ({"place": {"lon": 213.9, "lat": 22}}, {"/place/lon": Reason.BAD_VALUE}),
        ({"place": {"lon": 113.9, "lat": 22, "crs": "GCJ-02"}}, {"/place/crs": Reason.BAD_VALUE}),
        ({"place": {"lat/lon": 1}}, {"/place/lat~1lon": Reason.BAD_VALUE}),
        ({"reporter": {"phone": "1"}}, {"/reporter/name": Reason.BAD_VALUE}),
        ({"a~b": 1}, {"/a~0b": Reason.BAD_VALUE}),
        ({"type": "Z9", "division": "0", "state": "?"}, {
            "/type": Reason.UNKNOWN_TYPE, "/division": Reason.UNKNOWN_DIVISION, "/state": Reason.UNKNOWN_STATE,
        }),
        ({"type": None, "division": 440305, "grade": "high", "x": 1}, {
            "/type": Reason.BAD_VALUE, "/division": Reason.BAD_VALUE, "/grade": Reason.BAD_VALUE, "/x": Reason.BAD_VALUE,
        }),
    ],
)  # fmt: skip
def test_every_wrong_field_is_pointed_at(change: dict[str, Any], expected: dict[str, Reason]) -> None:
    assert errors_of({**GOOD, **change}) == expected


def test_ten_minutes_of_future_are_taken_in_every_realm() -> None:
    for realm in (Realm.LIVE, Realm.REPLAY):
        assert incident({**GOOD, "occurred_at": "2026-11-22T09:10:00+08:00"}, realm=realm)
        late = {**GOOD, "occurred_at": "2026-11-22T09:10:01+08:00"}
        assert errors_of(late, realm=realm) == {"/occurred_at": Reason.TIME_IN_FUTURE}


def test_missing_fields_are_all_named() -> None:
    assert errors_of({}) == dict.fromkeys(("/type", "/division", "/occurred_at"), Reason.BAD_VALUE)


def test_who_may_not_send_for_a_division_is_told_so() -> None:
    assert errors_of(GOOD, principal=OTHER_DESK) == {"/division": Reason.OUT_OF_SCOPE}
    assert errors_of(GOOD, principal=SCREEN) == {"/division": Reason.OUT_OF_SCOPE}


def test_a_fact_needs_state_number_and_version() -> None:
    bare = {name: value for name, value in GOOD.items() if name != "event_id"}
    assert set(errors_of(bare, fact=True)) == {"/state", "/external_id", "/source_version"}
    assert incident({**FACT, "event_id": None}, fact=True)
    assert incident({**FACT, "source_version": None}, fact=True).event_id == "E-1"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", '{"type":"火灾"}'.encode("gb18030"), b'{"type":"\\ud800"}', b"[" * 100_000],
)
def test_what_is_no_object_of_json_is_refused_as_a_whole(data: bytes) -> None:
    with pytest.raises(Invalid) as invalid:
        decoding.decode(data, bodies.Incident)
    assert [error.pointer for error in invalid.value.errors] == [""]


# --- commands of desks ---


def command(name: str, fields: dict[str, Any], principal: Principal = DESK, division: str = "440305", key: str = "") -> Accepted:
    body = decoding.decode(json.dumps(fields).encode(), bodies.Command)
    return intake.command(body, name, CASE, context(principal), key=key, division=division)


def test_a_desks_command_carries_who_asks_and_what_was_seen() -> None:
    made = command("assign", {"expected_seq": 3, "org": "440305-emergency", "note": "请尽快"}).command
    assert (made.name, made.case_id, made.expected_seq, made.org) == ("assign", CASE, 3, "440305-emergency")
    assert (made.actor_person, made.actor_division, made.cause, made.producer) == ("p-17", "440305", "user", "nanshan-desk")
    assert made.sealed_ref == ids.sealed_id(made.command_id)
    assert "请尽快" not in repr(made)


def test_the_same_press_on_the_same_sight_is_the_same_command() -> None:
    assert command("accept", {"expected_seq": 1}).command == command("accept", {"expected_seq": 1}).command
    assert command("accept", {}, key="k").command.command_id == command("accept", {"event_id": "k"}).command.command_id
    assert command("accept", {"expected_seq": 1}).command.command_id != command("accept", {"expected_seq": 2}).command.command_id


@pytest.mark.parametrize(
    ("name", "principal", "division", "pointer", "reason"),
    [
        ("explode", DESK, "440305", "/name", Reason.BAD_VALUE),
        ("capture", DESK, "440305", "/name", Reason.BAD_VALUE),
        ("accept", PRODUCER, "440305", "", Reason.OUT_OF_SCOPE),
        ("accept", SCREEN, "440305", "", Reason.OUT_OF_SCOPE),
        ("accept", OTHER_DESK, "440305", "", Reason.OUT_OF_SCOPE),
    ],
)
def test_commands_are_for_desks_of_the_subtree_and_of_the_table(
    name: str, principal: Principal, division: str, pointer: str, reason: Reason
) -> None:
    with pytest.raises(Invalid) as invalid:
        command(name, {}, principal, division)
    assert [(error.pointer, error.reason) for error in invalid.value.errors] == [(pointer, reason)]


def test_an_administrator_may_command_too() -> None:
    assert command("withdraw", {"reason": "duplicate"}, ADMIN).command.reason == "duplicate"


# --- lines and CloudEvents ---


def test_lines_say_their_kind() -> None:
    def kinds(fields: dict[str, Any], principal: Principal = PRODUCER) -> str:
        return intake.line(json.dumps(fields).encode(), context(principal)).command.name

    assert kinds({"kind": "incident", **GOOD}) == "capture"
    assert kinds({"kind": "fact", **FACT}) == "observe"
    assert kinds({"kind": "command", "case_id": CASE, "name": "accept"}, DESK) == "accept"
    for wrong in ({**GOOD}, {**GOOD, "kind": "rumour"}, {"kind": "command", "case_id": "7", "name": "accept"}):
        with pytest.raises(Invalid):
            kinds(wrong, DESK)


def event(data: Any, **attributes: Any) -> Accepted:
    envelope = {"specversion": "1.0", "id": "1", "source": "/dept/a", "type": "liandong.incident", "data": data, **attributes}
    return cloudevents.event(json.dumps(envelope).encode(), context(DESK if "command" in envelope["type"] else PRODUCER))


def test_a_cloudevent_is_the_same_body_in_an_envelope() -> None:
    assert event(GOOD).command == incident(GOOD).command
    assert event(FACT, type="liandong.fact").command == incident(FACT).command
    assert event({"kind": "command", "case_id": CASE, "name": "accept", "event_id": "k"}, type="liandong.command").command.name == "accept"


def test_source_and_id_together_are_the_idempotency_key() -> None:
    bare = {name: value for name, value in GOOD.items() if name != "event_id"}
    assert event(bare).command == event(bare, subject="x", anextension=1).command
    others = {event(bare).command.case_id, event(bare, source="/dept/b").command.case_id, event(bare, id="2").command.case_id}
    assert len(others) == 3


def test_the_envelopes_time_stands_in_for_an_absent_one() -> None:
    bare = {name: value for name, value in GOOD.items() if name != "occurred_at"}
    assert event(bare, time="2026-11-22T08:30:00+08:00").command == incident(GOOD).command
    assert event(GOOD, time="2026-11-22T08:00:00+08:00").command == incident(GOOD).command


@pytest.mark.parametrize(
    ("attributes", "pointers"),
    [
        ({"specversion": "0.3"}, {"/specversion"}),
        ({"type": "com.example.other"}, {"/type"}),
        ({"datacontenttype": "application/xml"}, {"/datacontenttype"}),
        ({"data": None, "data_base64": "e30="}, {"/data_base64"}),
        ({"data": {**GOOD, "division": "0"}}, {"/data/division"}),
        ({"data": {"place": 7}}, {"/data/type", "/data/division", "/data/occurred_at", "/data/place"}),
        ({"data": {k: v for k, v in GOOD.items() if k != "occurred_at"}, "time": "2030-01-01T00:00:00Z"}, {"/time"}),
        ({"data": [1]}, {"/data"}),
        ({"id": ""}, {"/id"}),
    ],
)
def test_pointers_lead_into_the_event(attributes: dict[str, Any], pointers: set[str]) -> None:
    with pytest.raises(Invalid) as invalid:
        event(**{"data": GOOD, **attributes})
    assert {error.pointer for error in invalid.value.errors} == pointers
