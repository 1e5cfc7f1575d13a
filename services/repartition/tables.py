"""The tables of the lanes in the new log: winners under new versions, and marks that say that all that is copied has been seen."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.murmur import partition_of
from services.repartition.copying import Account, Route
from services.repartition.logs import Cluster, Reader
from services.repartition.topics import CannotRepartition, Held
from streams.engine.table import apply
from streams.engine.value import pack, unpack
from streams.engine.working import LOOSE, MARK

Values = dict[bytes, bytes]
EXAMPLES = 5


@dataclass(slots=True)
class TableAccount:
    topic: str
    keys: int = 0  # states in the old table
    held: int = 0  # states in the new one
    marks: int = 0
    written: int = 0
    twice: int = 0  # keys that two old partitions held: the one at its key's place was taken
    different: int = 0  # states that are not the same in the new table
    examples: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return self.keys == self.held and not self.different

    def shown(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__} | {"equal": self.equal}


async def winners(cluster: Cluster, topic: str, partitions: int) -> dict[int, Values]:
    """The table as a worker would restore it, by partition."""
    parts: dict[int, Values] = {partition: {} for partition in range(partitions)}
    losers: dict[int, set[bytes]] = {partition: set() for partition in range(partitions)}
    reader = Reader(cluster, topic, partitions)
    async for partition, records in reader.batches(await reader.span()):
        for record in records:
            apply(parts[partition], losers[partition], record.key, record.value)
    return parts


def planned(
    route: Route, account: TableAccount, old: Mapping[int, Values], inputs: Sequence[Account], logs: Mapping[str, Account]
) -> dict[int, Values]:
    """Every value of the new table, by partition. `inputs`: the topics the lane reads; `logs`: all copied topics by name."""
    new: dict[int, Values] = {partition: {} for partition in range(route.partitions)}
    sources = set()
    for partition, values in old.items():
        for key, raw in values.items():
            if key.startswith(MARK):
                sources.add(key[len(MARK) :].decode().rpartition(":")[0])
            elif key != LOOSE:
                _add(route, account, new, (key, raw), partition, len(old))
    for partition, part in new.items():
        version = min(a.ends[partition] for a in inputs) - 1
        for key, raw in part.items():
            value = unpack(raw)
            part[key] = pack(version, value.flags, value.state, b"", value.due)
        marks = _marks(route, partition, inputs, [logs[name] for name in sorted(sources) if name in logs])
        account.marks += len(marks)
        part.update(marks)
    return new


def _add(route: Route, account: TableAccount, new: dict[int, Values], item: tuple[bytes, bytes], partition: int, count: int) -> None:
    key, raw = item
    part = new[route.target(key, partition)]
    if key in part:
        account.twice += 1
        if partition_of(key, count) != partition:
            return
    else:
        account.keys += 1
    part[key] = raw


def _marks(route: Route, partition: int, inputs: Sequence[Account], sources: Sequence[Account]) -> Values:
    """All that is copied has been seen: by the names copies carry, and by the names the new log will give."""
    seen = {f"{route.log}/{a.topic}:{old}": at << 8 for a in inputs for (new, old), at in a.seen.items() if new == partition}
    seen |= {f"{a.topic}:{number}": (end - 1) << 8 | 255 for a in sources for number, end in a.ends.items() if end}
    return {MARK + name.encode(): pack(-1, 0, place.to_bytes(9, "big"), b"") for name, place in seen.items()}


async def write(route: Route, held: Held, plan: Mapping[int, Values]) -> int:
    """Writes what the new topic has not yet; answers how many. What is there must be the beginning of the plan."""
    there: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    reader = Reader(route.new, held.name, route.partitions)
    async for partition, records in reader.batches(await reader.span()):
        there[partition] += [(record.key, record.value) for record in records]
    producer = AIOKafkaProducer(bootstrap_servers=route.new.bootstrap, acks="all", enable_idempotence=True, max_request_size=8_000_000)
    await producer.start()
    written = 0
    try:
        for partition, part in plan.items():
            rows = sorted(part.items())
            begun = there[partition]
            if rows[: len(begun)] != begun:
                raise CannotRepartition(f"{held.name} on the new cluster is not what this copying writes: it is in use.")
            sent = [await producer.send(held.name, value, key, partition) for key, value in rows[len(begun) :]]
            await asyncio.gather(*sent)
            written += len(sent)
        return written
    finally:
        await producer.stop()


async def move(route: Route, held: Held, inputs: Sequence[Account], logs: Mapping[str, Account]) -> TableAccount:
    """One table, written and read back."""
    account = TableAccount(held.name)
    old = await winners(route.old, held.name, held.partitions)
    plan = planned(route, account, old, inputs, logs)
    account.written = await write(route, held, plan)
    new = await winners(route.new, held.name, route.partitions)
    account.held = sum(1 for part in new.values() for key in part if not key.startswith(MARK))
    for partition, values in old.items():
        for key, raw in values.items():
            if key.startswith(MARK) or key == LOOSE or (account.twice and partition_of(key, held.partitions) != partition):
                continue
            found = new[route.target(key, partition)].get(key)
            if found is None or unpack(found)[1:3] != unpack(raw)[1:3]:
                account.different += 1
                if len(account.examples) < EXAMPLES:
                    account.examples.append(key.decode("utf-8", "replace"))
    return account
