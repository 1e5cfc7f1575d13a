"""How far Kafka is ahead of the tables."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.realms import Realm
from schemas.topics import realm_of
from services.sink import metrics
from services.sink.plan import Place
from services.sink.streams import Stream

LOOK_SECONDS = 1.0


class Lag:
    """`standing`: the vector of next offsets that the tables hold; its owner keeps it up to date."""

    def __init__(self, stream: Stream, standing: Mapping[Place, int]) -> None:
        self._stream = stream
        self._standing = standing
        self._ends: dict[Place, int] = {}

    def of(self, realm: Realm) -> int:
        """Records of this realm in Kafka and not yet in the tables, as of the last look."""
        ends = [(place, end) for place, end in self._ends.items() if realm_of(place[0]) is realm]
        return sum(max(0, end - self._standing[place]) for place, end in ends)

    async def look(self, consumer: AIOKafkaConsumer) -> None:
        """Asks Kafka for the ends of all partitions. KafkaError when the broker is away."""
        ends = await consumer.end_offsets([TopicPartition(*place) for place in self._standing])
        self._ends = {(tp.topic, tp.partition): end for tp, end in ends.items()}

    async def watch(self, consumer: AIOKafkaConsumer) -> None:
        """Keeps the lag true also while the warehouse is away and nothing is read."""
        while True:
            with contextlib.suppress(KafkaError):
                await self.look(consumer)
                for (topic, partition), end in self._ends.items():
                    waiting = max(0, end - self._standing[(topic, partition)])
                    metrics.LAG.labels(self._stream.group, topic, str(partition)).set(waiting)
            await asyncio.sleep(LOOK_SECONDS)
