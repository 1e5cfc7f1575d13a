"""Topic `config`, read to its end at the start and followed from then on: what new cases get is known before the first one enters."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, runtime_checkable

from aiokafka import AIOKafkaConsumer, TopicPartition
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


@runtime_checkable
class Scheduled(Protocol):
    """What a processor has beside `process` when it says which policies a new case gets."""

    schedule: Schedule


class Follower:
    """Fills a schedule. Reads without a group and never commits: each process reads all of it, and it is small."""

    def __init__(self, bootstrap: str, schedule: Schedule) -> None:
        self.schedule = schedule
        self._bootstrap = bootstrap
        self._codec = codec(Activation)
        self._read: dict[int, int] = {}  # next offset by partition
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    def start(self) -> None:
        """Begins to read; `ready` is set once what stood there at the start is known. A broker that is away is waited for."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

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

    async def _follow(self) -> None:
        """Never ends by itself: whatever goes wrong, it reads again from where it was."""
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=WAIT_MS
            )
            try:
                await consumer.start()
                await self._run(consumer)
            except Exception as error:  # a broker that is away, or whatever a client can meet
                log.warning("topic %s is not followed for now: %r", CONFIG.name, error)
            finally:
                await consumer.stop()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _run(self, consumer: Any) -> None:
        places = [TopicPartition(CONFIG.name, number) for number in await self._partitions()]
        if not places:
            log.warning("there is no topic %s yet", CONFIG.name)
            return
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for tp in places:
            consumer.seek(tp, self._read.get(tp.partition, 0))
        while True:
            self.advanced({tp.partition: await consumer.position(tp) for tp in places})  # by position: a compacted end has no record
            if all(self._read[tp.partition] >= ends[tp] for tp in places):
                self.ready.set()
            found = await consumer.getmany(timeout_ms=WAIT_MS)
            for records in found.values():
                for record in records:
                    self.take(record.value, f"{record.topic}:{record.partition}:{record.offset}")

    async def _partitions(self) -> list[int]:
        """Asked by name, which makes no topic; empty when there is none."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        try:
            await admin.start()
            found = (await admin.describe_topics([CONFIG.name]))[0]
        finally:
            await admin.close()
        return [] if found["error_code"] else sorted(part["partition"] for part in found["partitions"])

    def take(self, value: bytes | None, place: str) -> None:
        """Puts a record into the schedule; what nobody can read is passed over, and the log says so."""
        try:
            activation = self._codec.decode(value)
        except InvalidPayload as error:
            log.error("the activation at %s cannot be read and is passed over: %s", place, error)
            return
        self.schedule.put(activation)
        try:
            same = fingerprint(activation.version) == activation.fingerprint
        except UnknownPolicy:
            same = False
        if not same:
            log.error("policies %s, activated for %s, are not those of this release", activation.version, activation.realm)
