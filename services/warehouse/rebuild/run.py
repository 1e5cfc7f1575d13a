"""The rebuild as the warehouse process does it: before its streams begin, and beside them until they have caught up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from schemas.realms import Realm
from services.clock import now_ms
from services.process import Process
from services.sink import fence, repair
from services.sink.kafka import Topics
from services.sink.loop import SinkStream
from services.sink.streams import DELTAS, EVENTS, STREAMS, Stream
from services.warehouse.backend import Handle, Warehouse
from services.warehouse.migrate import migrate
from services.warehouse.rebuild import aside, book, carry, cuts, derive, positions
from services.warehouse.rebuild.book import ASIDE, Book
from services.warehouse.rebuild.cuts import Cut
from services.warehouse.rebuild.derive import events_place

LOOK_SECONDS = 1.0


class CannotRebuild(Exception):
    """These tables can't be put aside."""


class Stopped(Exception):
    """The process was told to stop: the next one goes on."""


class Rebuilder:
    """`serve()` beside the streams; each of them begins with `may_begin`. `progress` is for people, at any time."""

    def __init__(self, process: Process, warehouse: Warehouse, realms: Sequence[Realm]) -> None:
        self.progress: dict[str, Any] = {"order": 0, "step": "", "done": 0, "total": 0, "result": None}
        self.noticed = asyncio.Event()  # a rebuild is under way: there are readers to be told so
        self._process, self._warehouse, self._realms = process, warehouse, realms
        self._prepared, self._derived = asyncio.Event(), asyncio.Event()
        self._cuts: dict[str, list[Cut]] = {}

    @property
    def under_way(self) -> bool:
        return self.progress["step"] not in ("", "done")

    def words(self) -> str:
        """What a reader is told."""
        found = self.progress
        share = f", {found['done']:,} of {found['total']:,} records" if found["total"] else ""
        return f"the tables are being rebuilt from Kafka (step {found['step']}{share}); nothing is lost meanwhile, ask again later"

    async def may_begin(self, stream: Stream) -> bool:
        """Waits; False when the process was told to stop before."""
        wanted = self._derived if stream is DELTAS else self._prepared
        waits = [asyncio.create_task(wanted.wait()), asyncio.create_task(self._process.stop.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        return not self._process.stop.is_set()

    async def serve(self, streams: Mapping[str, SinkStream], granted: asyncio.Event) -> None:
        """`granted`: this process may work. Does a rebuild that is under way or ordered, then waits for the next order, which ends the
        process. CannotRebuild, WarehouseError, KafkaError: a restart goes on."""
        self._handle: Handle = await asyncio.to_thread(self._warehouse.handle)
        self._book = await asyncio.to_thread(Book, self._handle, self._warehouse.replicated)
        try:
            while not granted.is_set():  # another process works: its rebuild is told to our readers
                await asyncio.to_thread(self._book.read)
                self._show()
                self._check_stop()
                await asyncio.sleep(LOOK_SECONDS / 4)
            await asyncio.to_thread(self._book.read)
            await self._prepare(streams)
            await self._watch()
        except Stopped:
            return

    async def _prepare(self, streams: Mapping[str, SinkStream]) -> None:
        order = book.order_of(self._process.settings.data_dir)
        if not self._book.under_way and order > self._book.note.get("order", 0):
            if self._warehouse.replicated:
                raise CannotRebuild("replicated tables can't be put aside by renaming: see deploy/runbooks/planned/RebuildWarehouse.md")
            await self._write("begun", order=order, began=now_ms())
        self._show()
        if not self._book.under_way:
            self._prepared.set()
            self._derived.set()
            return
        self._process.log.info("rebuild goes on", step=self._book.step, order=self._book.note["order"])
        await self._advance()
        self._prepared.set()
        await self._fill(streams)

    async def _watch(self) -> None:
        while not self._process.stop.is_set():
            order = book.order_of(self._process.settings.data_dir)
            if order > self.progress["order"]:
                self._process.log.info("rebuild ordered", order=order)
                self._process.request_stop()
            await asyncio.sleep(LOOK_SECONDS / 4)

    # -- steps

    async def _advance(self) -> None:
        if self._book.step == "begun":
            tables = await asyncio.to_thread(aside.put_aside, self._handle)
            self._hit("rebuild_put_aside")
            await asyncio.to_thread(migrate, self._warehouse)
            await self._write("aside", old_tables=tables)
        if self._book.step == "aside":
            await self._write("cut", cuts=await self._decide())
        self._cuts = {name: [Cut(**row) for row in rows] for name, rows in self._book.note["cuts"].items()}
        if self._book.step == "cut":
            carried = {stream.name: await self._carry(stream) for stream in STREAMS}
            await self._write("carried", carried=carried)
        if self._book.step == "carried":
            for stream in STREAMS:
                if stream is not DELTAS:
                    await positions.commit(self._handle, self._topics(stream), self._cuts[stream.name])
                    self._hit("rebuild_after_commit")
            above = await asyncio.to_thread(repair.highest_block, self._handle, DELTAS.facts)
            await self._write("filling", above=above, bounds=None, derived=None)

    async def _decide(self) -> dict[str, list[dict[str, Any]]]:
        found = {}
        for stream in STREAMS:
            topics = self._topics(stream)
            decided = await cuts.decide(self._handle, stream, await topics.places(), topics.bootstrap)
            found[stream.name] = [asdict(cut) for cut in decided]
        return found

    async def _carry(self, stream: Stream) -> int:
        """Rows of the old table whose records Kafka no longer has."""
        there = await asyncio.to_thread(aside.is_aside, self._handle, stream.facts)
        if not there:
            return 0
        await self._claim(stream)
        source = carry.Source(f"{ASIDE}.{stream.facts}", cuts.not_in_kafka(self._cuts[stream.name]), {})
        return await asyncio.to_thread(carry.move, self._handle, stream, source, 0, self._hit, self._carried)

    def _carried(self, rows: int) -> None:
        self.progress["done"] = rows

    async def _claim(self, stream: Stream) -> None:
        if self._warehouse.shared:
            await asyncio.to_thread(fence.claim, self._handle, stream, self._warehouse.replicated)

    async def _fill(self, streams: Mapping[str, SinkStream]) -> None:
        """Till the streams stand where Kafka ended when the rebuild began."""
        if self._book.note["derived"] is None:
            await self._derive(streams)
        self._derived.set()
        while self._left(streams):
            await self._pause(streams)
        note = self._book.note
        made_whole = {(topic, partition) for topic, partition, _ in note["bounds"]}
        lacking = [
            cut for name, found in self._cuts.items() for cut in found if name != DELTAS.name or events_place(cut.place) not in made_whole
        ]
        missing = [gap for cut in lacking for gap in cut.missing()]
        result = {
            "carried": note["carried"],
            "derived_deltas": note["derived"],
            "read": sum(cut.end - cut.at for found in self._cuts.values() for cut in found),
            "missing": missing,
            "old_tables": bool(note["old_tables"]),
            "seconds": (now_ms() - note["began"]) / 1000,
        }
        self._hit("rebuild_before_done")
        await asyncio.to_thread(aside.drop_old, self._handle)
        await self._write("done", result=result)
        book.forget_order(self._process.settings.data_dir, note["order"])
        self._process.log.info("rebuilt", **result)

    async def _derive(self, streams: Mapping[str, SinkStream]) -> None:
        """Deltas that neither Kafka nor the old table has are a pure function of events, which are kept for ever."""
        topics, deltas = self._topics(DELTAS), self._cuts[DELTAS.name]
        if self._book.note["bounds"] is None:  # once: what Kafka has may become less
            found = await derive.bounds(topics, deltas, self._cuts[EVENTS.name])
            await self._write("filling", bounds=[[*place, bound] for place, bound in found.items()])
        bounds = {(topic, partition): bound for topic, partition, bound in self._book.note["bounds"]}
        events = streams[EVENTS.name]
        while not all(events.standing.get(place, 0) >= bound for place, bound in bounds.items()):
            await self._pause(streams)
        await self._claim(DELTAS)
        made = await asyncio.to_thread(derive.make, self._handle, bounds, self._book.note["above"], self._hit)
        await positions.commit(self._handle, topics, deltas, derive.marks(deltas, bounds))
        await self._write("filling", derived=made)

    async def _pause(self, streams: Mapping[str, SinkStream]) -> None:
        self.progress["done"] = self.progress["total"] - self._left(streams)
        self._check_stop()
        await asyncio.sleep(LOOK_SECONDS / 4)

    def _left(self, streams: Mapping[str, SinkStream]) -> int:
        return sum(
            max(0, cut.end - max(cut.at, streams[name].standing.get(cut.place, 0)))
            if streams[name].ready.is_set()
            else cut.end - cut.at + 1
            for name, found in self._cuts.items()
            for cut in found
        )

    # -- small things

    async def _write(self, step: str, **more: Any) -> None:
        self._hit(f"rebuild_before_{step}")
        await asyncio.to_thread(self._book.write, step, **more)
        self._show()

    def _show(self) -> None:
        note = self._book.note
        self.progress |= {"order": note.get("order", 0), "step": self._book.step, "result": note.get("result")}
        if self._book.step == "filling":
            self.progress["total"] = sum(cut["end"] - cut["at"] for found in note["cuts"].values() for cut in found)
        if self.under_way:
            self.noticed.set()

    def _topics(self, stream: Stream) -> Topics:
        return Topics(self._process.settings.bootstrap, stream, self._realms)

    def _hit(self, point: str) -> None:
        """A place where a stop is welcome, and where tests kill."""
        self._process.failpoints.hit(point)
        self._check_stop()

    def _check_stop(self) -> None:
        if self._process.stop.is_set():
            raise Stopped
