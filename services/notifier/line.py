"""One partition of notifications: read in order, carried out side by side, answered in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from schemas.avro.notification.event import Notification
from schemas.codec import Codec
from schemas.errors import InvalidPayload
from schemas.topics import realm_of
from services.notifier import metrics
from services.notifier.standing import Standing
from services.notifier.work import Result, Work
from services.notifier.writing import Writer
from services.ports import Header
from services.sink.marks import Place, source_of
from services.sink.plan import Record
from streams.domain.core import Source
from streams.engine.failpoints import Failpoints

MOST_AT_ONCE = 200  # results written together
CARRIED_OUT = "carried-out"  # failpoint: messages have gone, no result is written
WRITTEN = "written"  # failpoint: results are acknowledged, no offset is committed
log = structlog.get_logger("notifier")


class Job(NamedTuple):
    """`doing` None: there is nothing to do, it was answered or said before."""

    offset: int
    key: bytes
    time: int
    headers: Sequence[Header]
    mark: tuple[str, Place] | None
    doing: asyncio.Task[Result] | None


class Line:
    """`standing`: as committed; it moves on as results are acknowledged. `answered`: highest offset whose result an earlier life wrote."""

    def __init__(
        self,
        place: tuple[str, int],
        standing: Standing,
        answered: int,
        work: Work,
        writer: Writer,
        codec: Codec[Notification],
        failpoints: Failpoints,
    ) -> None:
        self.standing = standing
        self.last_time = 0  # record time of the newest answered notification
        self._topic, self._partition = place
        self._realm = realm_of(self._topic)
        self._answered = answered
        self._work, self._writer, self._codec, self._failpoints = work, writer, codec, failpoints
        self._read = Standing(marks=dict(standing.marks))
        self._jobs: deque[Job] = deque()
        self._some, self.empty = asyncio.Event(), asyncio.Event()
        self.empty.set()

    def __len__(self) -> int:
        """Notifications read and not yet answered."""
        return len(self._jobs)

    @property
    def oldest(self) -> int | None:
        """Record time of the oldest notification that is under way."""
        return self._jobs[0].time if self._jobs else None

    def take(self, record: Record) -> None:
        """Decides at once; messages go while the next are read."""
        mark = self._mark(record)
        repeat = record.offset <= self._answered or (mark is not None and self._read.seen(*mark))
        if repeat:
            metrics.REPEATS.inc()
            if mark:
                self._read.seen(*mark)
        doing = None if repeat else self._begin(record)
        self._jobs.append(Job(record.offset, record.key or b"", record.timestamp, record.headers, mark, doing))
        metrics.UNDER_WAY.inc()
        self._some.set()
        self.empty.clear()

    async def serve(self) -> None:
        """Writes results in order till it is cancelled."""
        while True:
            await self._some.wait()
            jobs = await self._done()
            results = [(job.doing.result(), job.key, job.time, job.headers) for job in jobs if job.doing]
            if results:
                self._failpoints.hit(CARRIED_OUT)
                acked = await self._writer.results(self._realm, results)
                if acked and acked.partition == self._partition:
                    self.standing.results = acked.offset + 1
                self._failpoints.hit(WRITTEN)
            for result, *_ in results:
                metrics.PAGES.labels(result.page.kind, result.page.status, result.page.reason).inc()
            for job in jobs:
                if job.mark:
                    self.standing.seen(*job.mark)
            self.standing.offset, self.last_time = jobs[-1].offset + 1, jobs[-1].time
            metrics.UNDER_WAY.dec(len(jobs))
            for _ in jobs:
                self._jobs.popleft()
            if not self._jobs:
                self._some.clear()
                self.empty.set()

    async def _done(self) -> list[Job]:
        """The oldest jobs, once the first is done: as many as are."""
        first = self._jobs[0]
        if first.doing:
            await first.doing
        found = [first]
        for job in list(self._jobs)[1:MOST_AT_ONCE]:
            if job.doing and not job.doing.done():
                break
            found.append(job)
        return found

    def _begin(self, record: Record) -> asyncio.Task[Result]:
        source = Source(record.topic, record.partition, record.offset)
        try:
            asked = self._codec.decode(record.value)
        except InvalidPayload as error:  # the sink keeps its bytes
            metrics.UNREADABLE.inc()
            log.error("unreadable notification", reason=error.reason.value, detail=error.detail, **source._asdict())
            return asyncio.create_task(self._work.unreadable(source, record.timestamp, self._realm.value, (record.key or b"")))
        return asyncio.create_task(self._work.begin(asked, source, record.timestamp))

    def _mark(self, record: Record) -> tuple[str, Place] | None:
        try:
            return source_of(record.headers)
        except ValueError as error:
            log.error("header that is none of ours", detail=str(error), partition=self._partition, offset=record.offset)
            return None
