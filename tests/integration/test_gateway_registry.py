"""A department writes Avro to its intake topic with a stock client: nothing of ours on its side but the gateway's URL."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas import registry
from schemas.avro.incident_report.event import IncidentReport
from schemas.codec import codec
from services.embedded.broker import Broker
from tests.gateways import Gateway, gateway

pytestmark = pytest.mark.broker
TOPIC = "intake.demo"
SUBJECT = "intake.demo-value"
REPORT = {
    "external_id": "SZ-1", "source_version": 2, "type": "A10100", "division": "440305", "occurred_at": "2026-11-22T08:30:00+08:00",
    "state": "handling", "holder": "应急局", "reassignments": None, "reopens": None, "grade": 3,
    "longitude": 113.948, "latitude": 22.553, "reason": None, "due_at": None,
}  # fmt: skip
OWN = registry.latest("incident_report").text


@pytest.fixture(scope="module")
def served(broker: Broker, topics: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    topics()
    with gateway(broker.bootstrap, tmp_path_factory.mktemp("gateway")) as running:
        yield running


def _sent_and_read(bootstrap: str, value: bytes) -> bytes:
    """Produces with the stock client and reads the record back from where it landed."""
    placed: list[tuple[int | None, int | None]] = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    producer.produce(TOPIC, value, b"SZ-1", on_delivery=lambda error, message: placed.append((message.partition(), message.offset())))
    assert producer.flush(20) == 0
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "registry-test", "enable.auto.commit": False})
    partition, offset = placed[0]
    assert partition is not None
    assert offset is not None
    consumer.assign([TopicPartition(TOPIC, partition, offset)])
    deadline = time.monotonic() + 20
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                found = message.value()
                assert isinstance(found, bytes)
                return found
    finally:
        consumer.close()
    raise AssertionError("the record did not come back")


@pytest.mark.parametrize(
    ("schema", "options"),
    [
        (OWN, {"auto.register.schemas": True}),
        (OWN, {"auto.register.schemas": False}),
        (None, {"auto.register.schemas": False, "use.latest.version": True}),
    ],
    ids=["auto.register", "lookup", "use.latest.version"],
)
def test_a_stock_avro_serializer_writes_what_our_relay_reads(
    served: Gateway, broker: Broker, schema: str | None, options: dict[str, Any]
) -> None:
    client = SchemaRegistryClient({"url": served.url})
    serializer = AvroSerializer(client, schema, conf=options)
    value = serializer(dict(REPORT), SerializationContext(TOPIC, MessageField.VALUE))
    assert value is not None
    record = codec(IncidentReport).decode(_sent_and_read(broker.bootstrap, value))
    assert record == IncidentReport(**REPORT)  # type: ignore[arg-type]


def test_a_stock_deserializer_reads_what_we_write(served: Gateway) -> None:
    client = SchemaRegistryClient({"url": served.url, "basic.auth.user.info": "anybody:anything"})
    value = codec(IncidentReport).encode(IncidentReport(**REPORT))  # type: ignore[arg-type]
    context = SerializationContext(TOPIC, MessageField.VALUE)
    assert AvroDeserializer(client)(value, context) == REPORT
    assert AvroDeserializer(client, OWN, conf={"use.latest.version": True})(value, context) == REPORT


def test_an_unknown_schema_is_refused_with_reason_and_place(served: Gateway) -> None:
    schema = json.loads(OWN)
    schema["fields"].append({"name": "phone", "type": "string"})
    client = SchemaRegistryClient({"url": served.url})
    serializer = AvroSerializer(client, json.dumps(schema), conf={"auto.register.schemas": True})
    with pytest.raises(SchemaRegistryError) as refused:
        serializer({**REPORT, "phone": "1"}, SerializationContext(TOPIC, MessageField.VALUE))
    assert refused.value.http_status_code == 422
    assert "released through the repository" in refused.value.error_message
    assert "backward, at /fields/14: reader_field_missing_default_value (phone)" in refused.value.error_message


def test_the_read_routes_answer_as_confluents_do(served: Gateway) -> None:
    with httpx.Client(base_url=served.url) as http:
        subjects = http.get("/subjects").json()
        assert {SUBJECT, "incident.events-value", "liandong.IncidentEvent"} <= set(subjects)
        for subject in subjects:
            versions = http.get(f"/subjects/{subject}/versions").json()
            latest = http.get(f"/subjects/{subject}/versions/latest").json()
            assert latest["version"] == versions[-1]
            assert http.get(f"/subjects/{subject}/versions/{latest['version']}").json() == latest
            assert http.get(f"/schemas/ids/{latest['id']}").json() == {"schema": latest["schema"]}
            assert http.get(f"/config/{subject}").json()["compatibilityLevel"].endswith("_TRANSITIVE")
            pairs = http.get(f"/schemas/ids/{latest['id']}/versions").json()
            assert {"subject": subject, "version": latest["version"]} in pairs
            found = http.post(f"/subjects/{subject}", params={"normalize": "true"}, json={"schema": latest["schema"]})
            assert found.json() == latest
        assert http.get("/subjects").headers["content-type"] == "application/vnd.schemaregistry.v1+json"
        assert http.get(f"/subjects/sandbox.{SUBJECT}/versions").json() == [1, 2]
        assert http.get("/subjects/intake.another-office-value/versions").json() == [1, 2]
        assert http.get("/schemas/types").json() == ["AVRO"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/subjects/nothing-value/versions", None, 404, 40401),
        ("GET", "/subjects/incident.events-key/versions", None, 404, 40401),
        ("GET", f"/subjects/{SUBJECT}/versions/99", None, 404, 40402),
        ("GET", "/schemas/ids/999", None, 404, 40403),
        ("GET", "/associations/resources/-/intake.demo", None, 404, 40401),
        ("POST", f"/subjects/{SUBJECT}", {"schema": '"string"'}, 404, 40403),
        ("POST", f"/subjects/{SUBJECT}/versions", {"schema": "nonsense"}, 422, 42201),
        ("POST", f"/subjects/{SUBJECT}/versions", {"schema": OWN, "schemaType": "PROTOBUF"}, 422, 42201),
        ("POST", f"/subjects/{SUBJECT}/versions", {"schema": '"string"'}, 422, 42205),
        ("POST", f"/subjects/{SUBJECT}/versions", {}, 422, 42201),
    ],
)
def test_errors_have_confluents_codes(served: Gateway, method: str, path: str, body: Any, status: int, code: int) -> None:
    answer = httpx.request(method, served.url + path, json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_compatibility_is_judged_without_releasing(served: Gateway) -> None:
    schema = json.loads(OWN)
    schema["fields"].append({"name": "extra", "type": "string", "default": ""})
    good, bad = json.dumps(schema), OWN.replace('"name": "type", "type": "string"', '"name": "type", "type": "long"')
    with httpx.Client(base_url=served.url) as http:
        for path in (f"/compatibility/subjects/{SUBJECT}/versions/latest", f"/compatibility/subjects/{SUBJECT}/versions"):
            assert http.post(path, json={"schema": good}).json() == {"is_compatible": True, "messages": []}
            verdict = http.post(path, json={"schema": bad}).json()
            assert not verdict["is_compatible"]
            assert any("/fields/" in message for message in verdict["messages"])


def test_the_data_directory_of_the_gateway_holds_no_plain_key(served: Gateway) -> None:
    secrets = Path(served.data_dir / "secrets.json")
    for path in served.data_dir.rglob("*"):
        if path.is_file() and path != secrets:
            content = path.read_bytes()
            assert all(key.encode() not in content for key in served.keys.values()), path
