"""Repartitioning, the pure part: labels go on and come off, every type is known, every writer finds the same partition."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2

from schemas import registry
from schemas.codec import codec
from schemas.headers import derived
from schemas.murmur import partition_of
from schemas.realms import REALMS
from schemas.topics import DESKS, TOPICS
from services.repartition import labels
from services.repartition.topics import TABLES, Held, row_of
from services.repartition.waiting import groups
from services.sink.kafka import Topics
from services.sink.marks import source_of
from services.sink.streams import HANDOVERS
from streams import app
from streams.engine.exits import Exit
from streams.engine.source import src_of

LOG, NEXT = "oldcluster", "newcluster"
EXAMPLES = [
    (version, path)
    for version in registry.versions()
    for path in sorted((registry.folder(version.name) / "examples" / "valid").glob("*.json"))
]


def encoded(version: registry.SchemaVersion, path: object) -> tuple[bytes, msgspec.Struct]:
    record = msgspec.convert(json.loads(path.read_text(encoding="utf-8")), registry.struct(version.name))  # type: ignore[attr-defined]
    return codec(type(record)).encode(record), record


@pytest.mark.parametrize(("version", "path"), EXAMPLES, ids=lambda value: getattr(value, "stem", getattr(value, "name", "")))
def test_a_label_changes_the_places_and_nothing_else_and_comes_off_again(version: registry.SchemaVersion, path: object) -> None:
    value, record = encoded(version, path)
    changed = labels.label(value, LOG)
    assert labels.unlabel(changed, LOG) == value
    assert labels.label(changed, NEXT) == changed, "a place of an older log keeps its label"
    places = labels.PLACES.get(version.name, ("src_topic",))
    expected = {name: labels.labelled(getattr(record, name), LOG) for name in places if name in record.__struct_fields__}
    assert codec(type(record)).decode(changed) == msgspec.structs.replace(record, **expected)


@pytest.mark.parametrize("value", [None, b"", b"no frame", b"\x00\x00\x00\xff\xff unknown schema"])
def test_what_nobody_can_read_is_copied_as_it_is(value: bytes | None) -> None:
    assert labels.label(value, LOG) == value


@pytest.mark.parametrize("source", [None, ("src", b"incident.commands:3:120:0")])
def test_a_copy_was_derived_if_its_original_was_however_often_it_was_copied(source: tuple[str, bytes] | None) -> None:
    headers = [("type", b"incident_event"), *([source] if source else [])]
    once = labels.copied_headers(headers, LOG, ("incident.events", 3, 9))
    twice = labels.copied_headers(once, NEXT, ("incident.events", 40, 7))
    assert [derived(found) for found in (headers, once, twice)] == [source is not None] * 3, "poison from outside stays poison from outside"


def test_a_datum_cut_off_or_with_more_behind_it_is_copied_as_it_is() -> None:
    for version, path in EXAMPLES:
        value, _ = encoded(version, path)
        for broken in (*(value[:end] for end in range(5, len(value))), value + b"x"):
            assert labels.label(broken, LOG) == broken


def test_a_copys_headers_name_the_old_log_and_keep_what_was_there() -> None:
    place = ("incident.events", 3, 120)
    before = [("src", b"incident.commands:3:99:0"), ("ce_id", b"x")]
    first = labels.copied_headers(before, LOG, place)
    mark = source_of(first)
    assert mark == (f"{LOG}/incident.events:3", (120, 0))
    assert src_of(first) == (f"{LOG}/incident.events", 3, 120, 0)
    assert labels.copied_from(first) == labels.origin_of(first) == (f"{LOG}/incident.events", 3, 120)
    assert labels.source_before(first) == (f"{LOG}/incident.commands:3", (99, 0))
    assert ("ce_id", b"x") in first
    again = labels.copied_headers(first, NEXT, ("incident.events", 40, 7))
    assert source_of(again) == (f"{NEXT}/incident.events:40", (7, 0))
    assert labels.copied_from(again) == (f"{NEXT}/incident.events", 40, 7)
    assert (labels.origin_of(again), labels.source_before(again)) == (labels.origin_of(first), labels.source_before(first))
    assert len(again) == len(first)


def test_a_first_record_gets_a_mark_and_an_unreadable_mark_stays_unreadable() -> None:
    first = labels.copied_headers([], LOG, ("incident.commands", 0, 0))
    assert labels.source_before(first) is None
    broken = labels.copied_headers([("src", b"not a place")], LOG, ("incident.events", 0, 5))
    assert labels.copied_from(broken) == (f"{LOG}/incident.events", 0, 5)
    with pytest.raises(ValueError, match="not"):
        source_of(broken)


def test_every_writer_finds_the_same_partition() -> None:
    """The gateway's producer and the copier, the engine's `_target`, Kafka's own clients (sink's letters, `dlq replay`)."""
    chance, default = random.Random(1), DefaultPartitioner()
    for count in (12, 48):
        for _ in range(2_000):
            key = chance.randbytes(chance.randrange(1, 60))
            found = {partition_of(key, count), (murmur2(key) & 0x7FFFFFFF) % count, default(key, list(range(count)), [])}
            assert len(found) == 1


def test_every_topic_is_copied_record_by_record_or_is_the_table_of_a_lane() -> None:
    for topic in TOPICS:
        assert (topic in TABLES) == (not topic.types), topic.name
        assert all(labels._fields(v.id) for v in registry.versions() if v.name in topic.types)
        for realm in REALMS:
            assert row_of(topic.in_realm(realm, "any.department" if topic.per_department else "")) is topic
    assert row_of("somebody.else") is None


def test_the_hand_overs_of_all_levels_are_one_stream_of_the_sink_in_every_realm() -> None:
    held = [Held(topic.in_realm(realm), topic, realm, 12) for topic in DESKS.values() for realm in REALMS]
    (group,) = groups(held)
    assert group.stream is HANDOVERS
    assert [one.name for one in group.topics] == [one.name for one in held]
    assert set(Topics("", HANDOVERS, list(REALMS)).names) == {one.name for one in held}


async def test_a_worker_whose_settings_count_other_partitions_than_the_topics_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[Exit] = []
    monkeypatch.setattr(app, "die", lambda code, why: ended.append(code))

    class Topics:
        async def partitions_for(self, topic: str) -> set[int]:
            return set(range(48))

    producer: Any = SimpleNamespace(guarded=Topics())
    await app._check_partitions(producer, "incident.commands", 48)
    assert not ended
    await app._check_partitions(producer, "incident.commands", 12)
    assert ended == [Exit.WRONG_PARTITIONS]
