"""The live hub: one consumer without a group reads live.deltas of every served realm into rings; streams read the rings.

A vector older than its ring is caught up from Kafka by a reader of its own, then joins the ring. Failure contract: an unexpected
error in `run` ends the process (the supervisor restarts it); clients resume by their vector and neither miss nor repeat a frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord

from schemas.avro.live_delta.event import LiveDelta
from schemas.codec import codec
from schemas.errors import InvalidPayload
from schemas.realms import Realm
from schemas.topics import LIVE_DELTAS
from services.clock import now_ms
from services.dashboard import metrics
from services.dashboard.frames import Frame, Scope
from services.dashboard.ring import Cursor, Ring

RING_FRAMES = 10_000  # a realm; at 1,000 events/s ten seconds of grace for a slow reader, 20 MB when full
CATCH_UP_FRAMES = 50_000  # beyond this a fresh snapshot is cheaper than the frames between
FETCH_WAIT_MS = 100  # only how long an empty fetch waits at the broker: a record ends it at once
POLL_MS = 200
POLL_RECORDS = 500  # keeps one turn of the loop under some 10 ms

log = structlog.get_logger(__name__)
_codec = codec(LiveDelta)


class Gone(Exception):
    """The stream cannot be resumed from this vector: the reader takes a fresh snapshot."""


class Hub:
    """Live frames of the served realms. `start`, then `run` until cancelled, then `stop`."""

    def __init__(self, bootstrap: str, realms: Sequence[Realm], ring_frames: int = RING_FRAMES) -> None:
        self.bootstrap = bootstrap
        self.realms = tuple(realms)
        self.ring_frames = ring_frames
        self.rings: dict[Realm, Ring] = {}
        self._consumer = self._new_consumer()
        self._topics = {LIVE_DELTAS.in_realm(realm): realm for realm in self.realms}
        self._grown: dict[Realm, asyncio.Event] = {realm: asyncio.Event() for realm in self.realms}
        self._newest: dict[Realm, int] = {}
        self._started = now_ms()
        self.closing = False

    def _new_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            fetch_min_bytes=1,
        )

    async def start(self) -> None:
        """Stands at the end of every partition when it returns."""
        counts = await self._partition_counts()
        await self._consumer.start()
        places = [TopicPartition(topic, p) for topic, count in counts.items() for p in range(count)]
        self._consumer.assign(places)
        ends = await self._consumer.end_offsets(places)
        for topic, realm in self._topics.items():
            start = [ends[TopicPartition(topic, p)] for p in range(counts[topic])]
            self.rings[realm] = Ring(start, self.ring_frames)
        for place in places:
            self._consumer.seek(place, ends[place])
        self._started = now_ms()

    async def _partition_counts(self) -> dict[str, int]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            found = await admin.describe_topics(list(self._topics))
        finally:
            await admin.close()
        return {topic["topic"]: len(topic["partitions"]) for topic in found}

    def close(self) -> None:
        """Lets every stream end."""
        self.closing = True
        for realm in self.realms:
            self._wake(realm)

    async def stop(self) -> None:
        await self._consumer.stop()

    def _wake(self, realm: Realm) -> None:
        grown, self._grown[realm] = self._grown[realm], asyncio.Event()
        grown.set()

    async def run(self) -> None:
        """Reads into the rings for ever."""
        while True:
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            for place, records in batches.items():
                self._admit(self._topics[place.topic], records)

    def _admit(self, realm: Realm, records: Sequence[ConsumerRecord]) -> None:
        ring = self.rings[realm]
        now = now_ms()
        for record in records:
            self._newest[realm] = max(self._newest.get(realm, 0), record.timestamp)
            frame = _frame(record, realm)
            if frame is None:
                continue
            ring.append(frame)
            if realm.time_source == "wall":
                metrics.FRAME_AGE.labels(realm).observe(max(0, now - frame.delta.received_at) / 1000)
        metrics.FRAMES.labels(realm).inc(len(records))
        self._wake(realm)

    def broker_age_ms(self) -> int:
        """Since when the broker has not answered a fetch (an idle one is answered each `FETCH_WAIT_MS`)."""
        answered = [self._consumer.last_poll_timestamp(place) or 0 for place in self._consumer.assignment()]
        return max(0, now_ms() - max([self._started, *answered]))

    def newest_ms(self, realm: Realm) -> int | None:
        """Record time of the newest delta seen since the process began."""
        return self._newest.get(realm)

    async def grown(self, realm: Realm, ring_end: int, seconds: float) -> None:
        """Returns when the realm's ring has a frame numbered `ring_end`, or when the time is up."""
        if self.rings[realm].end > ring_end or seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._grown[realm].wait()
        except TimeoutError:
            return

    async def follow(self, realm: Realm, scope: Scope, vector: Mapping[int, int] | None) -> tuple[Cursor, AsyncIterator[list[bytes]]]:
        """A cursor at `vector` (None: at the head) and the events it still has to get from Kafka before it may read the ring.

        Gone when the vector lies before what the log keeps, beyond its end, or too far back.
        """
        cursor = Cursor(self.rings[realm], scope, vector)
        behind = cursor.behind()
        if vector:
            await self._check(realm, cursor, behind)
            metrics.RESUMES.labels("log" if behind else "ring").inc()
        return cursor, self._catch_up(realm, cursor)

    async def _check(self, realm: Realm, cursor: Cursor, behind: Sequence[int]) -> None:
        topic = LIVE_DELTAS.in_realm(realm)
        ring = cursor.ring
        ahead = [TopicPartition(topic, p) for p, offset in enumerate(cursor.at) if offset > ring.head[p]]
        if ahead:  # a snapshot may stand a moment before us; a vector beyond the log's end is of another log
            ends = await self._consumer.end_offsets(ahead)
            if any(cursor.at[place.partition] > ends[place] for place in ahead):
                raise Gone("the vector lies beyond the end of the log")
        if behind:
            begins = await self._consumer.beginning_offsets([TopicPartition(topic, p) for p in behind])
            if any(cursor.at[place.partition] < begin for place, begin in begins.items()):
                raise Gone("the vector lies before what the log keeps")
            if sum(ring.head[p] - cursor.at[p] for p in behind) > CATCH_UP_FRAMES:
                raise Gone(f"more than {CATCH_UP_FRAMES} records behind")

    async def _catch_up(self, realm: Realm, cursor: Cursor) -> AsyncIterator[list[bytes]]:
        """Reads from Kafka until nothing the cursor needs lies outside the ring (which moves on meanwhile)."""
        behind = cursor.behind()
        if not behind:
            return
        topic = LIVE_DELTAS.in_realm(realm)
        async with self._new_consumer() as consumer:
            consumer.assign([TopicPartition(topic, p) for p in range(len(cursor.at))])
            for place in consumer.assignment():
                consumer.seek(place, cursor.at[place.partition])
            while cursor.behind():
                batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
                frames = [frame for records in batches.values() for r in records if (frame := _frame(r, realm)) is not None]
                yield cursor.take(frames)
                for place, records in batches.items():  # an unreadable record at the end of a batch is passed too
                    cursor.at[place.partition] = max(cursor.at[place.partition], records[-1].offset + 1)


def _frame(record: ConsumerRecord, realm: Realm) -> Frame | None:
    """None for bytes that are no live_delta: the sink dead-letters them, the screen is corrected by its next snapshot."""
    try:
        return Frame(record.partition, record.offset, record.timestamp, _codec.decode(record.value))
    except InvalidPayload as error:
        metrics.UNREADABLE.labels(realm).inc()
        log.warning("live.unreadable", realm=realm, partition=record.partition, offset=record.offset, reason=error.reason)
        return None
