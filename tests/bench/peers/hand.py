"""A hand-written aiokafka loop with the same guarantees: `python -m tests.bench.peers.hand BOOTSTRAP TOPIC RECORDS MODE`.

Stateful: state and outbox acked, then outputs acked, then offsets; two polls in flight. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.bench.peers.job import counted, decode

IN_FLIGHT = 2
Sendable = tuple[bytes, bytes, list[tuple[str, bytes]]]


class Loop:
    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._outputs, self._changelog = f"{topic}.hand.out", f"{topic}.hand.changelog"
        self._state: dict[bytes, bytes] = {}

    def decide(self, polled: Any) -> list[tuple[int, list[Any], list[Any], int]]:
        work = []
        for tp, records in polled.items():
            outputs: list[Sendable] = []
            entries: dict[bytes, list[bytes]] = {}
            states: dict[bytes, bytes] = {}
            for record in records:
                command = decode(record.value)
                state, output = counted(command, states.get(record.key) or self._state.get(record.key, b""))
                states[record.key] = state
                outputs.append((record.key, output, [("src", f"{tp.topic}:{tp.partition}:{record.offset}:0".encode())]))
                entries.setdefault(record.key, []).append(output)
            self._state.update(states)
            version = records[-1].offset.to_bytes(8, "little")
            changes: list[Sendable] = [(key, version + state + b"".join(entries[key]), []) for key, state in states.items()]
            work.append((tp.partition, self._batches(changes), self._batches(outputs), len(records)))
        return work

    def _batches(self, records: list[Sendable]) -> list[Any]:
        now, found, batch = int(time.time() * 1000), [], self._producer.create_batch()
        for key, value, headers in records:
            if batch.append(key=key, value=value, timestamp=now, headers=headers) is None:
                batch.close()
                found.append(batch)
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=now, headers=headers)
        batch.close()
        return [*found, batch]

    async def ship(self, work: Any, before: asyncio.Task[None] | None) -> None:
        if before:
            await before
        for topic, index in ((self._changelog, 1), (self._outputs, 2)):
            sent = [await self._producer.send_batch(batch, topic, partition=part[0]) for part in work for batch in part[index]]
            await asyncio.gather(*sent)


async def main() -> None:
    bootstrap, topic, records, mode = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=f"{topic}.hand.{mode}", auto_offset_reset="earliest", enable_auto_commit=False,
        fetch_max_wait_ms=100,
    )  # fmt: skip
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", max_batch_size=1_000_000, max_request_size=8_000_000,
        compression_type="lz4",
    )  # fmt: skip
    await consumer.start()
    await producer.start()
    loop, done, began, cpu = Loop(producer, topic), 0, 0.0, 0.0
    shipping: list[tuple[asyncio.Task[None], Any]] = []
    while done < records:
        polled = await consumer.getmany(timeout_ms=1000, max_records=8000)
        if polled and not began:
            began, cpu = time.perf_counter(), time.process_time()
        done += sum(map(len, polled.values()))
        ends = {tp: batch[-1].offset + 1 for tp, batch in polled.items()}
        if mode == "stateless":
            for batch in polled.values():
                for record in batch:
                    decode(record.value)
            if ends:
                await consumer.commit(ends)
            continue
        work = loop.decide(polled)
        shipping.append((asyncio.create_task(loop.ship(work, shipping[-1][0] if shipping else None)), ends))
        while len(shipping) >= IN_FLIGHT:
            task, offsets = shipping.pop(0)
            await task
            if offsets:
                await consumer.commit(offsets)
    for task, offsets in shipping:
        await task
        await consumer.commit(offsets)
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu, "records": done}))
    await consumer.stop()
    await producer.stop()


if __name__ == "__main__":
    uvloop.run(main())
