"""Copying one topic, and proving the copy."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.headers import COPIED, ORIGIN, SRC, SRC_BEFORE
from schemas.murmur import partition_of
from schemas.topics import LOG
from services.repartition import labels
from services.repartition.logs import Cluster, Reader, Span
from services.repartition.topics import CannotRepartition, Held
from streams.engine.failpoints import Failpoints

WRAP = 1 << 128
Progress = Callable[[int], None]  # told how many more records are done
Seen = dict[tuple[int, int], int]  # (new partition, old partition) -> highest old offset it holds


@dataclass(frozen=True, slots=True)
class Route:
    """From one cluster to another: both, the old one's id, the new number of partitions."""

    old: Cluster
    log: str
    new: Cluster
    partitions: int

    def target(self, key: bytes | None, partition: int) -> int:
        """The new partition of a record."""
        return partition % self.partitions if key is None else partition_of(key, self.partitions)


@dataclass(slots=True)
class Account:
    """What became of one topic. `lowest`: the first offset copied of each old partition (its end when nothing was)."""

    topic: str
    read: int = 0
    written: int = 0  # in this run; the others stood there already
    held: int = 0  # in the new topic, as verified
    hash_old: int = 0
    hash_new: int = 0
    disorder: int = 0  # records of one old partition that stand out of order in a new one, or twice
    misplaced: int = 0  # records that do not stand where their key belongs
    foreign: int = 0  # records in the new topic that are no copies of this log
    grown: int = 0  # records written to the old topic meanwhile
    seen: Seen = field(default_factory=dict)
    lowest: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)  # of the new topic

    @property
    def equal(self) -> bool:
        faults = self.disorder or self.misplaced or self.foreign or self.grown
        return not faults and (self.read, self.hash_old) == (self.held, self.hash_new)

    def shown(self) -> dict[str, Any]:
        names = ("topic", "read", "written", "held", "disorder", "misplaced", "foreign", "grown")
        return {name: getattr(self, name) for name in names} | {
            "hash_old": f"{self.hash_old:032x}", "hash_new": f"{self.hash_new:032x}", "equal": self.equal,
        }  # fmt: skip


async def copy(route: Route, held: Held, progress: Progress, failpoints: Failpoints) -> int:
    """Copies what the new topic has not yet; answers how many records were written."""
    old, new = Reader(route.old, held.name, held.partitions), Reader(route.new, held.name, route.partitions)
    seen = await _stable(route, held.name, new)
    span = await old.span()
    if not span.records:
        return 0
    producer = AIOKafkaProducer(
        bootstrap_servers=route.new.bootstrap, acks="all", enable_idempotence=True, max_batch_size=1_000_000, compression_type="lz4",
        max_request_size=8_000_000, request_timeout_ms=60_000,
    )  # fmt: skip
    await producer.start()
    try:
        return await _copy(route, held.name, old.batches(span), seen, producer, progress, failpoints)
    finally:
        await producer.stop()


async def _stable(route: Route, topic: str, new: Reader) -> Seen:
    """What the new topic holds; looked at until it stands still, for a request of a killed run may still be on its way."""
    span = await new.span()
    while True:
        seen: Seen = {}
        async for partition, records in new.batches(span):
            for record in records:
                place = labels.copied_from(record.headers)
                if place is None or place[0] != labels.labelled(topic, route.log):
                    raise CannotRepartition(f"{topic} on the new cluster holds records that are no copies of this log: it is in use.")
                seen[partition, place[1]] = max(place[2], seen.get((partition, place[1]), -1))
        again = await new.span()
        if again == span:
            return seen
        span = again


async def _copy(
    route: Route,
    topic: str,
    batches: AsyncIterator[tuple[int, Sequence[Any]]],
    seen: Seen,
    producer: AIOKafkaProducer,
    progress: Progress,
    failpoints: Failpoints,
) -> int:
    """Record by record in the order of each old partition; the next run of records only after this one is acknowledged."""
    written = 0
    async for partition, records in batches:
        runs: dict[int, list[Any]] = {}
        for record in records:
            target = route.target(record.key, partition)
            if record.offset > seen.get((target, partition), -1):
                runs.setdefault(target, []).append(record)
                written += 1
        sent = []
        for target, run in runs.items():
            for batch in _batches(producer, route.log, run):
                sent.append(await producer.send_batch(batch, topic, partition=target))
        failpoints.hit("run_sent")
        await asyncio.gather(*sent)
        failpoints.hit("run_acknowledged")
        progress(len(records))
    return written


def _batches(producer: AIOKafkaProducer, log: str, records: Sequence[Any]) -> list[Any]:
    made = []
    batch = producer.create_batch()
    for record in records:
        place = (record.topic, record.partition, record.offset)
        copy = {
            "key": record.key, "value": labels.label(record.value, log), "timestamp": record.timestamp,
            "headers": labels.copied_headers(record.headers, log, place),
        }  # fmt: skip
        if batch.append(**copy) is None:
            batch.close()
            made.append(batch)
            batch = producer.create_batch()
            batch.append(**copy)  # the first record of a batch always fits
    batch.close()
    return [*made, batch]


async def verify(route: Route, held: Held, progress: Progress) -> Account:
    """Reads both topics anew and compares them."""
    account = Account(held.name)
    old, new = Reader(route.old, held.name, held.partitions), Reader(route.new, held.name, route.partitions)
    before = await old.span()
    kept = await _places(old, before) if held.topic.compacted else None
    await _sum_new(route, held, account, new, before, kept, progress)
    async for partition, records in old.batches(before):
        for record in records:
            place = (partition, record.offset)
            if kept is not None and place not in kept:
                continue
            account.read += 1
            account.hash_old = (account.hash_old + _print(place, record, record.value, _plain(record.headers))) % WRAP
        progress(len(records))
    account.grown = sum((await old.span()).ends.values()) - sum(before.ends.values())
    return account


async def _places(old: Reader, span: Span) -> set[tuple[int, int]]:
    """What a compacted topic still holds: its broker takes away records at any time, also since they were copied."""
    return {(partition, record.offset) async for partition, records in old.batches(span) for record in records}


async def _sum_new(
    route: Route, held: Held, account: Account, new: Reader, before: Span, kept: set[tuple[int, int]] | None, progress: Progress
) -> None:
    span = await new.span()
    account.ends = dict(span.ends)
    account.lowest = dict(before.ends)
    async for partition, records in new.batches(span):
        for record in records:
            place = labels.copied_from(record.headers)
            if place is None or place[0] != labels.labelled(held.name, route.log):
                account.foreign += 1
                continue
            _, source, offset = place
            if offset <= account.seen.get((partition, source), -1):
                account.disorder += 1
            account.seen[partition, source] = max(offset, account.seen.get((partition, source), -1))
            account.misplaced += route.target(record.key, source) != partition
            account.lowest[source] = min(offset, account.lowest[source])
            if offset < before.begins[source] or (kept is not None and (source, offset) not in kept):
                continue  # the old topic has deleted it by age, or compacted it away, since it was copied
            account.held += 1
            value, headers = labels.unlabel(record.value, route.log), restored_headers(record.headers, route.log)
            account.hash_new = (account.hash_new + _print((source, offset), record, value, headers)) % WRAP
        progress(len(records))


def restored_headers(headers: labels.Headers, log: str) -> list[tuple[str, bytes]]:
    """The headers as they were before `labels.copied_headers`, sorted."""
    mine = dict(headers)
    first = mine.get(ORIGIN) == mine[COPIED]
    if not first:  # it was a copy already: its mark and its place of copying were of that copying
        return _plain([(n, v) for n, v in headers if n not in (SRC, COPIED)])
    kept = [(name, value) for name, value in headers if name not in labels.OURS and (name, value) != (SRC, mine[COPIED] + b":0")]
    if SRC_BEFORE in mine:
        kept.append((SRC, mine[SRC_BEFORE].removeprefix(f"{log}{LOG}".encode())))
    return sorted(kept)


def _plain(headers: labels.Headers) -> list[tuple[str, bytes]]:
    """Sorted; of a copy without what each copying writes anew."""
    again = any(name == COPIED for name, _ in headers)
    return sorted((n, v) for n, v in headers if not (again and n in (SRC, COPIED)))


def _print(place: tuple[int, int], record: Any, value: bytes | None, headers: list[tuple[str, bytes]]) -> int:
    """A record's hash together with its old place; sums of it do not depend on order and count repeats."""
    whole = repr((place, record.timestamp, record.key, value, headers)).encode()
    return int.from_bytes(hashlib.blake2b(whole, digest_size=16).digest(), "big")
