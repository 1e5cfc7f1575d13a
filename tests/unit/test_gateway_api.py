"""The gateway's HTTP, in process: real routes, intake, sealing and ledger; the producer is the fake of the contract suite."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas import bounds, ids
from schemas.avro.audit_entry.event import AuditEntry
from schemas.codec import codec
from schemas.state.sealed.event import Sealed
from services.acks import AckWriter
from services.adapters.keyfile import KeyFile
from services.gateway.accept import Acceptor
from services.gateway.app import build_app
from services.gateway.limits import RateLimit
from services.gateway.parts import Parts
from services.gateway.pending import PendingMemory
from services.gateway.reads import ReadPort
from tests.fakes import FakePolicies, FakeProducer, FakeWorkers
from tests.gateway_stage import NOW, Stage, ledger_of, open_stage
from tests.principals import SERVED, FixedKeys

BODY = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-22T08:30:00+08:00", "event_id": "E-1"}
SECRETS = {
    "reporter": {"name": "某甲", "phone": "13800000000"},
    "note": "楼道积水",
    "place": {"lon": 113.9, "lat": 22.5, "address": "某路1号"},
}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as made:
        yield made


# --- sending ---


async def test_an_incident_is_accepted_with_its_ids_and_stands_in_kafka_and_ledger(stage: Stage) -> None:
    answer = await stage.post("/v1/incidents", BODY)
    assert answer.status_code == 202
    (command,) = stage.commands()
    case_id = ids.case_id("live", "demo-producer", "E-1")
    assert answer.json() == {
        "case_id": case_id,
        "command_id": command.command_id,
        "event_id": "E-1",
        "status_url": f"/v1/cases/{case_id}",
        "case_number": ids.case_number(case_id, "440305", command.occurred_at),
    }
    assert answer.headers["location"] == f"/v1/cases/{case_id}"
    (record,) = stage.producer.records("incident.commands")
    assert record.key == case_id.encode()
    assert dict(record.headers)["ce_id"] == command.command_id.encode()
    assert ledger_of(stage) == [("live", command.command_id)]


async def test_the_same_event_again_gives_the_same_answer_whoever_carries_the_id(stage: Stage) -> None:
    bare = {name: value for name, value in BODY.items() if name != "event_id"}
    answers = [
        await stage.post("/v1/incidents", BODY),
        await stage.post("/v1/incidents", BODY),
        await stage.post("/v1/incidents", bare, headers={"Idempotency-Key": "E-1"}),
    ]
    assert len({answer.text for answer in answers}) == 1
    twice = [await stage.post("/v1/incidents", bare), await stage.post("/v1/incidents", bare)]
    assert twice[0].json() == twice[1].json()
    assert twice[0].json()["case_id"] != answers[0].json()["case_id"]


async def test_each_realm_has_topics_of_its_own_and_history_its_own_time(stage: Stage) -> None:
    for realm in SERVED:
        assert (await stage.post("/v1/incidents", BODY, params={"realm": realm.value})).status_code == 202
    assert [command.realm for command in stage.commands("sandbox.incident.commands")] == ["sandbox"]
    (history,) = stage.producer.records("replay.incident.commands")
    assert history.timestamp == stage.commands()[0].occurred_at
    assert stage.producer.records("incident.commands")[0].timestamp is None
    status = (await stage.post("/v1/incidents", BODY, params={"realm": "sandbox"})).json()["status_url"]
    assert status.endswith("?realm=sandbox")


async def test_a_traceparent_travels_with_the_record_if_it_is_one(stage: Stage) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await stage.post("/v1/incidents", BODY, headers={"traceparent": trace})
    await stage.post("/v1/incidents", BODY, headers={"traceparent": "nonsense"})
    found = [dict(record.headers).get("traceparent") for record in stage.producer.records("incident.commands")]
    assert found == [trace.encode(), None]


@pytest.mark.parametrize(
    ("body", "options", "status", "reason"),
    [
        (BODY, {"who": "nobody"}, 401, "no_key"),
        (BODY, {"who": "screen"}, 403, "out_of_scope"),
        (BODY, {"who": "futian-desk"}, 403, "out_of_scope"),
        (BODY, {"who": "trainee"}, 403, "out_of_scope"),
        (BODY, {"params": {"realm": "drill"}}, 422, "realm_not_served"),
        (BODY, {"params": {"realm": "nonsense"}}, 422, "realm_not_served"),
        ({**BODY, "division": "0"}, {}, 422, "unknown_division"),
        (b"{", {}, 422, "bad_value"),
        (b" " * (bounds.MAX_BODY_BYTES + 1), {}, 413, "too_large"),
        (BODY, {"headers": {"Idempotency-Key": "x" * 201}}, 422, "too_long"),
    ],
)
async def test_refusals_are_problems_and_nothing_reaches_kafka(
    stage: Stage, body: Any, options: dict[str, Any], status: int, reason: str
) -> None:
    answer = await stage.post("/v1/incidents", body, **options)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:liandong:problem:{reason}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert stage.producer.log == {}
    assert ledger_of(stage) == []


async def test_without_a_key_one_is_asked_for(stage: Stage) -> None:
    answer = await stage.http.post("/v1/incidents", json=BODY)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="liandong"')


async def test_a_problem_points_at_each_wrong_field(stage: Stage) -> None:
    answer = await stage.post("/v1/facts", {**BODY, "division": "0", "state": "asleep"})
    errors = {error["pointer"]: error["reason"] for error in answer.json()["errors"]}
    assert errors == {"/division": "unknown_division", "/state": "unknown_state", "/external_id": "bad_value"}


async def test_unknown_paths_and_methods_are_problems_too(stage: Stage) -> None:
    for answer in (await stage.get("/v1/nothing"), await stage.get("/v1/incidents")):
        assert answer.status_code in (404, 405)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_while_the_broker_is_away_the_sender_is_asked_to_repeat(stage: Stage) -> None:
    stage.producer.away = True
    answer = await stage.post("/v1/incidents", BODY)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert (await stage.http.get("/health")).status_code == 503
    assert ledger_of(stage) == []
    stage.producer.away = False
    assert (await stage.post("/v1/incidents", BODY)).status_code == 202


async def test_who_sends_too_much_is_asked_to_wait(tmp_path: Path, stage: Stage) -> None:
    limit = RateLimit("3/hour")
    producer, vault = FakeProducer(), KeyFile(tmp_path / "other.bin")
    pending, ledger = PendingMemory(lambda: NOW), AckWriter(tmp_path / "others", 1)
    reads = ReadPort(httpx.AsyncClient(base_url="http://read", transport=httpx.MockTransport(stage.reads)))
    acceptor = Acceptor(producer, vault, ledger, pending, lambda: NOW)
    policies, workers = FakePolicies(producer), FakeWorkers()
    parts = Parts(
        FixedKeys(), vault, producer, acceptor, pending, reads, limit, SERVED, (), lambda: NOW, policies, workers, stage.index, stage.filler
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(parts)), base_url="http://gateway") as http:
        headers = {"Authorization": "Bearer key-demo-producer"}
        answers = [await http.post("/v1/incidents", json=BODY, headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[3].headers["retry-after"] == "1"
    vault.close()


# --- batches ---


async def test_each_line_of_a_batch_has_its_own_fate_in_order(stage: Stage) -> None:
    case_id = ids.case_id("live", "nanshan-desk", "E-1")
    lines = [
        json.dumps({"kind": "incident", **BODY}),
        "",
        json.dumps({"kind": "fact", **BODY}),
        json.dumps({"kind": "command", "case_id": case_id, "name": "accept", "expected_seq": 1}),
        "not json",
        json.dumps({"kind": "incident", **BODY, "event_id": "E-2", **SECRETS}),
    ]
    answer = await stage.post("/v1/events:batch", "\n".join(lines).encode(), who="nanshan-desk")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    rows = [json.loads(row) for row in answer.text.splitlines()]
    assert [(row["line"], row["status"]) for row in rows] == [(1, 202), (3, 422), (4, 202), (5, 422), (6, 202)]
    assert rows[0]["case_number"]
    assert rows[1]["problem"]["errors"][0]["pointer"] == "/state"
    assert rows[2]["status_url"] == f"/v1/commands/{rows[2]['command_id']}"
    accepted = {row["command_id"] for row in rows if row["status"] == 202}
    assert {command.command_id for command in stage.commands()} == accepted
    assert {command_id for _, command_id in ledger_of(stage)} == accepted


async def test_a_batch_and_single_posts_give_the_same_ids(stage: Stage) -> None:
    single = (await stage.post("/v1/incidents", BODY)).json()
    (row,) = [json.loads(line) for line in (await stage.post("/v1/events:batch", {"kind": "incident", **BODY})).text.splitlines()]
    assert {name: row[name] for name in single} == single


async def test_beyond_a_limit_the_rest_is_refused_and_said_so(stage: Stage) -> None:
    line = json.dumps({"kind": "incident", **BODY}).encode() + b"\n"
    answer = await stage.post("/v1/events:batch", line * (bounds.MAX_BATCH_LINES + 5))
    rows = [json.loads(row) for row in answer.text.splitlines()]
    assert [row["status"] for row in rows[-2:]] == [202, 413]
    assert len(rows) == bounds.MAX_BATCH_LINES + 1
    assert len(stage.commands()) == bounds.MAX_BATCH_LINES
    whole = await stage.post("/v1/events:batch", b"", headers={"Content-Length": str(bounds.MAX_BATCH_BYTES + 1)})
    assert whole.status_code == 413


async def test_a_line_that_is_too_long_ends_the_batch_there(stage: Stage) -> None:
    good = json.dumps({"kind": "incident", **BODY}).encode() + b"\n"
    answer = await stage.post("/v1/events:batch", good + b"x" * (bounds.MAX_BODY_BYTES + 1))
    assert [json.loads(row)["status"] for row in answer.text.splitlines()] == [202, 413]


async def test_while_the_broker_is_away_every_line_says_so(stage: Stage) -> None:
    stage.producer.away = True
    lines = [json.dumps({"kind": "incident", **BODY, "event_id": str(number)}) for number in range(1200)]
    rows = [json.loads(row) for row in (await stage.post("/v1/events:batch", "\n".join(lines).encode())).text.splitlines()]
    assert {row["status"] for row in rows} == {503}
    assert len(rows) == 1200


async def test_cloudevents_come_single_and_in_batches(stage: Stage) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "liandong.incident", "data": BODY}
    single = await stage.post("/v1/events", event, headers={"Content-Type": "application/cloudevents+json; charset=utf-8"})
    assert single.status_code == 202
    many = [event, {**event, "data": {**BODY, "division": "0"}}, 7]
    batch = await stage.post("/v1/events", many, headers={"Content-Type": "application/cloudevents-batch+json"})
    assert batch.status_code == 200
    assert [row["status"] for row in batch.json()] == [202, 422, 422]
    assert batch.json()[0]["case_id"] == single.json()["case_id"]
    assert batch.json()[1]["problem"]["errors"][0]["pointer"] == "/data/division"
    other = await stage.post("/v1/events", event, headers={"Content-Type": "application/json"})
    assert other.status_code == 415


# --- commands and reads ---


async def test_a_desk_commands_a_case_that_the_read_port_shows_it(stage: Stage) -> None:
    case_id = ids.case_id("live", "demo-producer", "E-1")
    stage.reads.cases[case_id] = {"case_id": case_id, "division": "440305001", "state": "captured"}
    answer = await stage.post(f"/v1/cases/{case_id}/commands/accept", {"expected_seq": 1}, who="nanshan-desk")
    assert answer.status_code == 202
    (command,) = stage.commands()
    assert (command.name, command.case_id, command.expected_seq, command.actor_division) == ("accept", case_id, 1, "440305")
    assert answer.json()["status_url"] == f"/v1/commands/{command.command_id}"
    status = await stage.get(answer.json()["status_url"], who="nanshan-desk")
    assert status.json()["status"] == "pending"
    assert (await stage.get(answer.json()["status_url"], who="futian-desk")).status_code == 404


async def test_a_case_is_commanded_by_its_number_and_right_after_its_202(stage: Stage) -> None:
    accepted = (await stage.post("/v1/incidents", BODY)).json()
    answer = await stage.post(f"/v1/cases/{accepted['case_number']}/commands/accept", b"", who="nanshan-desk")
    assert answer.status_code == 202
    assert stage.commands()[-1].case_id == accepted["case_id"]
    assert (await stage.post(f"/v1/cases/{accepted['case_id']}/commands/accept", {}, who="futian-desk")).status_code == 404


@pytest.mark.parametrize(
    ("who", "name", "body", "status"),
    [("demo-producer", "accept", {}, 403), ("nanshan-desk", "explode", {}, 422), ("nanshan-desk", "accept", {"expected_seq": "1"}, 422),
     ("nanshan-desk", "accept", {"actor": "x"}, 422), ("futian-desk", "accept", {}, 403)],
)  # fmt: skip
async def test_commands_are_refused_with_a_problem(stage: Stage, who: str, name: str, body: Any, status: int) -> None:
    case_id = ids.case_id("live", "demo-producer", "E-1")
    stage.reads.cases[case_id] = {"case_id": case_id, "division": "440305001"}
    assert (await stage.post(f"/v1/cases/{case_id}/commands/{name}", body, who=who)).status_code == status
    assert stage.commands() == []


async def test_an_unknown_case_is_not_commanded_but_an_absent_warehouse_stops_no_desk(stage: Stage) -> None:
    case_id = ids.case_id("live", "demo-producer", "E-9")
    assert (await stage.post(f"/v1/cases/{case_id}/commands/accept", {}, who="nanshan-desk")).status_code == 404
    stage.reads.away = True
    assert (await stage.post(f"/v1/cases/{case_id}/commands/accept", {}, who="nanshan-desk")).status_code == 202


async def test_right_after_the_202_a_case_is_accepted_and_pending(stage: Stage) -> None:
    accepted = (await stage.post("/v1/incidents", BODY)).json()
    for path in (accepted["status_url"], f"/v1/cases/{accepted['case_number']}"):
        answer = await stage.get(path)
        assert answer.status_code == 202
        assert answer.json()["status"] == "accepted, pending"
        assert answer.json()["case_id"] == accepted["case_id"]
    stage.reads.away = True
    assert (await stage.get(accepted["status_url"])).status_code == 202
    assert (await stage.get(f"/v1/cases/{ids.case_id('live', 'x', 'y')}")).status_code == 503
    assert (await stage.get(accepted["status_url"], params={"realm": "sandbox"})).status_code == 404
    for other in ("futian-desk", "trainee"):
        assert (await stage.get(accepted["status_url"], who=other, params={"realm": "live"})).status_code in (403, 404)


async def test_reads_go_to_the_read_port_with_the_callers_key_and_question(stage: Stage) -> None:
    case_id = ids.case_id("live", "demo-producer", "E-1")
    stage.reads.cases[case_id] = {"case_id": case_id, "seq": 4}
    answer = await stage.get(f"/v1/cases/{case_id}?min_seq=4")
    assert answer.json() == {"case_id": case_id, "seq": 4}
    assert answer.headers["etag"] == '"7"'
    asked = stage.reads.seen[-1]
    assert (asked.headers["authorization"], asked.url.params["min_seq"]) == ("Bearer key-demo-producer", "4")
    assert (await stage.get("/v1/desks/440305/county/work?after=x", who="nanshan-desk")).json()["asked"] == "after=x"
    assert (await stage.get(f"/v1/cases/{case_id}/timeline")).status_code == 404
    assert (await stage.get("/v1/cases/..%2f..%2finternal")).status_code == 404
    assert all(not request.url.path.startswith("/internal") for request in stage.reads.seen)


# --- personal data ---


async def _sealed_case(stage: Stage) -> tuple[str, Sealed]:
    """A posted case with personal data, as the read port shows it once the sink has it."""
    accepted = (await stage.post("/v1/incidents", {**BODY, **SECRETS})).json()
    (record,) = stage.producer.records("incident.sealed")
    sealed = codec(Sealed).decode(record.value)
    row = {
        "sealed_id": sealed.sealed_id,
        "nonce": base64.b64encode(sealed.nonce).decode(),
        "ciphertext": base64.b64encode(sealed.ciphertext).decode(),
        "received_at": sealed.received_at,
    }
    stage.reads.sealed[accepted["case_id"]] = {
        "case_id": accepted["case_id"], "division": "440305", "holder_level": "county", "sealed": [row, row],
    }  # fmt: skip
    return accepted["case_id"], sealed


async def test_personal_data_is_sealed_before_the_command_and_nowhere_in_the_clear(stage: Stage) -> None:
    case_id, sealed = await _sealed_case(stage)
    (command,) = stage.commands()
    assert (sealed.sealed_id, sealed.case_id, sealed.division) == (command.sealed_ref, case_id, "440305")
    everything = b"".join((record.value or b"") + record.key for kept in stage.producer.log.values() for record in kept)
    everything += b"".join(path.read_bytes() for path in stage.folder.rglob("*") if path.is_file())
    for secret in ("某甲", "13800000000", "楼道积水", "某路1号"):
        assert secret.encode() not in everything


async def test_a_repeat_seals_to_the_same_bytes(stage: Stage) -> None:
    for _ in range(2):
        await stage.post("/v1/incidents", {**BODY, **SECRETS})
    first, second = (codec(Sealed).decode(record.value) for record in stage.producer.records("incident.sealed"))
    assert (first.nonce, first.ciphertext) == (second.nonce, second.ciphertext)


async def test_no_command_is_sent_whose_personal_data_could_not_be_stored(stage: Stage) -> None:
    stage.producer.away_topics.add("incident.sealed")
    lines = [json.dumps({"kind": "incident", **BODY, **SECRETS}), json.dumps({"kind": "incident", **BODY, "event_id": "E-2"})]
    rows = [json.loads(row) for row in (await stage.post("/v1/events:batch", "\n".join(lines).encode())).text.splitlines()]
    assert [row["status"] for row in rows] == [503, 202]
    assert [command.sealed_ref for command in stage.commands()] == [""]


async def test_the_handling_desk_reads_personal_data_and_the_reading_is_on_record(stage: Stage) -> None:
    case_id, _ = await _sealed_case(stage)
    answer = await stage.get(f"/v1/cases/{case_id}/sealed", who="nanshan-desk", params={"reason": "回访"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    (record,) = answer.json()["records"]
    assert record["reporter"] == SECRETS["reporter"]
    assert (record["note"], record["address"]) == ("楼道积水", "某路1号")
    (entry,) = [codec(AuditEntry).decode(r.value) for r in stage.producer.records("audit")]
    assert (entry.action, entry.case_id, entry.reason) == ("read_sealed", case_id, "回访")
    assert (entry.principal, entry.person) == ("nanshan-desk", "p-17")


@pytest.mark.parametrize(
    ("who", "params", "status"),
    [("nanshan-desk", {}, 422), ("nanshan-desk", {"reason": " "}, 422), ("shenzhen-desk", {"reason": "x"}, 403),
     ("futian-desk", {"reason": "x"}, 403), ("screen", {"reason": "x"}, 403), ("demo-producer", {"reason": "x"}, 403),
     ("admin", {"reason": "x"}, 403), ("nobody", {"reason": "x"}, 401)],
)  # fmt: skip
async def test_nobody_else_reads_it_and_no_reading_is_without_reason(stage: Stage, who: str, params: dict[str, str], status: int) -> None:
    case_id, _ = await _sealed_case(stage)
    assert (await stage.get(f"/v1/cases/{case_id}/sealed", who=who, params=params)).status_code == status
    assert stage.producer.records("audit") == []


async def test_without_the_audit_entry_nothing_is_read_or_erased(stage: Stage) -> None:
    case_id, _ = await _sealed_case(stage)
    stage.producer.away_topics.add("audit")
    path, key = f"/v1/cases/{case_id}/sealed?reason=x", {"Authorization": "Bearer key-nanshan-desk"}
    assert (await stage.get(path, who="nanshan-desk")).status_code == 503
    assert (await stage.http.delete(path, headers=key)).status_code == 503
    assert stage.vault.find(case_id) is not None


async def test_what_is_erased_stays_erased_even_if_it_is_sent_again(stage: Stage) -> None:
    case_id, _ = await _sealed_case(stage)
    key = stage.vault.find(case_id)
    assert key is not None
    path = f"/v1/cases/{case_id}/sealed?reason=request"
    for who, status in (("demo-producer", 403), ("futian-desk", 403), ("admin", 200), ("admin", 200)):
        answer = await stage.http.delete(path, headers={"Authorization": f"Bearer key-{who}"})
        assert answer.status_code == status
    assert all(key not in file.read_bytes() for file in stage.folder.rglob("*") if file.is_file())
    assert (await stage.get(path, who="nanshan-desk")).status_code == 410
    again = await stage.post("/v1/incidents", {**BODY, **SECRETS})
    assert again.status_code == 202
    assert again.json()["personal_data"] == "erased"
    assert stage.commands()[-1].sealed_ref == ""
    assert len(stage.producer.records("incident.sealed")) == 1
    assert [codec(AuditEntry).decode(r.value).action for r in stage.producer.records("audit")].count("erase") == 2


# --- operations ---


async def test_openapi_describes_the_bodies_that_are_decoded(stage: Stage) -> None:
    document = (await stage.http.get("/openapi.json")).json()
    shapes = document["components"]["schemas"]
    assert set(shapes["Incident"]["required"]) == {"type", "division", "occurred_at"}
    assert shapes["Incident"]["additionalProperties"] is False
    assert document["paths"]["/v1/incidents"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Incident")
    references = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= set(shapes)


async def test_metrics_count_by_producer_topic_and_reason_and_never_by_id(stage: Stage) -> None:
    accepted = (await stage.post("/v1/incidents", BODY)).json()
    await stage.post("/v1/incidents", {**BODY, "type": "?"})
    await stage.get(accepted["status_url"])
    text = (await stage.http.get("/metrics")).text
    assert 'liandong_accepted_total{producer="demo-producer",topic="incident.commands"}' in text
    assert 'liandong_rejected_total{reason="unknown_type"}' in text
    assert 'liandong_http_seconds_count{route="/v1/cases/{case}"}' in text
    assert accepted["case_id"] not in text


async def test_a_fault_of_ours_is_a_problem_without_the_body(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.producer.enqueue = None  # type: ignore[assignment, method-assign]
    answer = await stage.post("/v1/incidents", {**BODY, **SECRETS})
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:liandong:problem:internal"
    assert "某甲" not in caplog.text
