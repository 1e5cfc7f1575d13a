"""The notifier's loop: notifications in, messages out, results written, offsets committed once they are acknowledged.

One process works; others wait (services/sink/owner.py), since a person's windows are one thing. A commit goes through a seat, so that a
process that was frozen while another took over can't commit over it. What it may still write is dropped by marks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.avro.duty_event.event import DutyEvent
from schemas.avro.notification.event import Notification
from schemas.codec import codec
from schemas.realms import Realm
from services.notifier import metrics
from services.notifier.gaps import AHEAD_MS, Gaps
from services.notifier.line import Line
from services.notifier.restore import restore
from services.notifier.standing import STREAM, Standing
from services.notifier.work import Work
from services.notifier.writing import Writer
from services.ports import Directory
from services.sink.kafka import Topics
from services.sink.owner import end
from services.sink.plan import Place
from services.sink.seat import Seat, SeatLost
from streams.engine.failpoints import Failpoints

MOST_UNDER_WAY = 2_000  # read and not yet answered: bounds memory, and what a restart does again
POLL_MS = 200
COMMIT_SECONDS = 0.5
TICK_SECONDS = 1.0
LOOK_SECONDS = 180.0  # between two looks at the rosters
STUCK_SECONDS = 60.0  # an answer that takes longer, or commits that fail longer, are no health

log = structlog.get_logger("notifier")


class Loop:
    """`start`, then `run` till it ends, then `stop`. `clock`: UTC milliseconds."""

    def __init__(
        self,
        bootstrap: str,
        realms: Sequence[Realm],
        directory: Directory,
        work: Work,
        writer: Writer,
        since: int,
        clock: Callable[[], int],
        failpoints: Failpoints,
        *,
        look_seconds: float = LOOK_SECONDS,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        """`since`: from where messages still count, UTC milliseconds."""
        self._topics = Topics(bootstrap, STREAM, realms)
        self._bootstrap, self._realms, self._since = bootstrap, realms, since
        self._directory, self._work, self._writer, self._clock = directory, work, writer, clock
        self._failpoints = failpoints
        self._look_seconds, self._tick_seconds = look_seconds, tick_seconds
        self._gaps = Gaps()
        self._lines: dict[Place, Line] = {}
        self._committed: dict[Place, tuple[int, str]] = {}
        self._turned = self._whole = self._heard = clock()  # the loop last read, everything was last committed, Kafka last answered
        self._seat: Seat | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._lag: dict[Place, int] = {}

    async def start(self) -> None:
        """Takes the seat and puts together what an earlier life knew."""
        places = await self._topics.places()
        self._seat = await self._topics.sit(places)
        commits = await self._topics.commits()
        standing = {place: Standing.decode(*commits[place]) if place in commits else Standing() for place in places}
        starts = {place: one.results for place, one in standing.items()}
        found = await restore(self._bootstrap, starts, self._since, self._work.throttle, self._gaps)
        log.info("restored", pages=found.pages, events=found.events, waiting=self._work.throttle.counts()[1])
        reader = codec(Notification)
        for place, one in standing.items():
            answered = found.answered.get(place, -1)
            self._lines[place] = Line(place, one, answered, self._work, self._writer, reader, self._failpoints)
        self._committed = {place: one.encode() for place, one in standing.items() if place in commits}
        self._consumer = await self._topics.reader(places, {place: standing[place].offset for place in commits if place in standing})
        self._turned = self._whole = self._heard = self._clock()

    async def run(self, stop: asyncio.Event) -> None:
        """Till `stop`; then what is under way is carried out and committed. An unexpected error leaves it."""
        assert self._seat is not None
        watches: list[Coroutine[Any, Any, None]] = [self._seat.hold(), self._commits(), self._bundles(), self._watch_lag()]
        watches += [line.serve() for line in self._lines.values()]
        if Realm.LIVE in self._realms:
            watches.append(self._rosters())
        tasks = [asyncio.create_task(watch) for watch in watches]
        reading = asyncio.create_task(self._read(stop))
        try:
            done, _ = await asyncio.wait([*tasks, reading], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await self._commit()
        except SeatLost as lost:
            end(STREAM.name, lost)
        finally:
            for task in [*tasks, reading]:
                task.cancel()
            await asyncio.gather(*tasks, reading, return_exceptions=True)

    async def stop(self) -> None:
        if self._consumer:
            await self._consumer.stop()
        if self._seat:
            await self._seat.leave()

    def report(self) -> dict[str, Any]:
        """Facts for /health and the heartbeat. Times of the past in seconds ago."""
        now = self._clock()
        oldest = min((line.oldest for line in self._lines.values() if line.oldest), default=0)
        newest = max((line.last_time for line in self._lines.values()), default=0)
        stuck = (now - min(self._turned, self._whole, self._heard)) / 1000
        ways, waiting = self._work.throttle.counts()
        return {
            "ok": stuck < STUCK_SECONDS,
            "realms": [realm.value for realm in self._realms],
            "lag": sum(self._lag.values()),
            "under_way": sum(map(len, self._lines.values())),
            "oldest_seconds": round((now - oldest) / 1000, 1) if oldest else 0,
            "last_result_seconds": round((now - newest) / 1000, 1) if newest else None,
            "stuck_seconds": round(stuck, 1),
            "waiting": waiting,
            "waiting_persons": ways,
            "desks_without_duty": self._gaps.open_at(now),
        }

    # --- what goes on side by side ---

    async def _read(self, stop: asyncio.Event) -> None:
        assert self._consumer is not None
        while not stop.is_set():
            if sum(map(len, self._lines.values())) < MOST_UNDER_WAY:
                batches: dict[TopicPartition, list[Any]] = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=MOST_UNDER_WAY // 4)
                for tp, records in batches.items():
                    for record in records:
                        self._lines[tp.topic, tp.partition].take(record)
            else:
                await asyncio.sleep(POLL_MS / 1000)
            self._turned = self._clock()
        for line in self._lines.values():
            await line.empty.wait()

    async def _commits(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            await self._commit()

    async def _commit(self) -> None:
        """What moved since the last commit. SeatLost when another process works now; a broker that is away is waited for."""
        assert self._seat is not None
        moved = {place: line.standing.encode() for place, line in self._lines.items()}
        moved = {place: text for place, text in moved.items() if text != self._committed.get(place, (0, "0;"))}
        try:
            if moved:
                await self._seat.commit(moved)
                self._committed |= moved
                metrics.COMMITS.inc()
        except (KafkaError, OSError) as error:
            metrics.COMMIT_FAILURES.inc()
            log.warning("commit failed", error=repr(error)[:200])
            return
        oldest = min((line.oldest for line in self._lines.values() if line.oldest), default=None)
        self._whole = self._clock() if oldest is None or self._clock() - oldest < STUCK_SECONDS * 1000 else self._whole

    async def _bundles(self) -> None:
        """Sends what waited as soon as windows allow, each person beside the others."""
        sending: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(self._tick_seconds)
            for task in [task for task in sending if task.done()]:
                task.result()
                sending.discard(task)
            sending |= {asyncio.create_task(self._bundle(bundle)) for bundle in self._work.bundles()}
            self._work.throttle.forget(self._clock())
            metrics.WAITING.set(self._work.throttle.counts()[1])

    async def _bundle(self, sending: Coroutine[Any, Any, DutyEvent | None]) -> None:
        event = await sending
        if event:
            await self._writer.event(event)

    async def _rosters(self) -> None:
        """Looks a day ahead for gaps."""
        while True:
            for desk in list(self._directory.desks()):
                now = self._work.throttle.moment(self._clock())
                for event in self._gaps.look(desk, self._directory.gaps(desk, now, now + AHEAD_MS), now):
                    log.warning("roster", what=event.type, desk=desk, starts_at=event.starts_at, ends_at=event.ends_at)
                    metrics.DUTY_EVENTS.labels(event.type).inc()
                    await self._writer.event(event)
                await asyncio.sleep(0)  # one roster is one turn of the loop
            metrics.GAPS.set(self._gaps.open_at(self._clock()))
            await asyncio.sleep(self._look_seconds)

    async def _watch_lag(self) -> None:
        assert self._consumer is not None
        places = [TopicPartition(*place) for place in self._lines]
        while True:
            try:
                ends = await self._consumer.end_offsets(places)
                self._heard = self._clock()
            except (KafkaError, OSError):
                ends = {}
            for tp, offset in ends.items():
                place = (tp.topic, tp.partition)
                self._lag[place] = max(0, offset - max(self._lines[place].standing.offset, 0))
                metrics.LAG.labels(STREAM.group, tp.topic, str(tp.partition)).set(self._lag[place])
            await asyncio.sleep(self._tick_seconds)
