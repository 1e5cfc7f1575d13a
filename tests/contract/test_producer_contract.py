"""One suite for every ports.Producer: the fake of the unit tests and aiokafka on a real broker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import murmur2

from services.adapters.kafka import KafkaProducer
from services.embedded.broker import Broker
from services.ports import Acked, Producer, Record, Unavailable
from tests.conftest import TEST_PARTITIONS
from tests.fakes import FakeProducer

Read = Callable[[str], Awaitable[dict[int, list[bytes]]]]
NewTopic = Callable[..., Awaitable[str]]


@pytest.fixture(params=["fake", pytest.param("kafka", marks=pytest.mark.broker)])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Producer, str, Read]]:
    """A producer, a topic, and how to read what the topic holds: values by partition."""
    if request.param == "fake":
        fake = FakeProducer(TEST_PARTITIONS)

        async def kept(topic: str) -> dict[int, list[bytes]]:
            return {partition: [r.value or b"" for r in records] for (name, partition), records in fake.log.items() if name == topic}

        yield fake, "anything", kept
        return
    broker: Broker = request.getfixturevalue("broker")
    new_topic: NewTopic = request.getfixturevalue("new_topic")
    producer = KafkaProducer(broker.bootstrap, "contract")

    async def read(topic: str) -> dict[int, list[bytes]]:
        return await _everything(broker.bootstrap, topic)

    yield producer, await new_topic("producer"), read
    await producer.close()


async def _everything(bootstrap: str, topic: str) -> dict[int, list[bytes]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[int, list[bytes]] = defaultdict(list)
    try:
        places = [TopicPartition(topic, number) for number in range(TEST_PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            while await consumer.position(place) < ends[place]:
                record = await consumer.getone(place)
                found[place.partition].append(record.value)
    finally:
        await consumer.stop()
    return dict(found)


def _records(count: int, keys: int = 7) -> list[Record]:
    return [Record(b"key-%d" % (number % keys), b"value-%d" % number) for number in range(count)]


async def test_a_record_goes_to_the_partition_that_java_gives_its_key(case: tuple[Producer, str, Read]) -> None:
    producer, topic, _ = case
    records = _records(40, keys=40)
    for record, fate in zip(records, await producer.send(topic, records), strict=True):
        assert isinstance(fate, Acked)
        assert fate.partition == (murmur2(record.key) & 0x7FFFFFFF) % TEST_PARTITIONS


async def test_an_acknowledgement_names_the_place_where_the_record_stands(case: tuple[Producer, str, Read]) -> None:
    producer, topic, read = case
    records = _records(300)
    fates = await producer.send(topic, records) + await producer.send(topic, records[:1])
    kept = await read(topic)
    for record, fate in zip([*records, records[0]], fates, strict=True):
        assert isinstance(fate, Acked)
        assert kept[fate.partition][fate.offset] == record.value
    assert len({(f.partition, f.offset) for f in fates if isinstance(f, Acked)}) == 301


async def test_records_of_one_key_keep_the_order_of_the_calls(case: tuple[Producer, str, Read]) -> None:
    producer, topic, read = case
    calls: Sequence[Awaitable[object]] = [await producer.enqueue(topic, [record]) for record in _records(500, keys=1)]
    for call in calls:
        await call
    (values,) = (kept for kept in (await read(topic)).values() if kept)
    assert values == [record.value for record in _records(500)]


async def test_who_asks_is_told_of_each_acknowledgement_before_the_answer(case: tuple[Producer, str, Read]) -> None:
    producer, topic, _ = case
    told: dict[int, Acked] = {}
    fates = await producer.send(topic, _records(50), told.update)
    assert [told[index] for index in range(50)] == fates


async def test_a_record_that_could_not_be_put_into_the_ledger_is_not_promised(case: tuple[Producer, str, Read]) -> None:
    producer, topic, _ = case

    def full(_pairs: object) -> None:
        raise OSError("no space left")

    fates = await producer.send(topic, _records(3), full)
    assert all(isinstance(fate, Unavailable) for fate in fates)


async def test_nothing_to_send_is_answered_at_once(case: tuple[Producer, str, Read]) -> None:
    producer, topic, _ = case
    assert await producer.send(topic, []) == []


async def test_after_closing_nothing_is_promised(case: tuple[Producer, str, Read]) -> None:
    producer, topic, _ = case
    await producer.send(topic, _records(1))
    await producer.close()
    (fate,) = await producer.send(topic, _records(1))
    assert isinstance(fate, Unavailable)
    assert not producer.available
