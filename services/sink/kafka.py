"""The sink's side of Kafka: assigned partitions, committed metadata, exact re-reads. Commits go through a `Seat`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.realms import Realm
from services.sink.plan import Place, Record
from services.sink.recover import Ranges
from services.sink.seat import Occupant, Seat
from services.sink.streams import Stream

T = TypeVar("T")
FETCH_BYTES = 8 << 20  # of one response: bounds the memory of a consumer that is not polled
PARTITION_BYTES = 1 << 20
REREAD_SECONDS = 60.0


class LostRange(Exception):
    """Kafka no longer holds records that a commit says are not yet stored."""


class Topics:
    """The topics of one stream and their committed offsets."""

    def __init__(self, bootstrap: str, stream: Stream, realms: Sequence[Realm]) -> None:
        self.bootstrap = bootstrap
        self.stream = stream
        self.names = [topic.in_realm(realm) for topic in stream.topics for realm in realms]

    async def places(self) -> list[Place]:
        """Every partition; waits until all topics exist."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            while True:
                found = await admin.describe_topics(self.names)
                if all(topic["error_code"] == 0 for topic in found):
                    return sorted((topic["topic"], part["partition"]) for topic in found for part in topic["partitions"])
                await asyncio.sleep(0.5)
        finally:
            await admin.close()

    async def commits(self) -> dict[Place, tuple[int, str]]:
        """Committed offset and metadata by partition, for those that have one."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            found = await _patiently(lambda: admin.list_consumer_group_offsets(self.stream.group))
        finally:
            await admin.close()
        return {(tp.topic, tp.partition): (meta.offset, meta.metadata) for tp, meta in found.items() if meta.offset >= 0}

    async def sit(self, places: Sequence[Place]) -> Seat:
        """Takes the right to commit; the process that had it is refused from here on."""
        seat = Seat(self.bootstrap, self.stream.group, places, Occupant.here(self.stream.name))
        await seat.take()
        return seat

    def consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_BYTES,
            fetch_max_wait_ms=200,
        )

    async def reader(self, places: Sequence[Place], positions: Mapping[Place, int]) -> AIOKafkaConsumer:
        """A started consumer at these positions; a partition without one begins at its start."""
        consumer = self.consumer()
        await consumer.start()
        assigned = [TopicPartition(*place) for place in places]
        consumer.assign(assigned)
        new = [tp for tp in assigned if (tp.topic, tp.partition) not in positions]
        begin = await consumer.beginning_offsets(new) if new else {}
        for tp in assigned:
            consumer.seek(tp, positions.get((tp.topic, tp.partition), begin.get(tp, 0)))
        return consumer

    async def reread(self, ranges: Ranges) -> dict[Place, list[Record]]:
        """Exactly these ranges, by a consumer of its own. LostRange when some are gone."""
        consumer = self.consumer()
        await consumer.start()
        try:
            return await _read_ranges(consumer, ranges)
        finally:
            await consumer.stop()


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Asks again while the broker says that it is not ready yet (a new group has no coordinator for a moment)."""
    deadline = time.monotonic() + REREAD_SECONDS
    while True:
        try:
            return await ask()
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def _read_ranges(consumer: AIOKafkaConsumer, ranges: Ranges) -> dict[Place, list[Record]]:
    assigned = [TopicPartition(*place) for place in ranges]
    consumer.assign(assigned)
    begin, end = await consumer.beginning_offsets(assigned), await consumer.end_offsets(assigned)
    for tp in assigned:
        start, stop = ranges[(tp.topic, tp.partition)]
        if begin[tp] > start or end[tp] < stop:
            raise LostRange(f"{tp.topic}:{tp.partition} holds {begin[tp]} to {end[tp]}, the open block needs {start} to {stop}")
        consumer.seek(tp, start)
    found: dict[Place, list[Record]] = {place: [] for place in ranges}
    left, deadline = set(ranges), time.monotonic() + REREAD_SECONDS
    while left:
        if time.monotonic() > deadline:
            raise LostRange(f"not read within {REREAD_SECONDS:g} s: {sorted(left)}")
        batches: dict[Any, list[Any]] = await consumer.getmany(timeout_ms=500)
        for tp, records in batches.items():
            place = (tp.topic, tp.partition)
            stop = ranges[place][1]
            found[place] += [record for record in records if record.offset < stop]
            if records[-1].offset + 1 >= stop:
                left.discard(place)
                consumer.pause(tp)
    return found
