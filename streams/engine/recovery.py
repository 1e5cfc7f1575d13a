"""Restore of tables after a rebalance: bulk, raw bytes, by a consumer without a group.

Faust reads changelogs one awaited event at a time (2,900 keys/s) and its recovery can stall without a word; this reads
250,000 keys/s and ends the process when it cannot go on. A partition kept through a rebalance is not read again when its
changelog ends where we left it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.transport.drivers.aiokafka import server_list
from faust.types import TP
from mode import Service
from mode.utils.logging import get_logger

from streams.engine.exits import Exit, die
from streams.engine.table import StateTable, apply, forget_shipped
from streams.engine.value import Part

log = get_logger(__name__)
AGAIN_SECONDS = 0.1


class BulkRecovery(Recovery):
    """Takes the place of Faust's Recovery; keeps its signals and its way of resuming the streams."""

    moved_at = 0.0  # monotonic, when the restore last got something; 0.0: not in recovery

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._assigned: set[TP] = set()

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        if generation_id == self.app.consumer_generation_id:
            self._assigned = set(assigned)
            self._generation_id = generation_id
            self.signal_recovery_start.set()

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Nothing is buffered."""

    def flush_buffers(self) -> None:
        """Nothing is buffered."""

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Changelogs are not subscribed."""

    @Service.task
    async def _publish_stats(self) -> None:
        """The metrics say it."""

    @Service.task
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):  # type: ignore[arg-type]
                break
            self.signal_recovery_start.clear()
            self.moved_at = time.monotonic()
            try:
                self._set_recovery_started()
                table: StateTable | None = self.app.state_table  # type: ignore[attr-defined]
                if table is not None:
                    await self._through(partial(self._restore, table, {tp.partition for tp in self._assigned}))
                await self._through(partial(self.on_recovery_completed, self._generation_id))
            except (RebalanceAgain, IllegalStateError) as error:
                log.warning("recovery begins again: %r", error)
                continue
            except ServiceStopped:
                break
            except Exception as error:
                log.exception("recovery failed")
                die(Exit.RECOVERY_FAILED, repr(error).replace('"', "'"))
            self.moved_at = 0.0

    async def _through(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Takes the step, again when the client cancelled a call of its own under it: a connection closed. `moved_at` stays, so that the
        watchdog's patience runs out if this never ends."""
        while True:
            try:
                return await self._wait(step())
            except asyncio.CancelledError:
                if self.should_stop or _is_cancelled():
                    raise
                log.warning("a step of the recovery begins again: the client cancelled a call of its own")
                await asyncio.sleep(AGAIN_SECONDS)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        await super().on_recovery_completed(generation_id)
        consumer: Any = self.app.consumer
        if consumer.flow_active:
            consumer.positioned.set()  # also with no partition at all: a spare is ready

    async def _restore(self, table: StateTable, partitions: set[int]) -> None:
        started = time.monotonic()
        table.keep_only(partitions)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=server_list(self.app.transport.url, 9092),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20,
            fetch_max_wait_ms=50,
        )
        await consumer.start()
        try:
            wanted = [TopicPartition(table.changelog, partition) for partition in partitions]
            ends = await consumer.end_offsets(wanted)
            await self._check_whole(table.changelog, {tp.partition: end for tp, end in ends.items()})
            stale = [tp for tp in wanted if not table.is_fresh(tp.partition, ends[tp])]
            parts: dict[int, Part] = {tp.partition: {} for tp in stale}
            losers: dict[int, set[bytes]] = {tp.partition: set() for tp in stale}
            count = await _read(consumer, {tp: ends[tp] for tp in stale if ends[tp]}, parts, losers, self._moved)
        finally:
            await consumer.stop()
        self.app.failpoints.hit("restoring")  # type: ignore[attr-defined]
        # only a whole restore counts: it may have been cancelled by another rebalance before this line
        table.restore(parts)
        table.ends.update({tp.partition: ends[tp] for tp in stale})
        await self._repair(table, losers)
        if self.app.lane.processor.has_outbox:  # type: ignore[attr-defined]
            for tp, start in (await self.app.consumer.positions()).items():  # type: ignore[attr-defined]
                if tp.partition in table.parts:  # else the next assignment is there already
                    forget_shipped(table.parts[tp.partition], start)
        metrics = self.app.metrics  # type: ignore[attr-defined]
        seconds = time.monotonic() - started
        metrics.restore.observe(seconds)
        metrics.restored.inc(count)
        metrics.keys.set(table.keys())
        log.info("restored %d records of %d partitions in %.2f s", count, len(stale), seconds)

    def _moved(self) -> None:
        self.moved_at = time.monotonic()
        self.app.failpoints.hit("in_restore")  # type: ignore[attr-defined]

    async def _check_whole(self, changelog: str, ends: dict[int, int]) -> None:
        """A changelog that was deleted, made anew or cut off would let cases begin anew that others know: that is for people to mend."""
        for partition, told in (await self.app.consumer.changelog_ends()).items():  # type: ignore[attr-defined]
            if ends.get(partition, told) < told:
                die(Exit.CHANGELOG_LOST, f"{changelog}-{partition} ends at {ends[partition]}, commits know of {told}")

    async def _repair(self, table: StateTable, losers: dict[int, set[bytes]]) -> None:
        """Writes again what a zombie's older value lies on top of, lest compaction keep that one."""
        producer = self.app.producer.guarded  # type: ignore[attr-defined]
        for partition, keys in losers.items():
            for key in keys:
                metadata = await (await producer.send(table.changelog, table.parts[partition][key], key=key, partition=partition))
                if metadata.offset != table.ends[partition]:
                    die(Exit.FOREIGN_WRITE, f"{table.changelog}-{partition} during repair")
                table.ends[partition] += 1
                self.app.metrics.repaired.inc()  # type: ignore[attr-defined]


def _is_cancelled() -> bool:
    """Whether somebody asked this task to end: a future that it awaited may be cancelled without that, and Faust would take it for one."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _read(
    consumer: AIOKafkaConsumer,
    ends: dict[TopicPartition, int],
    parts: dict[int, Part],
    losers: dict[int, set[bytes]],
    moved: Callable[[], None],
) -> int:
    """Reads the changelog partitions up to their ends; answers the number of records. `moved` is told of each portion."""
    count = 0
    pending = set(ends)
    if pending:
        consumer.assign(list(pending))
        await consumer.seek_to_beginning(*pending)
    while pending:
        for tp, records in (await consumer.getmany(timeout_ms=200, max_records=20_000)).items():
            part, lost = parts[tp.partition], losers[tp.partition]
            for record in records:
                apply(part, lost, record.key, record.value)
            count += len(records)
            moved()
        for tp in list(pending):
            if await consumer.position(tp) >= ends[tp]:
                pending.discard(tp)
    return count


class Tables(TableManager):
    """Faust's table manager without Faust's tables: it only starts our recovery."""

    @property
    def recovery(self) -> BulkRecovery:
        if self._recovery is None:
            self._recovery = BulkRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        assert isinstance(self._recovery, BulkRecovery)
        return self._recovery

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()

    async def _update_channels(self) -> None:
        self._tables_finalized.set()
        self._tables_registered.set()
