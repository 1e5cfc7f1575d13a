"""The order of commitment of one chunk (design section 6.2).

A lane with an outbox: changelog (state and outbox) acked -> outputs acked -> offset. A replay sends the outbox again,
byte for byte, so even a release that decides otherwise cannot part what was stored from what was said.
A lane without one (a pure function of the record): outputs acked -> marks acked -> offset.
tests/chaos/test_rolling_upgrade.py shows why the first is needed where there is state.

Within a partition chunks go strictly in order, the next one's outputs only after the last one's are acked: a reader's mark
must never pass something unsent. Partitions overlap.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from streams.engine.exits import Exit, die
from streams.engine.failpoints import Failpoints
from streams.engine.ledger import Chunk
from streams.engine.producer import GuardedProducer, Sendable
from streams.engine.table import StateTable
from streams.engine.value import Output, without_outbox

Changes = list[tuple[bytes, bytes]]


class Gate:
    """The order of one partition: what comes next waits for what went before."""

    __slots__ = ("tail",)

    def __init__(self) -> None:
        self.tail: asyncio.Future[None] | None = None

    def enter(self) -> tuple[asyncio.Future[None] | None, asyncio.Future[None]]:
        """The future to wait for, and the one to resolve when done."""
        before, self.tail = self.tail, asyncio.get_running_loop().create_future()
        return before, self.tail


class Shipper:
    """Sends what chunks caused and acks them. One for each worker."""

    def __init__(self, producer: Any, table: StateTable | None, failpoints: Failpoints, has_outbox: bool) -> None:
        self._producer: GuardedProducer = producer
        self._table = table
        self._failpoints = failpoints
        self._has_outbox = has_outbox
        self._gates: dict[int, tuple[Gate, Gate]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def ship(self, chunk: Chunk, changes: Changes, outputs: Sequence[tuple[int, Output]]) -> None:
        """Returns at once. `outputs`: (partition, record) in order; `changes`: table values in order, marks last."""
        partition = chunk.tp.partition
        log, out = self._gates.setdefault(partition, (Gate(), Gate()))
        work = self._state_first if self._has_outbox else self._outputs_first
        task = asyncio.create_task(work(chunk, changes, outputs, log.enter(), out.enter()))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            die(Exit.SHIPMENT_FAILED, repr(task.exception()).replace('"', "'"))

    async def _state_first(self, chunk: Chunk, changes: Changes, outputs: Any, log: Any, out: Any) -> None:
        self._failpoints.hit("after_decide")
        await self._write_changelog(chunk.tp.partition, changes, *log)
        self._failpoints.hit("after_changelog")
        await self._send_outputs(outputs, *out)
        self._failpoints.hit("after_outputs")
        self._drop_outbox(chunk.tp.partition, changes)
        chunk.ack()

    async def _outputs_first(self, chunk: Chunk, changes: Changes, outputs: Any, log: Any, out: Any) -> None:
        self._failpoints.hit("after_decide")
        await self._send_outputs(outputs, *out)
        self._failpoints.hit("after_outputs")
        await self._write_changelog(chunk.tp.partition, changes, *log)
        self._failpoints.hit("after_changelog")
        chunk.ack()

    async def _write_changelog(self, partition: int, changes: Changes, before: Any, mine: Any) -> None:
        """Appends to the changelog and checks that nobody else did."""
        if before is not None:
            await before
        if changes:
            assert self._table is not None
            table, now = self._table, time.time_ns() // 1_000_000
            sent = []
            for batch in self._producer.batches((key, value, [], now) for key, value in changes):
                sent.append((await self._producer.send_batch(batch, table.changelog, partition=partition), batch.record_count()))
            for future, count in sent:
                found = (await future).offset
                if found != table.ends[partition]:
                    die(Exit.FOREIGN_WRITE, f"{table.changelog}-{partition}: expected offset {table.ends[partition]}, got {found}")
                table.ends[partition] += count
        mine.set_result(None)

    async def _send_outputs(self, outputs: Sequence[tuple[int, Output]], before: Any, mine: Any) -> None:
        if before is not None:
            await before
        by_target: dict[tuple[str, int], list[Sendable]] = {}
        for partition, output in outputs:
            by_target.setdefault((output.topic, partition), []).append((output.key, output.value, output.headers, output.timestamp))
        sent = []
        for (topic, partition), records in by_target.items():
            for batch in self._producer.batches(records):
                sent.append(await self._producer.send_batch(batch, topic, partition=partition))
        for future in sent:
            await future
        mine.set_result(None)

    def _drop_outbox(self, partition: int, changes: Changes) -> None:
        """What was said need not be kept in memory; a later chunk may have written the key anew."""
        assert self._table is not None
        part = self._table.parts.get(partition)
        if part is not None:
            for key, value in changes:
                if part.get(key) is value:
                    part[key] = without_outbox(value)
