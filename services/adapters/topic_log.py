"""Reading topics from one place to another, by a consumer without a group that never commits.

For the auditor too, so of ours it knows nothing (tests/unit/test_audit_fold.py).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

STILL_SECONDS = 60.0  # without a record: the broker is away
START_SECONDS = 30.0
Ends = dict[int, int]  # next offset by partition
Take = Callable[[int, Sequence[Any]], object]


class CannotLook(Exception):
    """Kafka or the read port does not answer, or something stands still: no mismatch, and no proof either."""


class Log:
    """One topic. `read_to` goes on where the last call ended. KafkaError and CannotLook when the broker is away."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.topic = topic
        self.begin: Ends = {}
        self._bootstrap = bootstrap
        self._next: Ends = {}
        self._consumer: Any = None
        self._places: list[TopicPartition] = []

    async def open(self) -> Log:
        """Raises CannotLook when there is no such topic."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20, fetch_max_wait_ms=50,
        )  # fmt: skip
        try:
            with _answering():
                await asyncio.wait_for(self._consumer.start(), START_SECONDS)
                self._places = await _places(self._bootstrap, [self.topic])
                self._consumer.assign(self._places)
                found = await self._consumer.beginning_offsets(self._places)
        except CannotLook:
            await self._consumer.stop()
            raise
        self.begin = {tp.partition: offset for tp, offset in found.items()}
        self._next = dict(self.begin)
        return self

    async def close(self) -> None:
        if self._consumer:
            await self._consumer.stop()

    async def ends(self) -> Ends:
        found = await self._consumer.end_offsets(self._places)
        return {tp.partition: offset for tp, offset in found.items()}

    async def since(self, at: int) -> Ends:
        """The first record of each partition appended at or after `at` (UTC milliseconds); the end where there is none."""
        found = await self._consumer.offsets_for_times(dict.fromkeys(self._places, max(0, at)))
        ends = await self.ends()
        return {tp.partition: found[tp].offset if found.get(tp) else ends[tp.partition] for tp in self._places}

    def skip_to(self, starts: Mapping[int, int]) -> None:
        """Leaves out what stands before these offsets."""
        for partition, offset in starts.items():
            self._next[partition] = max(self._next[partition], offset)

    async def read_to(self, ends: Mapping[int, int], take: Take, progress: Callable[[int, int], None] | None = None) -> None:
        """Hands every record below `ends` to `take(partition, records)`, in the order of each partition. A `take` that answers False has
        enough of the partition: it counts as read."""
        left = {tp for tp in self._places if self._next[tp.partition] < ends.get(tp.partition, 0)}
        for tp in self._places:
            if tp in left:
                self._consumer.seek(tp, self._next[tp.partition])
                self._consumer.resume(tp)
            else:
                self._consumer.pause(tp)
        total, read, since = sum(ends[tp.partition] - self._next[tp.partition] for tp in left), 0, time.monotonic()
        while left:
            batches = await self._consumer.getmany(*left, timeout_ms=200, max_records=10_000)
            for tp, records in batches.items():
                end = ends[tp.partition]
                inside = records if records[-1].offset < end else [record for record in records if record.offset < end]
                enough = take(tp.partition, inside) is False
                read += len(inside)
                self._next[tp.partition] = end if enough else min(records[-1].offset + 1, end)
            if progress:
                progress(read, total)
            if batches:
                since = time.monotonic()
            else:
                await self._past_holes(left, ends)
            for tp in [tp for tp in left if self._next[tp.partition] >= ends[tp.partition]]:
                left.discard(tp)
                self._consumer.pause(tp)
            if time.monotonic() - since > STILL_SECONDS:
                raise CannotLook(f"{self.topic} could not be read to its end: nothing came for {STILL_SECONDS:g} s")

    async def _past_holes(self, left: set[TopicPartition], ends: Mapping[int, int]) -> None:
        """Offsets that hold no record any more (compacted, or deleted while we read)."""
        begin = await self._consumer.beginning_offsets(list(left))
        for tp in left:
            if begin[tp] >= ends[tp.partition] or await self._consumer.position(tp) >= ends[tp.partition]:
                self._next[tp.partition] = ends[tp.partition]


@contextmanager
def _answering() -> Iterator[None]:
    """What a client raises while the broker is away, as CannotLook."""
    try:
        yield
    except (TimeoutError, KafkaError) as error:
        raise CannotLook(f"Kafka does not answer ({type(error).__name__})") from error


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Raises KafkaError, TimeoutError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await asyncio.wait_for(admin.start(), START_SECONDS)
        yield admin
    finally:
        await admin.close()


async def _places(bootstrap: str, topics: Sequence[str]) -> list[TopicPartition]:
    """Asked by name, which makes no topic. Raises CannotLook, KafkaError, TimeoutError."""
    async with _admin(bootstrap) as admin:
        found = await admin.describe_topics(list(topics))
    for topic in found:
        if topic["error_code"]:
            raise CannotLook(f"there is no topic {topic['topic']}")
    return sorted(TopicPartition(topic["topic"], part["partition"]) for topic in found for part in topic["partitions"])


async def topics_like(bootstrap: str, beginning: str) -> list[str]:
    """Names of the topics that begin so. Raises CannotLook."""
    with _answering():
        async with _admin(bootstrap) as admin:
            return sorted(name for name in await admin.list_topics() if name.startswith(beginning))


async def ends_of(bootstrap: str, topics: Sequence[str]) -> dict[str, Ends]:
    """Where topics end now, by name. Raises CannotLook."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        with _answering():
            await asyncio.wait_for(consumer.start(), START_SECONDS)
            places = await _places(bootstrap, topics)
            found: dict[str, Ends] = defaultdict(dict)
            for tp, offset in (await consumer.end_offsets(places)).items():
                found[tp.topic][tp.partition] = offset
            return found
    finally:
        await consumer.stop()


async def committed(bootstrap: str, group: str, topic: str) -> Ends:
    """Committed offsets of a group, by partition; those never committed are left out."""
    try:
        async with _admin(bootstrap) as admin:
            found = await admin.list_consumer_group_offsets(group)
    except (TimeoutError, KafkaError):
        return {}
    return {tp.partition: meta.offset for tp, meta in found.items() if tp.topic == topic and meta.offset >= 0}
