"""Topics that a process wants whole: read to their end at the start, and followed from then on.

So what new cases get, by topic `config`, is known before the first one enters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from mode.utils.logging import get_logger

from schemas.avro.activation.event import Activation
from schemas.codec import codec
from schemas.errors import InvalidPayload, UnknownPolicy
from schemas.policy.schedule import Schedule
from schemas.policy.store import fingerprint
from schemas.topics import CONFIG

log = get_logger(__name__)
AGAIN_SECONDS = 1.0
WAIT_MS = 1000
MOST_AT_ONCE = 2_000  # taken in one go, some 60 ms


@runtime_checkable
class Scheduled(Protocol):
    """What a processor has beside `process` when it says which policies a new case gets."""

    schedule: Schedule


class Following:
    """One topic, read by a consumer without a group that never commits: to the end that it has at the start, and on from there. For topics
    that are small and that each process wants whole.

    `take` is handed every record, and says itself what it can't read; `whole` is called once, when all that stood there at first is known.
    """

    def __init__(
        self, bootstrap: str, topic: str, take: Callable[[ConsumerRecord], None], client: str = "", whole: Callable[[], None] = lambda: None
    ) -> None:
        self._bootstrap, self._topic, self._take, self._whole = bootstrap, topic, take, whole
        self._client = {"client_id": client} if client else {}
        self._read: dict[int, int] = {}  # next offset by partition
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    def start(self) -> None:
        """Begins to read; `ready` is set once what stood there at the start is known. A broker that is away is waited for."""
        self._task = asyncio.get_running_loop().create_task(self.run())

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def known(self) -> bool:
        return self.ready.is_set()

    async def reached(self, partition: int, offset: int) -> None:
        """Returns once the record at that place has been read."""
        while self._read.get(partition, 0) <= offset:
            await self._moved.wait()

    def advanced(self, read: dict[int, int]) -> None:
        """`read`: next offset by partition; wakes who waits for one."""
        self._read |= read
        self._moved.set()
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Never ends by itself: whatever goes wrong, it reads again from where it was."""
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=WAIT_MS,
                **self._client,
            )  # fmt: skip
            try:
                await consumer.start()
                await self._follow(consumer)
            except Exception as error:  # a broker that is away, or whatever a client can meet
                log.warning("topic %s is not followed for now: %r", self._topic, error)
            finally:
                await consumer.stop()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self, consumer: Any) -> None:
        places = [TopicPartition(self._topic, number) for number in await self._partitions()]
        if not places:
            log.warning("there is no topic %s yet", self._topic)
            return
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for tp in places:
            consumer.seek(tp, self._read.get(tp.partition, 0))
        while True:
            self.advanced({tp.partition: await consumer.position(tp) for tp in places})  # by position: a compacted end has no record
            if not self.known and all(self._read[tp.partition] >= ends[tp] for tp in places):
                self._whole()
                self.ready.set()
            found = await consumer.getmany(timeout_ms=WAIT_MS, max_records=MOST_AT_ONCE)
            for records in found.values():
                for record in records:
                    self._take(record)

    async def _partitions(self) -> list[int]:
        """Asked by name, which makes no topic; empty when there is none."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, **self._client)
        try:
            await admin.start()
            found = (await admin.describe_topics([self._topic]))[0]
        finally:
            await admin.close()
        return [] if found["error_code"] else sorted(part["partition"] for part in found["partitions"])


class Follower(Following):
    """Topic `config` into a schedule."""

    def __init__(self, bootstrap: str, schedule: Schedule) -> None:
        super().__init__(bootstrap, CONFIG.name, lambda one: self.take(one.value, f"{one.topic}:{one.partition}:{one.offset}"))
        self.schedule = schedule
        self._codec = codec(Activation)

    def take(self, value: bytes | None, place: str) -> None:
        """Puts a record into the schedule; what nobody can read is passed over, and the log says so."""
        try:
            activation = self._codec.decode(value)
        except InvalidPayload as error:
            log.error("the activation at %s cannot be read and is passed over: %s", place, error)
            return
        self.schedule.put(activation)
        if not activation.version:  # a withdrawal
            return
        try:
            same = fingerprint(activation.version) == activation.fingerprint
        except UnknownPolicy:
            same = False
        if not same:
            log.error("policies %s, activated for %s, are not those of this release", activation.version, activation.realm)
