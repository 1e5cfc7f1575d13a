"""Reading a whole topic, up to the ends it has when the reading begins."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.repartition.topics import CannotRepartition

STILL_SECONDS = 60.0  # without a record: the broker is away
POLL_RECORDS = 5_000


@dataclass(frozen=True, slots=True)
class Span:
    """First and next offset of each partition."""

    begins: Mapping[int, int]
    ends: Mapping[int, int]

    @property
    def records(self) -> int:
        return sum(self.ends[p] - self.begins[p] for p in self.ends)


class Cluster:
    """One Kafka cluster and a consumer without a group, for the time of a move; topics are read one after the other."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="none", max_partition_fetch_bytes=4 << 20,
            fetch_max_wait_ms=50,
        )  # fmt: skip

    async def __aenter__(self) -> Cluster:
        await self.consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.consumer.stop()


class Reader:
    """One topic of one cluster."""

    def __init__(self, cluster: Cluster, topic: str, partitions: int) -> None:
        self._consumer = cluster.consumer
        self._places = [TopicPartition(topic, partition) for partition in range(partitions)]

    async def span(self) -> Span:
        begins, ends = await self._consumer.beginning_offsets(self._places), await self._consumer.end_offsets(self._places)
        return Span({tp.partition: at for tp, at in begins.items()}, {tp.partition: at for tp, at in ends.items()})

    async def batches(self, span: Span) -> AsyncIterator[tuple[int, Sequence[Any]]]:
        """(partition, records) in offset order. CannotRepartition when the broker stands still."""
        left = {tp for tp in self._places if span.ends[tp.partition] > span.begins[tp.partition]}
        if not left:
            return
        self._consumer.assign(list(left))
        for tp in left:
            self._consumer.seek(tp, span.begins[tp.partition])
        last = time.monotonic()
        while left:
            found: dict[Any, list[Any]] = await self._consumer.getmany(timeout_ms=200, max_records=POLL_RECORDS)
            for tp, records in found.items():
                wanted = [record for record in records if record.offset < span.ends[tp.partition]]
                if wanted:
                    yield tp.partition, wanted
            for tp in list(left):
                if await self._consumer.position(tp) >= span.ends[tp.partition]:  # by position: a compacted end has no record
                    left.discard(tp)
                    self._consumer.pause(tp)
            if found:
                last = time.monotonic()
            elif time.monotonic() - last > STILL_SECONDS:
                raise CannotRepartition(f"nothing was read for {STILL_SECONDS:g} s: {sorted(left)}")
