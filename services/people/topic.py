"""Topic `people` into the register: read to its end, then followed. Kafka may be away at any time; it is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog
from aiokafka import ConsumerRecord

from schemas.avro.people_record.event import PeopleRecord
from schemas.codec import codec
from schemas.errors import InvalidPayload
from schemas.realms import Realm
from schemas.topics import PEOPLE
from services.people.register import Register
from services.ports import Acked
from streams.engine.following import Following

log = structlog.get_logger(__name__)
CODEC = codec(PeopleRecord)


class PeopleTopic:
    """Feeds one register. `run` as a task; it ends only by being cancelled."""

    def __init__(self, bootstrap: str, register: Register, client: str) -> None:
        self.register = register
        self._following = Following(bootstrap, PEOPLE.in_realm(Realm.LIVE), self._take, client, self._whole)

    async def run(self) -> None:
        await self._following.run()

    async def known(self) -> None:
        """Waits till all there is was read once."""
        await self._following.ready.wait()

    async def reached(self, fates: Iterable[Acked], seconds: float) -> bool:
        """Waits till what was written there is known here; False when that took longer."""
        try:
            async with asyncio.timeout(seconds):
                for fate in fates:
                    await self._following.reached(fate.partition, fate.offset)
        except TimeoutError:
            return False
        return True

    def _whole(self) -> None:
        self.register.ready = True
        log.info("people_read", users=len(self.register.users), posts=len(self.register.posts))

    def _take(self, record: ConsumerRecord) -> None:
        """A record that can't be read is of a later release or damaged: it is logged, and the others count."""
        try:
            name = (record.key or b"").decode()
            self.register.apply(name, None if record.value is None else CODEC.decode(record.value))
        except (UnicodeDecodeError, InvalidPayload) as error:
            log.error("people_record_unreadable", key=repr(record.key)[:80], error=str(error))
