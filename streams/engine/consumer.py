"""The consumer: hands agents chunks instead of records, and commits the end of the done prefix.

Nothing is skipped: a fetched record that is not delivered puts its partition on a list to be sought back to the
ledger's `next` before the next fetch. Chunks of a slow partition never hold the others: a partition with two chunks
in flight is left out of the fetch.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.utils.logging import get_logger

from streams.engine.client import CHANGELOG_END, ConsumerThread
from streams.engine.exits import Exit, die
from streams.engine.ledger import Chunk, Ledger

log = get_logger(__name__)
POLL_SECONDS = 1.0
CHUNK_BYTES = 1_000_000
PER_PARTITION = 2  # chunks in flight: one being decided while the other is being acknowledged


class Consumer(driver.Consumer):
    """`app.lane` gives the sizes: chunk_records, chunks_in_flight, fetch_wait_ms."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ledgers: dict[TP, Ledger] = {}
        self.taken: dict[Chunk, float] = {}  # chunks an agent works on, since when (monotonic)
        self.positioned = asyncio.Event()  # set once partitions are owned and sought
        self._regrouping = False  # from the loss of our partitions to the next assignment
        self._in_flight = 0
        self._seek_back: set[TP] = set()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # -- the keeper of chunks

    def is_current(self, ledger: Ledger) -> bool:
        return self.flow_active and self.ledgers.get(ledger.tp) is ledger

    def moves(self, chunk: Chunk) -> None:
        """A long chunk that is being decided does not stand still."""
        if chunk in self.taken:
            self.taken[chunk] = time.monotonic()

    def on_taken(self, chunk: Chunk) -> None:
        self.taken[chunk] = time.monotonic()

    def on_done(self, chunk: Chunk) -> None:
        del self.taken[chunk]
        self._in_flight -= 1
        self._room.set()
        if not self.taken:
            self._idle.set()

    # -- positions

    async def perform_seek(self) -> None:
        starts = await self.positions()
        self._forget()
        self.ledgers = {tp: Ledger(tp, offset) for tp, offset in starts.items()}
        self.positioned.set()

    def _forget(self) -> None:
        self.ledgers = {}
        self._seek_back.clear()
        self._in_flight = len(self.taken)
        self._room.set()

    async def positions(self) -> dict[TP, int]:
        """Committed offset, else beginning, of every assigned partition."""
        found: dict[TP, int] = await self._thread.call_thread(self._thread.start_positions)
        return found

    async def changelog_ends(self) -> dict[int, int]:
        """By partition, the end that the last commit told of its changelog; those of which none told anything are left out."""
        ends: dict[int, int] = await self._thread.call_thread(self._thread.changelog_ends)
        return ends

    async def ends(self) -> dict[TP, int]:
        """End offsets of the partitions we own."""
        ends: dict[TP, int] = await self._thread.call_thread(self._thread.ends, set(self.ledgers))
        return ends

    # -- fetch

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                await self._drain_once()
        except asyncio.CancelledError:
            if self.app.should_stop:
                return  # else Faust's Fetcher takes a SIGTERM during a rebalance for a crash
            raise
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                die(Exit.CONSUMER_FAILED, "the broker client stopped")
        except Exception as error:
            log.exception("fetch loop broke")
            die(Exit.CONSUMER_FAILED, f"fetch loop: {error!r}")

    async def _drain_once(self) -> None:
        lane = self.app.lane  # type: ignore[attr-defined]
        if not self.flow_active:
            await _wait(self.can_resume_flow)
            return
        wanted = {tp for tp in self._get_active_partitions() if tp in self.ledgers and self.ledgers[tp].in_flight < PER_PARTITION}
        if not wanted or self._in_flight >= lane.chunks_in_flight:  # an empty set would mean "all" to aiokafka
            self._room.clear()
            await _wait(self._room)
            return
        if self._seek_back:
            back = {tp: self.ledgers[tp].next for tp in self._seek_back if tp in self.ledgers}
            self._seek_back.clear()
            await self._thread.call_thread(self._thread.seek_back, back)
        for partition, records in (await self._getmany(wanted, POLL_SECONDS)).items():
            await self._accept(ensure_TP(partition), records, lane.chunk_records)

    async def _accept(self, tp: TP, records: Sequence[ConsumerRecord], size: int) -> None:
        ledger = self.ledgers.get(tp)
        if ledger is None:
            return
        if records[0].offset < ledger.next:  # fetched before a seek: trim what was delivered
            records = [record for record in records if record.offset >= ledger.next]
        if not self.flow_active or not records:
            self._seek_back.add(tp)
            return
        first = records[0].offset
        if first > ledger.next and ledger.probe != first:
            ledger.probe = first
            self._seek_back.add(tp)
            return
        for run in _runs(records, size):
            if not self.flow_active or self.ledgers.get(tp) is not ledger:
                self._seek_back.add(tp)
                return
            await self._deliver(ledger, run)

    async def _deliver(self, ledger: Ledger, records: Sequence[ConsumerRecord]) -> None:
        chunk = ledger.deliver(self, records)
        self._in_flight += 1
        last = records[-1]
        message = ConsumerMessage(
            last.topic, last.partition, last.offset, last.timestamp / 1000, last.timestamp_type, last.headers,
            None, chunk,  # type: ignore[arg-type]  # Faust carries any object
            None, None, None, ledger.tp, generation_id=self.app.consumer_generation_id,
        )  # fmt: skip
        await self.callback(message)

    def ack(self, message: Any) -> bool:
        """Faust's own ack of a message: offsets are the ledger's business."""
        message.acked = True
        return True

    # -- commit

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        ledgers = dict(self.ledgers)
        wanted = {
            tp: OffsetAndMetadata(ledger.committable, self._told(tp))
            for tp, ledger in ledgers.items()
            if ledger.committable > ledger.committed
        }
        if not wanted:
            return False
        self.app.failpoints.hit("before_commit")  # type: ignore[attr-defined]
        metrics = self.app.metrics  # type: ignore[attr-defined]
        try:
            done = await self._thread.call_thread(self._thread.commit_offsets, wanted)
        except (CommitFailedError, IllegalStateError, KafkaError) as error:
            metrics.commit_failures.inc()
            log.warning("commit refused, to be tried again: %r", error)
            return False
        for tp, offset in done.items():
            ledgers[tp].committed = max(ledgers[tp].committed, offset)
        metrics.commits.inc()
        return True

    def _told(self, tp: TP) -> str:
        """The metadata of a commit: all that is committed is in the changelog below this end."""
        table = self.app.state_table  # type: ignore[attr-defined]
        return "" if table is None or tp.partition not in table.ends else f"{CHANGELOG_END}{table.ends[tp.partition]}"

    # -- rebalance and stop

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._regrouping = True
        self.stop_flow()  # first: nothing new is taken
        self.app.failpoints.hit("revoking")  # type: ignore[attr-defined]
        await self._quiesce()
        await self.commit()  # stock code forgets the acks first and commits never
        self._forget()
        self.app.failpoints.hit("revoked")  # type: ignore[attr-defined]
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._regrouping = False
        await super().on_partitions_assigned(assigned, generation_id)

    def resume_flow(self) -> None:
        """Not for a restore that ends while the group is being put together: its partitions may be another worker's by now."""
        if not self._regrouping:
            super().resume_flow()

    async def _quiesce(self) -> None:
        """Waits for the chunks that agents have taken."""
        deadline = time.monotonic() + self.app.conf.broker_session_timeout
        while self.taken:
            self._idle.clear()
            await _wait(self._idle)
            if time.monotonic() > deadline:
                die(Exit.REVOKE_TIMED_OUT, f"{len(self.taken)} chunks in flight on a rebalance")

    async def wait_empty(self) -> None:
        await self._quiesce()
        await self.commit()

    async def on_stop(self) -> None:
        self.stop_flow()
        await self.wait_empty()
        self._forget()


def _runs(records: Sequence[ConsumerRecord], size: int) -> Iterator[Sequence[ConsumerRecord]]:
    """Chunks of at most `size` records and about CHUNK_BYTES: what a chunk says may have to stand in one record of the changelog."""
    first = weight = 0
    for index, record in enumerate(records):
        weight += len(record.value or b"") + len(record.key or b"")
        if index - first + 1 == size or weight >= CHUNK_BYTES:
            yield records[first : index + 1]
            first, weight = index + 1, 0
    if first < len(records):
        yield records[first:]


async def _wait(event: Any, seconds: float = 0.5) -> None:
    """Waits for an event, at most `seconds`: loops look at their stop flags in between."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
