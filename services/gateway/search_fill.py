"""Filling the index of persons from what was sealed: after a crash, for a new file, or because somebody asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from schemas.codec import codec
from schemas.errors import InvalidPayload
from schemas.realms import Realm
from schemas.state.sealed.event import Sealed
from schemas.topics import SEALED
from services.adapters.topic_log import CannotLook, Log
from services.gateway.search_index import PersonIndex, Told
from services.ports import KeyVault
from services.sealing import BrokenSeal, unseal

log = structlog.get_logger(__name__)
SEALED_CODEC = codec(Sealed)
AGAIN_SECONDS = 30.0
BATCH = 2_000
Open = Callable[[Realm], Any]  # a Log of the realm's sealed records


class Filler:
    """Fills `index` from `incident.sealed` of all realms; one run at a time, and none while the index is whole unless asked for."""

    def __init__(self, index: PersonIndex, vault: KeyVault, bootstrap: str, realms: Sequence[Realm]) -> None:
        self._index, self._vault, self._realms = index, vault, tuple(realms)
        self._bootstrap = bootstrap
        self._task: asyncio.Task[None] | None = None
        self.read = 0
        self.total = 0

    def start(self) -> None:
        """Fills in the background what is not whole."""
        if not self._index.whole:
            self.again(empty=False)

    def again(self, *, empty: bool = True) -> None:
        """Begins a run, from nothing or beside what is there; one that is under way goes on."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._until_done(empty))

    @property
    def progress(self) -> dict[str, Any]:
        running = self._task is not None and not self._task.done()
        return {"running": running, "whole": self._index.whole, "read": self.read, "total": self.total}

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _until_done(self, empty: bool) -> None:
        if empty:
            await self._index.begin()
        while True:
            try:
                self.read = self.total = 0
                for realm in self._realms:
                    await self._fill(realm)
            except (KafkaError, CannotLook, OSError) as error:
                log.warning("search by person is not filled yet", error=type(error).__name__)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self._index.whole = True
                log.info("search by person is whole", read=self.read)
                return

    async def _fill(self, realm: Realm) -> None:
        """All that stood in the topic when it began; what comes later the gateway adds itself."""
        topic = await Log(self._bootstrap, SEALED.in_realm(realm)).open()
        try:
            ends = await topic.ends()
            self.total += sum(ends[part] - topic.begin[part] for part in ends)
            waiting: list[Told] = []
            upto = dict(topic.begin)
            while upto != ends:
                upto = {part: min(end, upto[part] + BATCH) for part, end in ends.items()}
                await topic.read_to(upto, lambda _part, records: waiting.extend(self._told(records)))
                await self._index.put(waiting)
                waiting.clear()
        finally:
            await topic.close()

    def _told(self, records: Sequence[Any]) -> list[Told]:
        """Erased ones and unreadable ones are left out."""
        self.read += len(records)
        found = []
        for record in records:
            try:
                sealed = SEALED_CODEC.decode(record.value)
                key = self._vault.find(sealed.case_id)
                if key is None:
                    continue
                personal = unseal(key, sealed.nonce, sealed.ciphertext, case_id=sealed.case_id, realm=sealed.realm)
            except (InvalidPayload, BrokenSeal):
                continue
            found.append(Told(sealed.case_id, sealed.realm, sealed.division, personal, sealed.received_at))
        return found
