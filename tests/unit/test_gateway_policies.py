"""Activating policies over HTTP: who may, what is refused and where it points, what cases get from then on, and two gateways at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.avro.activation.event import Activation
from schemas.codec import codec
from schemas.policies import latest
from schemas.policy import store
from schemas.policy.schedule import Schedule, key_of
from schemas.policy.store import Locked
from schemas.realms import Realm
from services.gateway.workers import RunningWorkers
from services.ports import Record
from tests.gateway_stage import NOW, Stage, open_stage

PATH = "/v1/policies/active"
WITHDRAW = f"{PATH}:withdraw"
YEAR = "2027-01-01T00:00:00+08:00"
ACTIVATIONS = codec(Activation)
INCIDENT = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-22T09:00:00+08:00"}
HOUR = 3_600_000


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as opened:
        yield opened


@pytest.fixture
def read_only_version(monkeypatch: pytest.MonkeyPatch) -> str:
    """A version that this release reads and the next one uses."""
    lines = (*store.locked(), Locked("versions/2026.9.toml", "", used=False))
    monkeypatch.setattr(store, "locked", lambda: lines)
    return "2026.9"


def body(**more: Any) -> dict[str, Any]:
    return {"version": "2026.1", "reason": "联席会议纪要第3号"} | more


def written(stage: Stage) -> list[Activation]:
    return [ACTIVATIONS.decode(record.value) for record in stage.producer.records("config")]


def activation(version: str, realm: str, moment: int, at: int = 0) -> Activation:
    return Activation(version, "", realm, moment, "admin", "p-1", "440000-desk", "because", at)


# --- the route --------------------------------------------------------------------------------------------------------


async def test_nothing_activated_means_the_newest_version_of_the_release(stage: Stage) -> None:
    answer = (await stage.get(PATH, who="screen")).json()
    assert answer == {
        "realm": "live", "version": latest(), "since": None, "newest": latest(), "standing": None, "planned": [], "earlier": [],
        "withdrawn": [],
    }  # fmt: skip


async def test_an_activation_is_written_with_who_asked_and_why_and_holds_at_once(stage: Stage) -> None:
    answer = await stage.put(PATH, body())
    assert answer.status_code == 200, answer.text
    (record,) = written(stage)
    assert record == Activation("2026.1", store.fingerprint("2026.1"), "live", NOW, "admin", "p-1", "440000-desk", "联席会议纪要第3号", NOW)
    assert answer.json()["activated"] == answer.json()["standing"] | {"holds": True}
    assert (answer.json()["version"], answer.json()["since"]) == ("2026.1", NOW)
    (kafka,) = stage.producer.records("config")
    assert kafka.key == f"policies/live/{NOW}".encode()
    assert ("ce_type", b"activation") in kafka.headers


async def test_what_is_planned_is_shown_and_does_not_hold_yet_and_other_realms_know_nothing_of_it(stage: Stage) -> None:
    await stage.put(PATH, body(**{"from": "2026-12-01T00:00:00+08:00"}))
    answer = (await stage.get(PATH)).json()
    assert (answer["standing"], answer["since"], answer["earlier"]) == (None, None, [])
    (planned,) = answer["planned"]
    assert (planned["version"], planned["active_from"], planned["known"]) == ("2026.1", 1_796_054_400_000, True)
    assert (await stage.get(PATH, params={"realm": "sandbox"})).json()["planned"] == []


@pytest.mark.parametrize(
    ("asked", "pointers"),
    [
        (body(version="1999.1"), ["/version"]),
        (body(**{"from": "2026-11-22T09:29:59+08:00"}), ["/from"]),
        (body(**{"from": "2026-11-22T09:40:00"}), ["/from"]),
        (body(**{"from": "2030-01-01T00:00:00+08:00"}), ["/from"]),
        (body(version="x", **{"from": "yesterday"}), ["/version", "/from"]),
        ({"version": "2026.1"}, ["/reason"]),
        (body(reason=""), ["/reason"]),
        (body(reason="字" * 501), ["/reason"]),
        (body(by="somebody else"), ["/by"]),
    ],
)
async def test_what_cannot_be_is_refused_with_a_pointer_and_nothing_is_written(stage: Stage, asked: Any, pointers: list[str]) -> None:
    answer = await stage.put(PATH, asked)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert written(stage) == []


async def test_a_version_that_this_release_only_reads_is_not_activated(stage: Stage, read_only_version: str) -> None:
    answer = await stage.put(PATH, body(version=read_only_version))
    assert answer.status_code == 422
    assert "this release only reads it" in answer.json()["errors"][0]["detail"]


async def test_a_version_is_not_activated_in_the_live_realm_before_the_day_it_is_in_force(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.policies.midnight", lambda day: NOW + HOUR)
    answer = await stage.put(PATH, body())
    assert answer.json()["errors"][0] == {
        "pointer": "/from", "reason": "bad_value", "detail": "2026.1 is in force from 2026-11-01, not before",
    }  # fmt: skip
    assert (await stage.put(PATH, body(**{"from": "2026-11-22T10:30:00+08:00"}))).status_code == 200
    assert (await stage.put(PATH, body(), params={"realm": "sandbox"})).status_code == 200, "a rehearsal may run ahead"


async def test_only_administrators_activate_and_only_in_their_realms(stage: Stage) -> None:
    for who in ("nanshan-desk", "nanshan-admin", "screen", "demo-producer", "longhu-terminals"):
        assert (await stage.put(PATH, body(), who=who)).status_code == 403
        assert (await stage.post(WITHDRAW, {"from": YEAR, "reason": "x"}, who=who)).status_code == 403
    assert (await stage.put(PATH, body(), who="nobody")).status_code == 401
    assert (await stage.put(PATH, body(), params={"realm": "drill"})).status_code == 422
    assert written(stage) == []


async def test_while_a_running_worker_does_not_know_the_version_it_is_refused(stage: Stage) -> None:
    stage.workers.knows[Realm.LIVE] = ("2025.1", "2025.2")
    answer = await stage.put(PATH, body())
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["pointer"] == "/version"
    assert "case-live knows 2025.1, 2025.2" in answer.json()["detail"]
    assert written(stage) == []
    assert (await stage.put(PATH, body(), params={"realm": "sandbox"})).status_code == 200, "its own realm's workers count"


async def test_what_is_planned_is_withdrawn_with_who_and_why_and_may_be_planned_again(stage: Stage) -> None:
    for moment in ("2026-12-01T00:00:00+08:00", YEAR):
        await stage.put(PATH, body(**{"from": moment}))
    answer = (await stage.post(WITHDRAW, {"from": YEAR, "reason": "印发推迟"}, who="admin")).json()
    (record,) = [one for one in written(stage) if not one.version]
    assert record == Activation("", "", "live", 1_798_732_800_000, "admin", "p-1", "440000-desk", "印发推迟", NOW)
    keys = [one.key for one in stage.producer.records("config")]
    assert keys.count(key_of(record).encode()) == 2, "compaction keeps it in place of the plan"
    assert [one["active_from"] for one in answer["planned"]] == [1_796_054_400_000]
    assert [(one["active_from"], one["person"], one["reason"]) for one in answer["withdrawn"]] == [(1_798_732_800_000, "p-1", "印发推迟")]
    assert (await stage.post(WITHDRAW, {"from": YEAR, "reason": "again"}, who="admin")).status_code == 422
    again = (await stage.put(PATH, body(**{"from": YEAR}))).json()
    assert (len(again["planned"]), again["withdrawn"]) == (2, [])


@pytest.mark.parametrize(
    ("asked", "pointer", "said"),
    [
        ({"from": "2026-12-02T00:00:00+08:00", "reason": "x"}, "/from", "nothing is planned for then; 2 activations are planned"),
        ({"from": "2026-11-22T09:30:00+08:00", "reason": "x"}, "/from", "nothing is planned for then"),
        ({"from": "2026-11-22T09:30:05+08:00", "reason": "x"}, "/from", "too late"),
        ({"from": "tomorrow", "reason": "x"}, "/from", ""),
        ({"from": YEAR}, "/reason", "required"),
        ({"reason": "x"}, "/from", "required"),
    ],
)
async def test_what_is_not_planned_or_holds_already_is_not_withdrawn(stage: Stage, asked: Any, pointer: str, said: str) -> None:
    for moment in ("2026-11-22T09:30:00+08:00", "2026-11-22T09:30:05+08:00", YEAR):
        assert (await stage.put(PATH, body(**{"from": moment}))).status_code == 200
    answer = await stage.post(WITHDRAW, asked, who="admin")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert said in error["detail"]
    assert len(written(stage)) == 3


async def test_while_kafka_is_away_nothing_is_promised(stage: Stage) -> None:
    stage.producer.away = True
    answer = await stage.put(PATH, body())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_the_route_is_described(stage: Stage) -> None:
    document = (await stage.http.get("/openapi.json")).json()
    put, get = (document["paths"][PATH][method] for method in ("put", "get"))
    assert put["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Activation")
    assert set(document["components"]["schemas"]["Activation"]["properties"]) == {"version", "reason", "from"}
    assert {"409", "422", "503"} <= set(put["responses"])
    assert get["security"] == [{"key": []}]


# --- what cases get ---------------------------------------------------------------------------------------------------


async def test_an_incident_carries_the_version_that_holds_when_it_enters_by_every_entrance(stage: Stage) -> None:
    future = activation("2026.7", "live", NOW + 1)
    for one in (activation("2026.5", "live", NOW - HOUR), activation("2026.6", "live", NOW), future, activation("2026.8", "sandbox", NOW)):
        await stage.producer.send("config", [_record(one)])
    fact = INCIDENT | {"state": "handling", "external_id": "SZ-1", "source_version": 1}
    cloud = {"specversion": "1.0", "id": "c", "source": "/x", "type": "liandong.incident", "data": INCIDENT}
    assert (await stage.post("/v1/incidents", INCIDENT)).status_code == 202
    assert (await stage.post("/v1/facts", fact)).status_code == 202
    lines = [{"kind": "incident", "event_id": "b", **INCIDENT}, {"kind": "fact", **fact}]
    assert (await stage.post("/v1/events:batch", "\n".join(map(json.dumps, lines)).encode())).status_code == 200
    answer = await stage.post("/v1/events", cloud, headers={"Content-Type": "application/cloudevents+json"})
    assert answer.status_code == 202, answer.text
    assert {command.policy_version for command in stage.commands()} == {"2026.6"}
    await stage.post("/v1/incidents?realm=sandbox", INCIDENT)
    assert [command.policy_version for command in stage.commands("sandbox.incident.commands")] == ["2026.8"]


def _record(one: Activation) -> Record:
    return Record(key_of(one).encode(), ACTIVATIONS.encode(one))


async def test_until_the_policies_in_force_are_known_no_incident_enters_but_an_alarm_does(stage: Stage) -> None:
    stage.policies.known = False
    assert (await stage.post("/v1/incidents", INCIDENT)).status_code == 503
    assert (await stage.post("/v1/events:batch", json.dumps({"kind": "incident", **INCIDENT}).encode())).status_code == 503
    assert (await stage.put(PATH, body())).status_code == 503
    press = {"device": "LH-000123", "occurred_at": INCIDENT["occurred_at"]}
    answer = await stage.post("/v1/alarms", press, who="longhu-terminals")
    assert answer.status_code == 202, answer.text
    stage.policies.known = True
    assert (await stage.post("/v1/incidents", INCIDENT)).status_code == 202
    assert stage.commands()[0].policy_version == latest()


# --- two gateways -------------------------------------------------------------------------------------------------------


async def test_two_gateways_that_activate_at_once_end_with_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ask for the same moment, many times over, over one log: the last one written holds at both."""
    monkeypatch.setattr("services.gateway.policies.store.fingerprint", lambda version: version)
    async with open_stage(tmp_path / "a") as first, open_stage(tmp_path / "b") as second:
        second.producer.log = first.producer.log
        for number in range(20):
            moment = f"2026-12-{1 + number:02}T00:00:00+08:00"
            answers = await asyncio.gather(
                *(one.put(PATH, body(reason=f"{name} {number}", **{"from": moment})) for name, one in (("a", first), ("b", second)))
            )
            assert [answer.status_code for answer in answers] == [200, 200]
        seen = [(await one.get(PATH)).json() for one in (first, second)]
    assert seen[0] == seen[1]
    assert len(seen[0]["planned"]) == 20, "one for each moment"


def test_a_schedule_does_not_depend_on_the_order_of_partitions() -> None:
    one, two, three = activation("2026.1", "live", 10), activation("2026.2", "live", 20), activation("2026.3", "live", 30)
    for order in ((one, two, three), (three, two, one), (two, three, one)):
        schedule = Schedule()
        for each in order:
            schedule.put(each)
        assert [schedule.version("live", at) for at in (9, 10, 19, 20, 29, 30, 99)] == [
            latest(), "2026.1", "2026.1", "2026.2", "2026.2", "2026.3", "2026.3",
        ]  # fmt: skip
        assert schedule.of("live") == (one, two, three)
        assert schedule.standing("drill", 99) is None
    schedule.put(activation("2026.4", "live", 20))
    assert [found.version for found in schedule.of("live")] == ["2026.1", "2026.4", "2026.3"]
    schedule.put(activation("", "live", 20))
    schedule.put(activation("", "live", 25))
    assert [schedule.version("live", at) for at in (19, 20, 29, 30)] == ["2026.1", "2026.1", "2026.1", "2026.3"]
    assert [found.active_from for found in schedule.withdrawn("live")] == [20, 25]
    assert (schedule.withdrawn("drill"), [found.version for found in schedule.of("live")]) == ((), ["2026.1", "2026.3"])


# --- which workers know it ------------------------------------------------------------------------------------------------


async def test_workers_are_asked_at_their_health_address_and_those_that_are_gone_do_not_count(tmp_path: Path) -> None:
    answers: dict[int, Any] = {
        1: httpx.Response(200, json={"policies": ["2026.1", "2026.2"]}),
        2: httpx.Response(503, json={"policies": ["2026.1"], "ok": False}),
        3: httpx.Response(200, json={"name": "case-live"}),
        4: httpx.ConnectError("gone"),
        5: httpx.ReadTimeout("frozen"),
        6: httpx.Response(200, text="not json"),
    }

    def answer(request: httpx.Request) -> httpx.Response:
        found = answers[int(str(request.url.port))]
        if isinstance(found, Exception):
            raise found
        assert request.url.path == "/health"
        return httpx.Response(found.status_code, content=found.content)

    workers = RunningWorkers(tmp_path, httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    assert await workers.unaware(Realm.LIVE, "2026.2") == {}, "nobody runs"
    expected: dict[int, Any] = {1: None, 2: ("2026.1",), 3: (), 4: None, 5: (), 6: ()}
    for port, knows in expected.items():
        (tmp_path / "case-live.json").write_text(json.dumps({"metrics_port": port}), encoding="utf-8")
        assert await workers.unaware(Realm.LIVE, "2026.2") == ({} if knows is None else {"case-live": knows}), port
    assert await workers.unaware(Realm.SANDBOX, "2026.2") == {}
    (tmp_path / "case-live.json").write_text("half of it", encoding="utf-8")
    assert await workers.unaware(Realm.LIVE, "2026.2") == {}
