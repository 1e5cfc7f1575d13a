"""Dead letters: stored with their original bytes, listed, shown and sent again; what the sink cannot read becomes one."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner

from schemas.avro.dead_letter.event import DeadLetter
from schemas.topics import DEAD_LETTERS, INCIDENT_COMMANDS, INCIDENT_EVENTS
from services.commands import dlq
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from services.sink.streams import EVENTS
from services.warehouse.backend import scalar
from tests import numbered
from tests.conftest import TEST_PARTITIONS
from tests.helpers import until
from tests.warehouse_process import WarehouseProcess, Writer

pytestmark = pytest.mark.broker
ORIGINAL = b"\x00\x00\x00\x00\x02\xff\x00 not a command"


def letter(topic: str, offset: int, reason: str) -> DeadLetter:
    return DeadLetter(
        topic=topic, partition=1, offset=offset, realm="live", key=b"case-1", value=ORIGINAL, reason=reason, detail="no", code_version="1",
        lane="case", received_at=numbered.START_MS, src_topic=topic, src_partition=1, src_offset=offset, src_position=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarehouseProcess]:
    broker = Broker(tmp_path_factory.mktemp("broker"), heap_mb=256).start()
    asyncio.run(ensure_topics(broker.bootstrap, ["live"], TEST_PARTITIONS))
    places = (("incident.commands", 5, "bad_avro"), ("incident.commands", 6, "decide_crashed"), ("incident.events", 7, "bad_avro"))
    letters = [letter(*place) for place in places]
    writer = Writer(broker.bootstrap)
    writer.put(DEAD_LETTERS, "live", 1, [(b"case-1", numbered.encode(one), [numbered.header(one)]) for one in letters])
    writer.flush()
    made = WarehouseProcess.new(tmp_path_factory.mktemp("platform"), broker.bootstrap, realms="live").start()
    made.drained()
    yield made
    made.close()
    broker.stop()


@pytest.fixture
def call(warehouse: WarehouseProcess, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `liandong dlq …` on the warehouse; answers its JSON."""
    state = {"read": warehouse.url, "bootstrap": warehouse.settings.bootstrap, "keys": warehouse.keys}
    monkeypatch.setattr(dlq, "running", lambda _: (warehouse.settings, state))

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(dlq.app, [*arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


def test_letters_are_listed_with_their_reasons(call: Any) -> None:
    page = call("list")
    assert [(row["topic"], row["offset"], row["reason"]) for row in page["letters"]] == [
        ("incident.commands", 5, "bad_avro"), ("incident.commands", 6, "decide_crashed"), ("incident.events", 7, "bad_avro")
    ]  # fmt: skip
    assert {row["reason"]: row["letters"] for row in page["reasons"]} == {"bad_avro": 2, "decide_crashed": 1}
    assert [row["offset"] for row in call("list", "--reason", "decide_crashed")["letters"]] == [6]


def test_a_letter_is_shown_with_its_original_bytes(call: Any) -> None:
    row = call("show", "1-0")
    assert (base64.b64decode(row["value"]), base64.b64decode(row["key"])) == (ORIGINAL, b"case-1")


def test_only_outside_records_are_sent_again_as_they_were(call: Any, warehouse: WarehouseProcess) -> None:
    assert call("replay", "--dry-run") == {"chosen": 3, "kept_back": 1, "sent": 0, "dry_run": True}
    assert call("replay", "--id", "1-1", "--yes") == {"chosen": 1, "kept_back": 0, "sent": 1, "dry_run": False}
    topic = INCIDENT_COMMANDS.in_realm("live")
    consumer = Consumer({"bootstrap.servers": warehouse.settings.bootstrap, "group.id": "check", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(TEST_PARTITIONS)])
    record = until(lambda: consumer.poll(0.5), "the record stands on its topic again")
    assert record
    assert (record.key(), record.value(), record.headers()) == (b"case-1", ORIGINAL, [("replayed", b"1-1")])
    consumer.close()


def test_what_the_sink_cannot_read_becomes_a_letter_and_the_rest_is_stored(warehouse: WarehouseProcess) -> None:
    frame = numbered.encode(numbered.event(0, 2))[:5]
    bad = [b"no frame at all", frame + b"\xff\xff broken datum"]
    writer = Writer(warehouse.settings.bootstrap)
    rows = [
        *numbered.stream(numbered.event, range(3), 2),
        *((b"k", value, []) for value in bad),
        *numbered.stream(numbered.event, range(3, 6), 2),
    ]
    writer.put(INCIDENT_EVENTS, "live", 2, rows)
    writer.flush()
    found = until(lambda: rows if len(rows := _of_sink(warehouse)) == len(bad) else None, "both letters") or []
    assert sorted(base64.b64decode(row["value"]) for row in found) == sorted(bad)
    assert {row["reason"] for row in found} == {"bad_frame", "bad_avro"}
    warehouse.drained()
    assert warehouse.stop() == 0
    tables = warehouse.tables()
    with tables.reader() as handle:
        assert scalar(handle, f"SELECT count() = 6 AND uniqExact(event_id) = 6 FROM {EVENTS.facts}")
    tables.close()


def _of_sink(warehouse: WarehouseProcess) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = warehouse.get("/internal/dead-letters", bytes=True).json()["letters"]
    return [row for row in letters if row["lane"] == "sink"]
