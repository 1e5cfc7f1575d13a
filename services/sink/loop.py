"""One stream of the sink: Kafka in, whole blocks out, one after the other.

Order of commitment: intent into the offset commit → one insert → (an error: repair table by table) → the next intent, which says that
the block before is whole. While a block is being inserted the next one is read and built.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas import registry
from schemas.realms import Realm
from schemas.topics import realm_of
from services.clock import now_ms
from services.sink import container, fence, intent, kafka, metrics, repair
from services.sink.intent import Intent
from services.sink.lag import Lag
from services.sink.letters import AT_INSERT, Letters, of_a_later_release, undecodable
from services.sink.options import Options
from services.sink.owner import Owner, end, hold
from services.sink.plan import Block, Place, Planner
from services.sink.recover import Recovery, moved_intents
from services.sink.seat import Seat, SeatLost
from services.sink.streams import Stream
from services.warehouse.backend import Fenced, Handle, Warehouse, WarehouseError

LIMIT_ROWS = 20_000
LINGER_SECONDS = 0.2
POLL_RECORDS = 4_000  # at a time, so that the event loop serves readers in between
IDLE_SECONDS = 0.5  # without a next block: the commit says that the last one is whole
RETRY_SECONDS = (0.2, 0.5, 1, 2, 5, 10)


@dataclass(slots=True)
class _Numbered:
    block: Block
    number: int
    container: bytes
    intents: dict[Place, Intent]


class SinkStream:
    """`serve()` runs till `stop` is set. `standing` is the vector of next offsets that the tables hold, exact while `gate` is held."""

    def __init__(
        self, stream: Stream, warehouse: Warehouse, topics: kafka.Topics, stop: asyncio.Event, options: Options, owner: Owner | None = None
    ) -> None:
        """`owner` says when this process may work; None: at once."""
        self.stream = stream
        self.gate = asyncio.Lock()
        self.standing: dict[Place, int] = {}
        self.newest: dict[Realm, int] = {}  # record time of the newest row of this run, UTC ms
        self.whole = 0  # newest block that is whole in every table
        self.ready = asyncio.Event()
        self.failing = ""  # why the warehouse or Kafka is being waited for; "" when all is well
        self._warehouse = warehouse
        self._topics = topics
        self._letters = Letters(topics.bootstrap, stream)
        self._stop = stop
        self._options = options
        self._owner = owner
        self._schemas = [v.id for v in registry.versions() if v.name == stream.type]
        self._log: Any = structlog.get_logger("sink").bind(stream=stream.name)
        self._block = self._previous = 0
        self._open: dict[Place, Intent] = {}
        self._lag = Lag(stream, self.standing)

    async def serve(self) -> None:
        """Waits for its turn, recovers, then stores blocks. Ends the process when another one has taken over; other errors leave it, and
        end the process's task: a restart may heal them."""
        try:
            if self._owner is None or await self._owner.turn(self._stop):
                await self._serve()
        except (SeatLost, Fenced) as lost:
            end(self.stream.name, lost)

    async def _serve(self) -> None:
        self._handle: Handle = await asyncio.to_thread(self._warehouse.handle)
        places = await self._topics.places()
        self._seat: Seat = await self._topics.sit(places)  # the commits of one before us end here,
        holding = asyncio.create_task(hold(self._seat, self.stream.name))
        try:
            if self._warehouse.shared and self._options.fence:  # and its inserts here: then what both left can be looked at
                await asyncio.to_thread(fence.claim, self._handle, self.stream, self._warehouse.replicated)
            await self._recover(places)
            await self._run()
        finally:
            holding.cancel()
            await self._seat.leave()

    async def _recover(self, places: list[Place]) -> None:
        recovery = Recovery(
            self.stream, self._handle, self._topics.reread, self._schemas, self._options.repair, self._options.failpoints.hit
        )
        start = await recovery.run(await self._topics.commits(), places)
        metrics.REPAIRS.labels(self.stream.name).inc(start.repairs)
        self._log.info("begin", after=start.note, block=start.block, repairs=start.repairs)
        self._block = self.whole = start.block
        self._previous = start.previous
        self._consumer = await self._topics.reader(places, start.positions)
        for place in places:
            start.positions.setdefault(place, await self._consumer.position(TopicPartition(*place)))
        if start.moved:
            await self._commit({place: (i.start, intent.encode(i)) for place, i in moved_intents(start).items()})
        self.standing.update(start.positions)
        await asyncio.to_thread(self._remember_newest)
        self._planner = Planner(start.positions, start.marks, self._schemas, self.stream.marked and self._options.marks)

    async def _run(self) -> None:
        """Stores blocks till `stop`."""
        self.ready.set()
        watching = asyncio.create_task(self._lag.watch(self._consumer))
        try:
            await self._store_blocks()
        finally:
            watching.cancel()
            await self._consumer.stop()
            await self._letters.close()

    def report(self) -> dict[str, Any]:
        """For /health: where the stream stands in words and numbers."""
        return {"ready": self.ready.is_set(), "block": self.whole, "failing": self.failing}

    def lag(self, realm: Realm) -> int:
        """Records of this realm in Kafka and not yet in the tables, as of the last look (a second ago at most)."""
        return self._lag.of(realm)

    async def waiting(self, realm: Realm) -> int:
        """The same, asked of Kafka now; -1 while the stream is not ready. KafkaError when the broker is away."""
        if not self.ready.is_set():
            return -1
        await self._lag.look(self._consumer)
        return self.lag(realm)

    def _remember_newest(self) -> None:
        newest = f"SELECT _topic AS topic, toUnixTimestamp64Milli(max(_ts)) AS newest FROM {self.stream.facts} GROUP BY topic"
        for row in self._handle.rows(newest):
            self.newest[realm_of(row["topic"])] = row["newest"]

    async def _store_blocks(self) -> None:
        inserting: asyncio.Task[None] | None = None
        touched = time.monotonic()
        while not self._stop.is_set() or inserting:
            busy = inserting is not None and not inserting.done()
            if inserting and not busy:
                await inserting
                inserting = None
                touched = time.monotonic()
            if self._due(time.monotonic()) and not self._stop.is_set():
                block = await self._next()
                numbered = await asyncio.to_thread(self._number, block) if block.rows else None
                if inserting:
                    await inserting
                    inserting = None
                if numbered is None:
                    self._advance(block)
                else:
                    await self._commit({place: (i.start, intent.encode(i)) for place, i in numbered.intents.items()})
                    self._open = numbered.intents
                    self._options.failpoints.hit("sink_after_intent")
                    inserting = asyncio.create_task(self._insert(numbered))
                continue
            if self._open and not inserting and time.monotonic() - touched > IDLE_SECONDS:
                await self._close_open()
            if not self._stop.is_set():
                await self._poll()
            elif inserting:
                await inserting
                inserting = None
        if self._open:
            await self._close_open()

    def _due(self, at: float) -> bool:
        oldest = self._planner.oldest()
        return oldest is not None and (self._planner.waiting >= LIMIT_ROWS or at - oldest >= LINGER_SECONDS)

    async def _poll(self) -> None:
        oldest = self._planner.oldest()
        wait = 0.25 if oldest is None else max(0.0, oldest + LINGER_SECONDS - time.monotonic())
        batches = await self._consumer.getmany(timeout_ms=int(wait * 1000) + 1, max_records=POLL_RECORDS)
        at = time.monotonic()
        for tp, records in batches.items():
            missing = self._planner.add((tp.topic, tp.partition), records, at)
            if missing:
                metrics.MISSING.labels(self.stream.name).inc(missing)
                self._log.error("offsets missing in Kafka", topic=tp.topic, partition=tp.partition, offsets=missing)

    async def _next(self) -> Block:
        """The next block; without rows when all its records were repeats or unreadable. What a later release wrote holds the stream, for a
        record of ours that is passed over is lost: marks go beyond it. An upgrade restarts the process."""
        block = self._planner.cut(LIMIT_ROWS)
        metrics.REPEATS.labels(self.stream.name).inc(block.repeats)
        if block.unreadable:
            if self._options.wait_for_upgrade and (why := of_a_later_release(self.stream, block.unreadable)):
                self.failing = why
                self._log.error("this release is too old: waiting for an upgrade", why=why)
                await self._stop.wait()
                return Block()
            await self._letters.send(block.unreadable)
        return block

    def _advance(self, block: Block) -> None:
        self.standing.update({place: end for place, (_, end) in block.ranges.items()})

    def _number(self, block: Block) -> _Numbered:
        number, previous = self._block + 1, self._previous
        built = container.build(block.schema_id, number, block.month, block.rows)
        share = Intent(0, 0, number, previous, len(block.rows), len(block.ranges), block.digest, {}, {})
        intents = {
            place: replace(share, start=start, end=end, before=block.before[place], after=block.after[place])
            for place, (start, end) in block.ranges.items()
        }
        self._block = self._previous = number
        return _Numbered(block, number, built, intents)

    async def _insert(self, numbered: _Numbered) -> None:
        """Inserts the block and does not return before it is whole in every table."""
        began = time.monotonic()
        rows = len(numbered.block.rows)
        async with self.gate:
            try:
                if self._options.during_insert:
                    self._options.during_insert(self.stream, numbered.number, rows)
                tag = repair.query_id(self.stream, numbered.number)
                await asyncio.to_thread(self._handle.insert_avro, self.stream.inlet, numbered.container, tag)
            except Fenced:
                raise
            except WarehouseError as error:
                await self._make_whole(numbered, error)
            self._options.failpoints.hit("sink_after_insert")
            self._advance(numbered.block)
            self.whole = numbered.number
        self._observe(numbered, time.monotonic() - began)

    async def _make_whole(self, numbered: _Numbered, error: WarehouseError) -> None:
        """An insert failed: repair table by table for as long as it takes. Nobody knows what it left, so it is never just repeated."""
        attempt = 0
        while True:
            self.failing = str(error)[:300]
            metrics.FAILURES.labels(self.stream.name).inc()
            self._log.error("insert failed, repairing", block=numbered.number, attempt=attempt, code=error.code, error=self.failing)
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1
            try:
                await asyncio.to_thread(repair.settle, self._handle, self.stream)
                if error.broken_input:
                    await self._without_undecodable(numbered)
                fixed = await asyncio.to_thread(
                    repair.make_whole, self._handle, self.stream, numbered.number, len(numbered.block.rows), numbered.container
                )
            except Fenced:
                raise
            except WarehouseError as again:
                error = again
                continue
            metrics.REPAIRS.labels(self.stream.name).inc(fixed)
            self.failing = ""
            return

    async def _without_undecodable(self, numbered: _Numbered) -> None:
        """The engine could not read the rows: those that are not what their frame says leave the block, under a new intent."""
        bad = await asyncio.to_thread(undecodable, self.stream, numbered.block.rows)
        held = await asyncio.to_thread(repair.rows_of, self._handle, self.stream, numbered.number)
        if held or not bad:
            return
        await self._letters.send(bad, AT_INSERT)
        gone = {id(record) for record in bad}
        block = numbered.block
        block.rows = [row for row in block.rows if id(row) not in gone]
        numbered.container = container.build(block.schema_id, numbered.number, block.month, block.rows)
        digest, rows = block.digest, len(block.rows)
        numbered.intents = {place: replace(i, digest=digest, rows=rows) for place, i in numbered.intents.items()}
        self._open = numbered.intents
        await self._commit({place: (i.start, intent.encode(i)) for place, i in numbered.intents.items()})

    def _observe(self, numbered: _Numbered, seconds: float) -> None:
        name = self.stream.name
        metrics.ROWS.labels(name).inc(len(numbered.block.rows))
        metrics.BLOCK_SECONDS.labels(name).observe(seconds)
        last: dict[str, int] = {}
        for row in numbered.block.rows:
            if row.timestamp > last.get(row.topic, 0):
                last[row.topic] = row.timestamp
        for topic, newest in last.items():
            realm = realm_of(topic)
            self.newest[realm] = max(newest, self.newest.get(realm, 0))
            if realm.time_source == "wall":
                metrics.VISIBLE_SECONDS.labels(name).observe(max(0.0, (now_ms() - newest) / 1000))

    async def _close_open(self) -> None:
        """Says that the last block is whole, so that the group's lag is true while nothing comes."""
        closed = {place: replace(i, start=i.end, before=i.after) for place, i in self._open.items()}
        await self._commit({place: (i.end, intent.encode(i)) for place, i in closed.items()})
        self._open = {}

    async def _commit(self, offsets: dict[Place, tuple[int, str]]) -> None:
        """Retries for ever: without the intent there is no insert. SeatLost when another sink has taken over."""
        self._options.failpoints.hit("sink_before_commit")
        attempt = 0
        while True:
            try:
                await self._seat.commit(offsets)
            except KafkaError as error:
                metrics.COMMIT_FAILURES.labels(self.stream.name).inc()
                self.failing = f"commit: {error}"[:300]
                self._log.error("commit failed", error=self.failing, attempt=attempt)
                if self._stop.is_set():
                    raise
                await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
                attempt += 1
                continue
            metrics.COMMITS.labels(self.stream.name).inc()
            if attempt:
                self.failing = ""
            return
