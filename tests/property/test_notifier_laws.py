"""Laws of the notifier, without a broker: whatever is told, repeated, broken or killed, each notification has one result, life in danger
never waits, and nobody is told more often than the windows allow."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from schemas.avro.duty_event.event import DutyEvent
from schemas.avro.page.event import Page
from schemas.codec import Codec, codec
from schemas.murmur import partition_of
from services.notifier.gaps import Gaps
from services.notifier.line import CARRIED_OUT, WRITTEN, Line
from services.notifier.restore import fold
from services.notifier.standing import Standing
from services.notifier.throttle import TRIED, Throttle, Way
from services.notifier.work import Work
from services.notifier.writing import Writer
from services.sink.marks import source_of
from streams.engine.failpoints import Failpoints
from tests.fakes import FakeDirectory, FakePager, FakeProducer
from tests.pages import MINUTE, NOTIFICATIONS, PAGES, SMALL, START, Told, notification, person, record

T = TypeVar("T", bound=msgspec.Struct)
PARTITIONS = 2
PEOPLE = {
    "one-desk": [person("a", "sms", "webhook")],
    "two-desk": [person("a", "sms"), person("b", "webhook")],
    "silent-desk": [person("c")],
    "empty-desk": [],
}
ADDRESSES = ("a@sms", "a@webhook", "b@webhook")
EVENTS = codec(DutyEvent)
BEFORE = "before"  # killed while messages are on their way


class Killed(Exception):
    """Stands for SIGKILL."""


class Killing(Failpoints):
    armed = ""

    def hit(self, point: str) -> None:
        if point == self.armed:
            raise Killed(point)


class World:
    """Topics, clock and people outlive the notifier. `marked` False: a notifier that keeps no marks and reads back nothing."""

    def __init__(self, marked: bool = True) -> None:
        self.now = START
        self.marked = marked
        self.log: dict[int, list[Told]] = defaultdict(list)
        self.said: dict[int, int] = defaultdict(int)  # offset of the lane's last command, by partition
        self.producer = FakeProducer(PARTITIONS)
        self.pager = FakePager()
        self.committed: dict[int, tuple[int, str]] = {}
        self.killing = Killing()
        self.start()

    def start(self) -> None:
        """Another life, from what topics and commits say."""
        self.throttle = Throttle(SMALL)
        if self.marked:
            fold([*self.records("pages", PAGES), *self.records("duty.events", EVENTS)], self.throttle, Gaps())
        pagers = dict.fromkeys(("sms", "webhook"), self.pager)
        self.work = Work(FakeDirectory(PEOPLE), pagers, self.throttle, SMALL, "", lambda: self.now)
        self.lines = {}
        for number in range(PARTITIONS):
            standing = Standing.decode(*self.committed.get(number, (0, "")))
            if not self.marked:
                standing = Standing(standing.offset)
            results = [page.src_offset for page in self.records("pages", PAGES) if page.src_partition == number]
            answered = max(results, default=-1) if self.marked else -1
            writer = Writer(self.producer)
            self.lines[number] = Line(("notifications", number), standing, answered, self.work, writer, NOTIFICATIONS, self.killing)

    def records(self, topic: str, reader: Codec[T]) -> list[T]:
        return [reader.decode(one.value) for one in self.producer.records(topic)]

    def tell(self, number: int, desk: str, urgency: int, again: bool = False) -> None:
        """A lane writes a notification; `again`: it says its last one once more, as after a death."""
        asked = notification(number, target=desk, urgency=urgency)
        partition = partition_of(asked.case_id.encode(), PARTITIONS)
        if again and self.log[partition]:
            last = self.log[partition][-1]
            self.log[partition].append(Told(last.topic, partition, last.offset + 1, self.now, last.key, last.value, last.headers))
            return
        self.said[partition] += 1
        self.log[partition].append(record(asked, partition, len(self.log[partition]), self.now, self.said[partition]))

    async def live(self, kill: str = "") -> None:
        """The notifier reads all there is; killed at `kill`, it starts anew and goes on."""
        self.killing.armed = kill
        serving = [asyncio.create_task(line.serve()) for line in self.lines.values()]
        for number, line in self.lines.items():
            for one in self.log[number][line.standing.offset :]:
                line.take(one)
        if kill != BEFORE:
            done = asyncio.create_task(self.answered())
            await asyncio.wait({done, *serving}, return_when=asyncio.FIRST_COMPLETED)
            done.cancel()
        died = kill == BEFORE or any(task.done() for task in serving)
        for task in serving:
            task.cancel()
        for task in serving:
            with suppress(asyncio.CancelledError, Killed):
                await task
        if died:
            await asyncio.sleep(0)
            self.start()
            await self.live()

    async def answered(self) -> None:
        for line in self.lines.values():
            await line.empty.wait()

    def commit(self) -> None:
        self.committed = {number: line.standing.encode() for number, line in self.lines.items()}

    async def bundles(self) -> None:
        for bundle in self.work.bundles():
            event = await bundle
            if event:
                await Writer(self.producer).event(event)

    def results(self) -> list[Page]:
        """As a reader of pages sees them: what is not above its source's mark is dropped."""
        seen: dict[str, tuple[int, int]] = {}
        kept = []
        for one in self.producer.records("pages"):
            source = source_of(one.headers)
            assert source is not None
            if not self.marked or source[1] > seen.get(source[0], (-1, -1)):
                seen[source[0]] = source[1]
                kept.append(PAGES.decode(one.value))
        return kept

    def distinct(self) -> int:
        """Notifications that lanes meant."""
        return sum(self.said.values())


desks = st.sampled_from(sorted(PEOPLE))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), desks, st.sampled_from((1, 2, 3, 3, 3))),
        st.tuples(st.just("again"), desks, st.just(3)),
        st.tuples(st.just("pass"), st.sampled_from((100, 20_000, MINUTE, 5 * MINUTE, 20 * MINUTE))),
        st.tuples(st.just("live"), st.sampled_from(("", "", "", BEFORE, CARRIED_OUT, WRITTEN))),
        st.tuples(st.just("break"), st.sampled_from(ADDRESSES)),
        st.tuples(st.just("mend"), st.sampled_from(ADDRESSES)),
        st.tuples(st.just("bundles")),
        st.tuples(st.just("commit")),
        st.tuples(st.just("restart")),
    ),
    max_size=40,
)


async def play(world: World, story: Sequence[tuple[object, ...]]) -> None:
    for number, (what, *rest) in enumerate(story):
        world.now += 1
        if what in ("tell", "again"):
            world.tell(number, str(rest[0]), int(str(rest[1])), again=what == "again")
        elif what == "pass":
            world.now += int(str(rest[0]))
        elif what == "live":
            await world.live(str(rest[0]))
        elif what == "break":
            world.pager.broken.add(str(rest[0]))
        elif what == "mend":
            world.pager.broken.discard(str(rest[0]))
        elif what == "bundles":
            await world.bundles()
        elif what == "commit":
            world.commit()
        else:
            world.start()
    await world.live()


@given(steps)
@settings(max_examples=300, deadline=None)
def test_every_notification_has_exactly_one_result_and_life_in_danger_never_waits(story: list[tuple[object, ...]]) -> None:
    world = World()
    asyncio.run(play(world, story))
    results = world.results()
    assert len(results) == len({page.page_id for page in results}) == world.distinct()
    assert len({page.notification_id for page in results}) == world.distinct()
    for page in results:
        assert len(page.persons) == len(page.channels) == len(page.results)
        if page.urgency == 1:
            assert "waiting" not in page.results
            assert page.status in ("sent", "no_one_notified")
        if page.status == "no_one_notified":
            assert not set(page.results) & {"sent", "bundled", "waiting"}
        wanted = {("one-desk", "a"), ("two-desk", "a"), ("two-desk", "b"), ("silent-desk", "c")}
        assert {(page.target, name) for name in page.persons} == {pair for pair in wanted if pair[0] == page.target}


@given(steps)
@example([("tell", "one-desk", 3), ("break", "a@sms"), ("live", ""), ("tell", "two-desk", 3)])  # no room, and what went last failed
@settings(max_examples=300, deadline=None)
def test_nobody_is_told_more_often_than_the_windows_allow(story: list[tuple[object, ...]]) -> None:
    """By what is on record. Life in danger fills windows and minds none."""
    world = World()
    asyncio.run(play(world, story))
    times: dict[tuple[str, str], list[tuple[int, bool]]] = defaultdict(list)
    for page in world.results():
        for name, channel, result in zip(page.persons, page.channels, page.results, strict=True):
            if result in TRIED:
                times[name, channel].append((page.at, page.urgency == 1))
    for event in world.records("duty.events", EVENTS):
        if event.type == "bundle_sent":
            times[event.person, event.channel].append((event.at, False))
    for (_, channel), told in times.items():
        for limit in SMALL.of(channel):
            for at, urgent in told:
                within = [one for one, _ in told if at - limit.ms < one <= at]
                assert urgent or len(within) <= limit.most


@given(steps)
@settings(max_examples=200, deadline=None)
def test_a_restart_knows_what_a_life_without_one_knows_and_repeats_nothing(story: list[tuple[object, ...]]) -> None:
    world = World()
    asyncio.run(play(world, story))
    before, sent = world.throttle, len(world.pager.sent)
    world.start()
    for way in (Way(name, kind) for name in "abc" for kind in ("sms", "webhook")):
        assert world.throttle.waiting(way) == before.waiting(way)
        assert world.throttle.free_at(way, world.now) <= before.free_at(way, world.now), "a bundle that failed is not on record"
    asyncio.run(world.live())
    assert len(world.pager.sent) == sent, "what has a result is not told again"


@given(steps)
@settings(max_examples=100, deadline=None)
def test_what_waits_is_told_by_a_bundle_once_the_channels_work(story: list[tuple[object, ...]]) -> None:
    world = World()
    asyncio.run(play(world, story))
    world.pager.broken.clear()
    for _ in range(3):
        world.now += 20 * MINUTE
        asyncio.run(world.bundles())
    assert world.throttle.counts() == (0, 0)


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(("realm", "status"), [("live", "no_one_notified"), ("sandbox", "suppressed")])
def test_a_notification_that_nobody_can_read_has_a_result_too(realm: str, status: str) -> None:
    async def story() -> list[Page]:
        producer = FakeProducer(1)
        work = Work(FakeDirectory(PEOPLE), {}, Throttle(SMALL), SMALL, "", lambda: START)
        topic = "notifications" if realm == "live" else f"{realm}.notifications"
        line = Line((topic, 0), Standing(), -1, work, Writer(producer), NOTIFICATIONS, Failpoints())
        line.take(Told(topic, 0, 0, START, b"c-1", b"no notification"))
        serving = asyncio.create_task(line.serve())
        await asyncio.wait_for(line.empty.wait(), 10)
        serving.cancel()
        return [PAGES.decode(one.value) for one in producer.records(topic.replace("notifications", "pages"))]

    (page,) = asyncio.run(story())
    assert (page.status, page.reason, page.case_id, page.realm) == (status, "unreadable", "c-1", realm)


def test_what_alerts_and_status_ask_for_is_counted() -> None:
    async def story() -> None:
        world = World()
        world.tell(0, "one-desk", 3)
        world.tell(1, "empty-desk", 3)
        world.pager.broken.add("b@webhook")
        world.tell(2, "two-desk", 1)
        world.now += 2_000
        await world.live()

    nobody = {"kind": "incident", "status": "no_one_notified", "reason": "nobody_on_duty"}
    asked = [
        ("liandong_pages_total", nobody),
        ("liandong_pages_total", {"kind": "incident", "status": "sent", "reason": ""}),
        ("liandong_page_messages_total", {"channel": "webhook", "result": "failed"}),
        ("liandong_page_seconds_count", {"kind": "incident"}),
        ("liandong_page_seconds_sum", {"kind": "incident"}),
    ]
    before = [sample(name, **labels) for name, labels in asked]
    asyncio.run(story())
    after = [sample(name, **labels) for name, labels in asked]
    assert [now - then for now, then in zip(after, before, strict=True)] == pytest.approx([1, 2, 1, 3, 6.0])


def test_twelve_at_once_are_one_message_and_a_bundle_of_eleven() -> None:
    async def flood() -> World:
        world = World()
        world.work._directory = FakeDirectory({"one-desk": [person("a", "sms")]})
        for number in range(12):
            world.tell(number, "one-desk", 3)
        await world.live()
        world.now += MINUTE
        await world.bundles()
        return world

    world = asyncio.run(flood())
    (_, _, first), (_, _, bundle) = world.pager.sent
    assert (first.count, bundle.count) == (1, 11)
    assert bundle.text.startswith("【联动】11 件待处理，首件 C-")
    statuses = [page.status for page in world.results()]
    assert (statuses.count("sent"), statuses.count("throttled")) == (1, 11)


@pytest.mark.parametrize("kill", [CARRIED_OUT, WRITTEN])
def test_control_without_marks_one_notification_has_two_results(kill: str) -> None:
    def lived(marked: bool) -> list[Page]:
        async def story() -> World:
            world = World(marked)
            world.tell(0, "one-desk", 3)
            await world.live(WRITTEN)
            world.tell(0, "one-desk", 3, again=True)
            await world.live(kill)
            return world

        return asyncio.run(story()).results()

    assert len(lived(marked=True)) == 1
    assert len(lived(marked=False)) > 1, "the control has to go red"
