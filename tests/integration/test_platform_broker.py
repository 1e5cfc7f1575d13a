"""The embedded broker: ours or nobody's, survives a kill, keeps its port and its records."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.realms import Realm
from schemas.topics import INCIDENT_EVENTS, TOPICS
from services.embedded.broker import Broker, BrokerError, cluster_id_at
from services.embedded.jars import read_lock
from services.embedded.topics import TopicError, ensure_topics
from tests.conftest import TEST_PARTITIONS

pytestmark = pytest.mark.broker


async def send(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        async with asyncio.timeout(30):
            return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_records_survive_a_kill_and_the_port_stays(own_broker: Broker) -> None:
    await ensure_topics(own_broker.bootstrap, [Realm.LIVE], 1)
    await send(own_broker.bootstrap, INCIDENT_EVENTS.name, b"one", b"two")
    before, cluster = own_broker.bootstrap, own_broker.cluster_id
    own_broker.kill9()
    own_broker.restart()
    assert own_broker.bootstrap == before
    assert await cluster_id_at(before) == cluster
    await send(before, INCIDENT_EVENTS.name, b"three")
    assert await read(before, INCIDENT_EVENTS.name, 3) == [b"one", b"two", b"three"]


async def test_a_frozen_broker_does_not_count_as_there_and_a_woken_one_does(own_broker: Broker) -> None:
    own_broker.pause()
    try:
        assert not await own_broker.is_ours()
    finally:
        own_broker.resume()
    async with asyncio.timeout(60):  # its controller has missed heartbeats meanwhile
        while not await own_broker.is_ours():
            await asyncio.sleep(0.1)


async def test_an_answer_of_another_cluster_on_our_port_is_not_ours(broker: Broker, tmp_path: Path) -> None:
    port = int(broker.bootstrap.rsplit(":", 1)[1])
    other = Broker(tmp_path / "other", port)
    other.prepare()
    assert not await other.is_ours()


def test_a_port_that_is_taken_is_named(broker: Broker, tmp_path: Path) -> None:
    port = int(broker.bootstrap.rsplit(":", 1)[1])
    with pytest.raises(BrokerError, match="ended while starting"):
        Broker(tmp_path / "other", port, heap_mb=128).start(30)


def test_storage_of_another_cluster_is_refused(tmp_path: Path) -> None:
    Broker(tmp_path / "mine").prepare()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "mine" / "data").rename(tmp_path / "theirs" / "data")
    with pytest.raises(BrokerError, match="belongs to Kafka cluster"):
        Broker(tmp_path / "theirs").prepare()


async def test_every_topic_of_every_realm_is_there_with_its_settings(broker: Broker, topics: Callable[..., None]) -> None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    await asyncio.to_thread(topics, *Realm)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        names = [topic.in_realm(realm, "demo" if topic.per_department else "") for topic in TOPICS for realm in Realm]
        described = {topic["topic"]: topic for topic in await admin.describe_topics(names)}
        assert all(len(described[name]["partitions"]) == TEST_PARTITIONS for name in names)
        replay = INCIDENT_EVENTS.in_realm(Realm.REPLAY)
        answer = (await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, replay)]))[0]
        config = {entry[0]: entry[1] for entry in answer.resources[0][4]}
        assert config["message.timestamp.type"] == "CreateTime"
        assert config["retention.ms"] == "-1"
    finally:
        await admin.close()


async def test_another_number_of_partitions_is_refused_because_keys_hash_onto_them(broker: Broker, topics: Callable[..., None]) -> None:
    await asyncio.to_thread(topics, Realm.LIVE)
    with pytest.raises(TopicError, match="fixed for life"):
        await ensure_topics(broker.bootstrap, [Realm.LIVE], TEST_PARTITIONS + 1)


async def test_a_record_of_long_ago_keeps_its_time(broker: Broker, new_topic: Callable[..., Awaitable[str]]) -> None:
    topic = await new_topic("history", 1, **{"message.timestamp.type": "CreateTime"})
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    try:
        meta = await producer.send_and_wait(topic, b"old", timestamp_ms=1_000_000_000_000)
    finally:
        await producer.stop()
    assert meta.timestamp == 1_000_000_000_000


def test_jars_are_resolved_by_coordinates_in_an_empty_home(tmp_path: Path) -> None:
    smallest = min(read_lock(), key=lambda jar: jar.size)
    lock = tmp_path / "one.lock"
    lock.write_text(f"{smallest.coordinate} {smallest.size} {smallest.sha256}\n", encoding="utf-8")
    (tmp_path / "home").mkdir()
    script = (
        "import sys; from pathlib import Path; from services.embedded.jars import ensure_jars;"
        f"print(ensure_jars(Path({str(tmp_path / 'cache')!r}), Path({str(lock)!r}))[0])"
    )
    kept = {name: value for name, value in os.environ.items() if name not in ("M2_REPO", "XDG_CONFIG_HOME", "JGO_CONFIG_FILE")}
    ran = subprocess.run(
        [sys.executable, "-c", script], env=kept | {"HOME": str(tmp_path / "home")}, capture_output=True, text=True, check=False
    )
    if "can't fetch" in ran.stderr:
        pytest.skip(f"no Maven repository within reach: {ran.stderr.splitlines()[-1]}")
    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.strip()).stat().st_size == smallest.size
