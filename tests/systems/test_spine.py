"""The spine, end to end on a real platform: from a department's record to case, timeline, work list and proof."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import SerializingProducer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer

from schemas import ids
from schemas.realms import Realm
from schemas.topics import TOPICS
from tests.helpers import until
from tests.platforms import Platform, liandong

pytestmark = pytest.mark.broker
COUNTY = "440305"


def post(platform: Platform, event_id: str, **more: Any) -> dict[str, Any]:
    body = {"type": "M01001", "division": "440305007", "occurred_at": "2026-11-22T08:00:00+08:00", "event_id": event_id} | more
    answer = httpx.post(f"{platform.gateway}/v1/incidents", json=body, headers=platform.headers())
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def case(platform: Platform, case_id: str, key: str = "desk", seq: int = 1) -> dict[str, Any]:
    """The case as the read port gives it once it has reached `seq`."""

    def read() -> dict[str, Any] | None:
        answer = httpx.get(f"{platform.gateway}/v1/cases/{case_id}", headers=platform.headers(key))
        found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return found if found.get("seq", 0) >= seq else None

    return until(read, f"case {case_id} at seq {seq}", 20) or {}


def command(platform: Platform, case_id: str, name: str, headers: dict[str, str], **body: Any) -> dict[str, Any]:
    """Sends a desk's command and waits for its outcome."""
    sent = httpx.post(f"{platform.gateway}/v1/cases/{case_id}/commands/{name}", json=body, headers=headers)
    assert sent.status_code == 202, sent.text

    def outcome() -> dict[str, Any] | None:
        found = httpx.get(f"{platform.gateway}/v1/commands/{sent.json()['command_id']}", headers=headers).json()
        return found if found.get("status") not in (None, "pending") else None

    return until(outcome, f"outcome of {name}", 20) or {}


def key_of(platform: Platform, name: str, *options: str) -> dict[str, str]:
    made = json.loads(liandong("keys", "add", name, *options, "--json", "--data-dir", str(platform.data_dir)).stdout)
    return {"Authorization": f"Bearer {made['key']}"}


def test_a_case_goes_through_its_life_by_commands_of_its_desk(platform: Platform) -> None:
    case_id = post(platform, "life")["case_id"]
    case(platform, case_id)
    desk = platform.headers("desk")
    verifier = key_of(platform, "verifier", "--kind", "desk", "--division", COUNTY, "--person", "another", "--role", "verifier")
    assert command(platform, case_id, "sign", desk)["reason"] == "illegal_transition"
    steps: dict[str, dict[str, Any]] = {"accept": {}, "triage": {"grade": 3}, "assign": {"org": "water"}, "sign": {}}
    steps["report"] = {"evidence": True}
    for name, body in steps.items():
        assert command(platform, case_id, name, desk, **body)["status"] == "applied", name
    assert command(platform, case_id, "verify_ok", desk)["reason"] == "same_person"
    assert command(platform, case_id, "verify_ok", verifier)["status"] == "applied"
    found = case(platform, case_id, seq=7)
    assert (found["state"], found["holder"], found["grade"]) == ("closed", "water", 3)
    timeline = httpx.get(f"{platform.gateway}/v1/cases/{case_id}/timeline", headers=desk).json()["events"]
    assert [event["state"] for event in timeline] == ["captured", "accepted", "triaged", "assigned", "handling", "reported", "closed"]


def test_a_department_sends_avro_with_a_stock_client_and_sees_its_case(platform: Platform) -> None:
    registry = SchemaRegistryClient({"url": platform.gateway})
    serializer = AvroSerializer(registry, conf={"auto.register.schemas": False, "use.latest.version": True})
    producer = SerializingProducer({"bootstrap.servers": platform.bootstrap, "value.serializer": serializer})
    report: dict[str, Any] = {
        "external_id": "110-2026-000017", "source_version": 1, "type": "A20700", "division": "440305",
        "occurred_at": "2026-11-22T08:30:00+08:00", "state": "handling", "holder": "traffic police", "reassignments": None,
        "reopens": None, "grade": None, "longitude": 113.93, "latitude": 22.53, "reason": None,
    }  # fmt: skip
    key = report["external_id"].encode()  # what is told of one case stays in order
    producer.produce("intake.demo", key=key, value=report)
    producer.produce("intake.demo", key=key, value=report)  # told twice
    producer.produce("intake.demo", key=key, value=report | {"source_version": 2, "state": "closed"})
    assert producer.flush(20) == 0

    case_id = ids.case_id("live", "demo", "110-2026-000017")
    found = case(platform, case_id, seq=2)
    assert (found["state"], found["holder"], found["mirrored"]) == ("closed", "traffic police", True)
    timeline = httpx.get(f"{platform.gateway}/v1/cases/{case_id}/timeline", headers=platform.headers("desk")).json()["events"]
    assert [event["rule"] for event in timeline] == ["joined_midway", ""]


def test_what_cannot_be_read_is_a_dead_letter_with_its_bytes(platform: Platform) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": platform.bootstrap})
    producer.produce("intake.demo", value=b"not avro at all", key=b"k")
    assert producer.flush(20) == 0

    def letters() -> list[dict[str, Any]]:
        found = json.loads(liandong("dlq", "list", "--json", "--data-dir", str(platform.data_dir)).stdout)
        return [row for row in found["letters"] if row["reason"] == "bad_frame"]

    letter = until(letters, "the dead letter", 20, every=0.5)[0]
    shown = liandong("dlq", "show", letter["id"], "--data-dir", str(platform.data_dir)).stdout
    assert "not avro at all" in shown


def test_a_repeated_post_gets_the_same_answer_and_is_one_case(platform: Platform) -> None:
    first, again = post(platform, "twice"), post(platform, "twice")
    assert first == again
    assert case(platform, first["case_id"])["seq"] == 1


def test_no_topic_holds_a_word_of_personal_data_even_when_unpacked(platform: Platform) -> None:
    """Files hide bytes in compressed batches; here every record is read. The title, which is no secret, must be found."""
    personal = {"reporter": {"name": "欧阳慕雪", "phone": "13912345678"}, "note": "楼道里有人晕倒了"}
    case(platform, post(platform, "personal", **personal)["case_id"])
    records = asyncio.run(all_records(platform.bootstrap))
    assert any("供水井盖异常".encode() in record for record in records)
    for word in ("欧阳慕雪", "13912345678", "楼道里有人晕倒了"):
        assert not any(word.encode() in record for record in records), word


async def all_records(bootstrap: str) -> list[bytes]:
    """Keys and values of every record of the live realm's topics."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        names = [topic.in_realm(Realm.LIVE, "demo") for topic in TOPICS]
        ends = await consumer.end_offsets([TopicPartition(name, partition) for name in names for partition in range(12)])
        filled = {tp: end for tp, end in ends.items() if end}
        consumer.assign(list(filled))
        await consumer.seek_to_beginning(*filled)
        found: list[bytes] = []
        while any([await consumer.position(tp) < end for tp, end in filled.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [(record.key or b"") + b"\x00" + (record.value or b"") for record in records]
        return found
    finally:
        await consumer.stop()


def test_reads_wait_for_what_was_written(platform: Platform) -> None:
    case_id = post(platform, "min-seq")["case_id"]
    answer = httpx.get(f"{platform.gateway}/v1/cases/{case_id}", params={"min_seq": 1}, headers=platform.headers("desk"))
    assert answer.status_code == 200
    assert answer.json().get("seq") == 1 or answer.json()["status"] == "accepted, pending"


def test_everything_is_accounted_for_once(platform: Platform) -> None:
    account = json.loads(liandong("reconcile", "--json", "--data-dir", str(platform.data_dir)).stdout)
    assert account["exact"] is True
    assert account["acknowledged"] == account["applied"] + account["repeated"] + account["refused"] + account["dead"]
    assert account["applied"] == account["facts"]
    assert account["missing"] == account["duplicated"] == account["rollup_mismatches"] == 0
