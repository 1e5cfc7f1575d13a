"""Topic `people` into the register: read to its end, then followed. Kafka may be away at any time; it is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from schemas.avro.people_record.event import PeopleRecord
from schemas.codec import codec
from schemas.errors import InvalidPayload
from schemas.realms import Realm
from schemas.topics import PEOPLE
from services.people.register import Register
from services.ports import Acked

log = structlog.get_logger(__name__)
CODEC = codec(PeopleRecord)
AGAIN_SECONDS = 1.0
POLL_MS = 500
POLL_RECORDS = 2_000  # decoded in one go, some 60 ms


class PeopleTopic:
    """Feeds one register. `run` as a task; it ends only by being cancelled."""

    def __init__(self, bootstrap: str, register: Register, client: str) -> None:
        self.register = register
        self._bootstrap = bootstrap
        self._client = client
        self._positions: dict[int, int] = {}
        self._moved = asyncio.Condition()

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("people_unread", error=repr(error))
            await asyncio.sleep(AGAIN_SECONDS)

    async def known(self) -> None:
        """Waits till all there is was read once."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.register.ready)

    async def reached(self, fates: Iterable[Acked], seconds: float) -> bool:
        """Waits till what was written there is known here; False when that took longer."""
        wanted = list(fates)

        def there() -> bool:
            return all(self._positions.get(fate.partition, 0) > fate.offset for fate in wanted)

        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(there)
        return there()

    async def _follow(self) -> None:
        name = PEOPLE.in_realm(Realm.LIVE)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, client_id=self._client, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        try:
            await consumer.start()
            places = [TopicPartition(name, number) for number in await self._partitions(name)]
            consumer.assign(places)
            for place in places:
                if place.partition in self._positions:
                    consumer.seek(place, self._positions[place.partition])
            ends = await consumer.end_offsets(places)
            while True:
                found = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
                for records in found.values():
                    for record in records:
                        self._apply(record.key, record.value)
                for place in places:
                    self._positions[place.partition] = await consumer.position(place)
                if not self.register.ready and all(self._positions[place.partition] >= ends[place] for place in places):
                    self.register.ready = True
                    log.info("people_read", users=len(self.register.users), posts=len(self.register.posts))
                async with self._moved:
                    self._moved.notify_all()
        finally:
            await consumer.stop()

    async def _partitions(self, name: str) -> list[int]:
        """Asked by name, which makes no topic. Raises KafkaError when there is none."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, client_id=self._client)
        try:
            await admin.start()
            found = (await admin.describe_topics([name]))[0]
        finally:
            await admin.close()
        if found["error_code"]:
            raise UnknownTopicOrPartitionError(name)
        return sorted(part["partition"] for part in found["partitions"])

    def _apply(self, key: bytes | None, value: bytes | None) -> None:
        """A record that can't be read is of a later release or damaged: it is logged, and the others count."""
        try:
            name = (key or b"").decode()
            self.register.apply(name, None if value is None else CODEC.decode(value))
        except (UnicodeDecodeError, InvalidPayload) as error:
            log.error("people_record_unreadable", key=repr(key)[:80], error=str(error))
