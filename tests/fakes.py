"""Doubles of the ports, for tests of one part; each passes the same contract suite as the real adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence

from schemas.avro.activation.event import Activation
from schemas.codec import codec
from schemas.murmur import partition_of
from schemas.people.records import Channel
from schemas.policy.schedule import Schedule
from schemas.realms import Realm
from schemas.topics import CONFIG
from services.ports import Acked, Contact, Fate, Message, OnAcked, Record, Unavailable
from streams.domain.people.roster import Stretch


class FakeProducer:
    """Keeps what is sent: `log[(topic, partition)]` holds the records in offset order. `away`: acknowledges nothing."""

    def __init__(self, partitions: int = 4) -> None:
        self.log: dict[tuple[str, int], list[Record]] = {}
        self.away = False
        self.away_topics: set[str] = set()
        self._partitions = partitions

    @property
    def available(self) -> bool:
        return not self.away

    async def enqueue(self, topic: str, records: Sequence[Record], on_acked: OnAcked | None = None) -> Awaitable[list[Fate]]:
        answer: asyncio.Future[list[Fate]] = asyncio.get_running_loop().create_future()
        answer.set_result(self._take(topic, records, on_acked))
        return answer

    async def send(self, topic: str, records: Sequence[Record], on_acked: OnAcked | None = None) -> list[Fate]:
        return await (await self.enqueue(topic, records, on_acked))

    async def close(self) -> None:
        self.away = True

    def records(self, topic: str) -> list[Record]:
        """Of all partitions, in order within each."""
        return [record for (name, _), kept in sorted(self.log.items()) if name == topic for record in kept]

    def _take(self, topic: str, records: Sequence[Record], on_acked: OnAcked | None) -> list[Fate]:
        if self.away or topic in self.away_topics:
            return [Unavailable("away")] * len(records)
        acked = []
        for record in records:
            partition = partition_of(record.key, self._partitions)
            kept = self.log.setdefault((topic, partition), [])
            acked.append(Acked(partition, len(kept)))
            kept.append(record)
        try:
            if on_acked is not None and acked:
                on_acked(list(enumerate(acked)))
        except OSError as error:
            return [Unavailable(str(error))] * len(records)
        return list(acked)


class FakeDirectory:
    """Fulfils ports.Directory: the same persons at every time, till a test says otherwise."""

    def __init__(self, duty: Mapping[str, Sequence[Contact]] = {}, heads: Mapping[str, Sequence[Contact]] = {}) -> None:
        """By desk. A desk with an empty list has a roster and nobody on duty."""
        self.duty = dict(duty)
        self.heads = dict(heads)

    def desks(self) -> Collection[str]:
        return self.duty.keys()

    def on_duty(self, desk: str, at: int) -> tuple[Contact, ...]:
        return tuple(self.duty.get(desk, ()))

    def head(self, desk: str, at: int) -> tuple[Contact, ...]:
        return tuple(self.heads.get(desk, ()))

    def gaps(self, desk: str, since: int, until: int) -> tuple[Stretch, ...]:
        return () if self.duty.get(desk) else (Stretch(since, until),)


class FakePolicies:
    """Topic `config` in a fake producer's log, read up to its end whenever somebody looks. `known`: False as before the first reading."""

    def __init__(self, producer: FakeProducer) -> None:
        self.known = True
        self._producer = producer

    @property
    def schedule(self) -> Schedule:
        schedule = Schedule()
        for record in self._producer.records(CONFIG.name):
            schedule.put(codec(Activation).decode(record.value))
        return schedule

    async def reached(self, partition: int, offset: int) -> None:
        assert len(self._producer.log[CONFIG.name, partition]) > offset


class FakeWorkers:
    """`knows`: the versions that the case worker of each realm knows."""

    def __init__(self) -> None:
        self.knows: dict[Realm, tuple[str, ...]] = {}

    async def unaware(self, realm: Realm, version: str) -> dict[str, tuple[str, ...]]:
        known = self.knows.get(realm)
        return {f"case-{realm.value}": known} if known is not None and version not in known else {}


class FakePager:
    """Fulfils ports.Pager: keeps what it was given. `broken`: addresses that take nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[Contact, Channel, Message]] = []  # taken over, in order
        self.broken: set[str] = set()

    async def send(self, to: Contact, channel: Channel, message: Message) -> str:
        if channel.address in self.broken:
            return "broken"
        self.sent.append((to, channel, message))
        return ""
