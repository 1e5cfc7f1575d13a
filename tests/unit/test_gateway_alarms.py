"""Presses and what responders do about them, through the gateway's HTTP in process."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from schemas import ids
from schemas.avro.alarm_command.event import AlarmCommand
from schemas.codec import codec
from schemas.headers import DIVISION
from schemas.state.sealed.event import Sealed
from schemas.topics import ALARM
from services.acks import AckReader
from services.adapters.keyfile import KeyFileError
from tests.gateway_stage import NOW, Stage, open_stage

ALARMS = codec(AlarmCommand)
PRESS = {"device": "LH-000123", "event_id": "P-1", "occurred_at": "2026-11-22T09:29:58+08:00"}
SECRETS: dict[str, Any] = {
    "person": "某甲-1940",
    "reporter": {"name": "某甲", "phone": "13800000000"},
    "note": "摔倒",
    "place": {"address": "某路1号"},
}
WHO = "longhu-terminals"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as made:
        yield made


def commands(stage: Stage, topic: str = "alarm.commands") -> list[AlarmCommand]:
    return [ALARMS.decode(record.value) for record in stage.producer.records(topic)]


async def pressed(stage: Stage, who: str = WHO, status: int = 202, **changes: Any) -> dict[str, Any]:
    answer = await stage.post("/v1/alarms", {**PRESS, **changes}, who)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_press_is_accepted_with_its_ids_and_stands_in_kafka_and_ledger(stage: Stage) -> None:
    answer = await pressed(stage)
    (command,) = commands(stage)
    case_id = ids.alarm_id("live", WHO, "device:LH-000123")
    number = ids.case_number(case_id, "440507", command.occurred_at)
    assert answer == {
        "case_id": case_id, "command_id": command.command_id, "event_id": "P-1", "status_url": f"/v1/alarms/{case_id}",
        "case_number": number,
    }  # fmt: skip
    assert (command.name, command.division, command.alarm_class, command.mended) == ("press", "440507", "unclear", "")
    assert (command.actor_role, command.cause, command.device) == ("device", "fact", "LH-000123")
    (record,) = stage.producer.records("alarm.commands")
    assert record.key == case_id.encode()
    assert dict(record.headers)[DIVISION] == b"440507"
    assert [(ack.kind, ack.command_id) for ack in AckReader(stage.folder / "acks")] == [(ALARM, command.command_id)]
    for path in (answer["status_url"], f"/v1/alarms/{number}"):
        found = await stage.get(path, "longhu-desk")
        assert (found.status_code, found.json()["status"]) == (202, "accepted, pending")
    assert (await stage.get(f"/v1/cases/{case_id}", "longhu-desk")).status_code == 404, "an alarm is no incident"


async def test_the_same_press_again_is_the_same_command_and_the_next_press_of_the_device_the_same_alarm(stage: Stage) -> None:
    first, again, next_one = await pressed(stage), await pressed(stage), await pressed(stage, event_id="P-2")
    assert first == again
    assert next_one["case_id"] == first["case_id"]
    assert next_one["command_id"] != first["command_id"]
    other = await pressed(stage, device="LH-000124")
    assert other["case_id"] != first["case_id"]


async def test_presses_without_any_id_are_told_apart_by_their_time_and_never_taken_for_one(stage: Stage) -> None:
    bare = {"device": "LH-1"}
    ids_of = [(await stage.post("/v1/alarms", body, WHO)).json()["command_id"] for body in (
        bare | {"occurred_at": PRESS["occurred_at"]}, bare | {"occurred_at": PRESS["occurred_at"]},
        bare | {"occurred_at": "2026-11-22T09:29:59+08:00"}, bare,
    )]  # fmt: skip
    assert ids_of[0] == ids_of[1]
    assert len(set(ids_of)) == 3


@pytest.mark.parametrize(
    ("line", "same"),
    [({"device": "D", "person": "P"}, {"device": "D", "person": "Q"}), ({"person": "P"}, {"person": "P", "external_id": "7"}),
     ({"external_id": "7"}, {"external_id": "7"})],
)  # fmt: skip
async def test_a_line_is_the_device_else_the_person_else_the_matter(stage: Stage, line: dict[str, str], same: dict[str, str]) -> None:
    bodies = [{**line, "event_id": "1"}, {**same, "event_id": "2"}]
    first, second = [(await stage.post("/v1/alarms", body, WHO)).json() for body in bodies]
    assert first["case_id"] == second["case_id"]


@pytest.mark.parametrize(
    ("changes", "mended"),
    [({"division": "999999"}, "unknown_division"), ({"division": "440106"}, "out_of_scope"), ({"class": "flood"}, "unknown_type"),
     ({"occurred_at": "1970-01-01T00:00:05+08:00"}, "time_too_old"), ({"occurred_at": "2031-01-01T00:00:00+08:00"}, "time_in_future"),
     ({"occurred_at": "half past nine"}, "bad_value"), ({"place": {"lon": 116.7, "lat": 23.4, "crs": "GCJ-02"}}, "bad_value"),
     ({"class": "?", "division": "1"}, "unknown_division+unknown_type")],
)  # fmt: skip
async def test_a_press_with_a_wrong_code_clock_or_place_is_set_right_and_not_refused(
    stage: Stage, changes: dict[str, Any], mended: str
) -> None:
    await pressed(stage, **changes)
    (command,) = commands(stage)
    assert (command.mended, command.division, command.alarm_class, command.cell) == (mended, "440507", "unclear", "")
    assert abs(command.occurred_at - NOW) <= 2000


@pytest.mark.parametrize(
    ("who", "changes", "status"),
    [("demo-producer", {}, 403), ("screen", {}, 403), ("nobody", {}, 401), (WHO, {"devise": "x"}, 422), ("nanshan-desk", {}, 202)],
)
async def test_only_devices_and_desks_press(stage: Stage, who: str, changes: dict[str, Any], status: int) -> None:
    await pressed(stage, who, status, **changes)
    assert len(commands(stage)) == (status == 202)


async def test_realms_share_no_alarm(stage: Stage) -> None:
    live = await pressed(stage)
    sandbox = (await stage.post("/v1/alarms?realm=sandbox", PRESS, WHO)).json()
    assert sandbox["case_id"] != live["case_id"]
    assert sandbox["status_url"].endswith("?realm=sandbox")
    assert [command.realm for command in commands(stage, "sandbox.alarm.commands")] == ["sandbox"]


async def test_persons_are_sealed_and_only_a_pseudonym_is_in_the_command(stage: Stage) -> None:
    await pressed(stage, **SECRETS)
    (command,) = commands(stage)
    (record,) = stage.producer.records("incident.sealed")
    assert command.sealed_ref == codec(Sealed).decode(record.value).sealed_id
    assert len(command.subject) == 32
    everything = b"".join((record.value or b"") + record.key for kept in stage.producer.log.values() for record in kept)
    everything += b"".join(path.read_bytes() for path in stage.folder.rglob("*") if path.is_file())
    for secret in ("某甲", "13800000000", "摔倒", "某路1号", "1940"):
        assert secret.encode() not in everything


async def test_a_press_does_not_wait_for_personal_data_that_cannot_be_stored(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.producer.away_topics.add("incident.sealed")
    answer = await pressed(stage, **SECRETS)
    assert answer["personal_data"] == "not stored"

    async def full(_: Any) -> Any:
        raise KeyFileError("the disk is full")

    monkeypatch.setattr(stage.vault, "ensure", full)
    assert (await pressed(stage, event_id="P-2", **SECRETS))["personal_data"] == "not stored"
    assert [command.sealed_ref for command in commands(stage)] == ["", ""]


async def test_the_desk_reads_who_pressed_and_erasing_one_alarm_leaves_the_next_its_address(stage: Stage) -> None:
    answer = await pressed(stage, **SECRETS)

    def row(value: bytes) -> dict[str, Any]:
        sealed = codec(Sealed).decode(value)
        texts = {"nonce": base64.b64encode(sealed.nonce).decode(), "ciphertext": base64.b64encode(sealed.ciphertext).decode()}
        return {"sealed_id": sealed.sealed_id, "received_at": 0, **texts}

    def stored() -> None:
        rows = [row(record.value or b"") for record in stage.producer.records("incident.sealed")]
        held = {"case_id": answer["case_id"], "division": "440507", "holder_level": "county", "sealed": rows, "kind": "alarm"}
        stage.reads.sealed[answer["case_id"]] = held

    stored()
    path = f"/v1/cases/{answer['case_id']}/sealed?reason=call"
    (record,) = (await stage.get(path, "longhu-desk")).json()["records"]
    assert (record["reporter"]["name"], record["address"], record["person"]) == ("某甲", "某路1号", "某甲-1940")
    erased = await stage.http.delete(path, headers={"Authorization": "Bearer key-longhu-desk"})
    assert erased.json()["erased"] is True
    assert (await stage.get(path, "longhu-desk")).status_code == 410
    later = await pressed(stage, event_id="P-2", **SECRETS)
    assert "personal_data" not in later
    stored()
    (record,) = (await stage.get(path, "longhu-desk")).json()["records"]
    assert record["note"] == "摔倒"


async def test_a_responder_acknowledges_by_id_while_reads_are_away(stage: Stage) -> None:
    case_id = ids.alarm_id("live", WHO, "device:LH-9")
    stage.reads.away = True
    answer = await stage.post(f"/v1/alarms/{case_id}/commands/ack", {"expected_seq": 1}, "longhu-desk")
    assert answer.status_code == 202
    assert answer.json()["status_url"] == f"/v1/commands/{answer.json()['command_id']}"
    closing = await stage.post(f"/v1/alarms/{case_id}/commands/close", {"reason": "helped", "event_id": "C"}, "longhu-desk")
    assert closing.status_code == 202
    made = commands(stage)
    assert [(c.name, c.actor_person, c.expected_seq, c.reason) for c in made] == [("ack", "p-21", 1, ""), ("close", "p-21", -1, "helped")]
    assert {c.case_id for c in made} == {case_id}


@pytest.mark.parametrize(
    ("who", "name", "status"),
    [("longhu-desk", "resolve", 422), (WHO, "ack", 403), ("demo-producer", "ack", 403), ("nanshan-desk", "ack", 404)],
)
async def test_only_desks_of_the_place_answer_and_only_by_known_commands(stage: Stage, who: str, name: str, status: int) -> None:
    answer = await pressed(stage)
    given = await stage.post(f"/v1/alarms/{answer['case_number']}/commands/{name}", {}, who)
    assert given.status_code == status
    assert len(commands(stage)) == 1
