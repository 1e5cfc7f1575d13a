"""Answers to pages, through the gateway's HTTP in process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas import ids
from schemas.avro.alarm_command.event import AlarmCommand
from schemas.codec import codec
from tests.gateway_stage import Stage, open_stage

PAGE = ids.derived_id("notifications", 0, 1, 0, 0)
CASE = ids.case_id("live", "demo-producer", "X-1")
WHO = "nanshan-desk"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as made:
        yield made


async def test_who_answers_a_page_of_an_incident_acknowledges_it_by_name(stage: Stage) -> None:
    answer = await stage.post(f"/v1/pages/{PAGE}/ack?kind=incident&case={CASE}", b"", WHO)
    assert answer.status_code == 202, answer.text
    (command,) = stage.commands()
    assert answer.json()["command_id"] == command.command_id
    assert (command.name, command.case_id, command.actor_person, command.actor_level) == ("acknowledge", CASE, "p-17", "county")
    assert (command.purpose, command.expected_seq) == ("", -1)


async def test_the_same_answer_again_is_the_same_command_and_anothers_is_another(stage: Stage) -> None:
    path = f"/v1/pages/{PAGE}/ack?kind=incident&case={CASE}"
    answers = [(await stage.post(path, b"", who)).json()["command_id"] for who in (WHO, WHO, "shenzhen-desk")]
    assert answers[0] == answers[1] != answers[2]


async def test_an_alarm_is_acknowledged_while_reads_are_away(stage: Stage) -> None:
    stage.reads.away = True
    case = ids.alarm_id("live", "x", "device:1")
    assert (await stage.post(f"/v1/pages/{PAGE}/ack?kind=alarm&case={case}", b"", WHO)).status_code == 202
    (command,) = [codec(AlarmCommand).decode(record.value) for record in stage.producer.records("alarm.commands")]
    assert (command.name, command.case_id, command.actor_person) == ("ack", case, "p-17")
    assert not stage.reads.seen


async def test_without_the_case_the_read_port_is_asked_for_it(stage: Stage) -> None:
    stage.reads.pages[PAGE] = {"case_id": CASE, "kind": "incident", "division": "440305"}
    assert (await stage.post(f"/v1/pages/{PAGE}/ack", b"", WHO)).status_code == 202
    assert stage.commands()[0].case_id == CASE
    other = await stage.post(f"/v1/pages/{CASE}/ack", b"", WHO)
    assert other.status_code == 404


async def test_who_may_not_command_there_may_not_answer(stage: Stage) -> None:
    path = f"/v1/pages/{PAGE}/ack?kind=incident&case={CASE}"
    assert (await stage.post(path, b"", "demo-producer")).status_code == 403
    assert (await stage.post(path, b"", "nobody")).status_code == 401
    stage.reads.pages[PAGE] = {"case_id": CASE, "kind": "incident", "division": "440304"}
    assert (await stage.post(f"/v1/pages/{PAGE}/ack", b"", WHO)).status_code == 403
    assert not stage.commands()


@pytest.mark.parametrize(
    ("query", "pointer"), [(f"kind=mediation&case={CASE}", "/kind"), (f"case={CASE}", "/kind"), ("kind=incident&case=x", "/case_id")]
)
async def test_what_is_wrong_is_pointed_at(stage: Stage, query: str, pointer: str) -> None:
    answer = await stage.post(f"/v1/pages/{PAGE}/ack?{query}", b"", WHO)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_page_is_read_through_the_read_port(stage: Stage) -> None:
    stage.reads.pages[PAGE] = {"case_id": CASE, "kind": "incident", "division": "440305", "status": "sent"}
    answer = await stage.get(f"/v1/pages/{PAGE}", WHO)
    assert (answer.status_code, answer.json()["status"]) == (200, "sent")


async def test_the_route_is_described_with_its_parameters(stage: Stage) -> None:
    described = (await stage.http.get("/openapi.json")).json()["paths"]["/v1/pages/{page}/ack"]["post"]
    assert {one["name"] for one in described["parameters"]} >= {"page", "realm", "case", "kind"}
    assert "requestBody" not in described
