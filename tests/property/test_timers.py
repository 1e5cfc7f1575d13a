"""Laws of timers, without a broker: whoever dies, sleeps or speaks twice, each timer rings once, and never before its time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import ConsumerRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.headers import WAKE
from schemas.realms import Realm
from streams.engine.failpoints import Failpoints
from streams.engine.producer import Sendable
from streams.engine.value import Output
from streams.engine.waker import AGAIN_MS, Appended, Waker
from tests.timers import LOG, WALL, Bells, Worker, folded, is_wake_up, kept, record, rung

START = 1_795_300_000_000
KEYS = (b"a", b"b", b"c", b"d")
DEATHS = ("none", "in_changelog", "after_changelog", "in_outputs", "before_commit")
steps_of_work = st.sampled_from([*DEATHS, *["commit"] * len(DEATHS)])
delays = st.lists(st.integers(0, 40), max_size=3)


class World:
    """A partition on a broker with a clock of its own, and the worker that has it now."""

    def __init__(self, skew: int) -> None:
        self.now = START
        self.log: list[ConsumerRecord] = []
        self.changelog: list[tuple[bytes, bytes]] = []
        self.outputs: list[Output] = []
        self.committed = self.position = 0
        self._skew = skew  # of the workers' clocks
        self.start()

    def start(self) -> None:
        """Another life, from what the broker has."""
        self.worker = Worker(WALL, self.changelog, self.committed)
        self.position = self.committed
        self.waker = Waker(
            self.worker.processor, Realm.LIVE, self.worker.table.wheels, lambda: (0,), self._append, self._clock,
            self.worker.metrics, Failpoints(),
        )  # fmt: skip

    def _clock(self) -> int:
        return self.now + self._skew

    async def _append(self, partition: int, records: Sequence[Sendable]) -> Appended:
        for key, value, headers, _ in records:
            self.say(key or b"", value, headers)
        return Appended(len(self.log), self.now)

    def say(self, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        self.log.append(record(WALL, len(self.log), self.now, key, value, headers))

    async def wake(self, waker: Waker) -> None:
        waker.turn()
        for _ in range(4):  # the sends
            await asyncio.sleep(0)

    def work(self, size: int, step: str, cut: float) -> None:
        """One chunk, as far as `step` of the order of commitment; the worker dies there."""
        end = min(len(self.log), self.position + size)
        if end == self.position:
            return
        changes, said = self.worker.run(self.log[self.position : end])
        changed, told = int(cut * len(changes)), int(cut * len(said))
        self.changelog += changes[:changed] if step == "in_changelog" else [] if step == "none" else changes
        if step in ("in_outputs", "before_commit", "commit"):
            self.outputs += said[:told] if step == "in_outputs" else said
        if step == "commit":
            self.position = self.committed = end
        else:
            self.start()


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(-30, 30))
def test_every_timer_rings_once_and_not_before_its_time_whoever_dies_or_speaks_twice(data: st.DataObject, skew: int) -> None:
    async def play() -> World:
        world = World(skew)
        zombies = [world.waker]
        for _ in range(data.draw(st.integers(1, 30))):
            what = data.draw(st.sampled_from(["arm", "arm", "cancel", "pass", "work", "work", "wake", "wake", "zombie", "noise", "noise"]))
            key = data.draw(st.sampled_from(KEYS))
            if what == "arm":
                world.say(key, b" ".join([b"arm", *(b"%d" % ms for ms in data.draw(delays))]))
            elif what == "cancel":
                world.say(key, b"cancel")
            elif what == "pass":
                world.now += data.draw(st.integers(0, 50))
            elif what == "work":
                world.work(data.draw(st.integers(1, 5)), data.draw(steps_of_work), data.draw(st.floats(0, 1)))
                zombies.append(world.waker)
            elif what == "wake":
                await world.wake(world.waker)
            elif what == "zombie":  # a worker of before, whose wheel is old
                await world.wake(data.draw(st.sampled_from(zombies)))
            else:
                world.say(key, b"wake", [(WAKE, b"%d" % world.now)])
        for _ in range(8):
            world.now += AGAIN_MS
            await world.wake(world.waker)
            world.work(len(world.log), "commit", 1.0)
        return world

    world = asyncio.run(play())
    fold = folded(world.log)
    assert fold.open == set(), "a timer that nobody woke"
    assert sorted(rung(kept(world.outputs))) == sorted(fold.rung)
    assert all(at >= due for (_, _, due), at in fold.at.items())
    assert len(world.worker.table.wheels[0]) <= len(world.log)
    assert world.worker.table.timers() == 0


@st.composite
def histories(draw: st.DrawFn) -> list[ConsumerRecord]:
    """A partition of a realm on log time; times run on, and back now and then. Some records are unreadable."""
    found, now = [], START
    for offset in range(draw(st.integers(1, 20))):
        now += draw(st.integers(-8, 30))
        words = draw(st.sampled_from([b"arm", b"arm", b"arm", b"cancel", b"nonsense", b"wake"]))
        if words == b"arm":
            words = b" ".join([words, *(b"%d" % ms for ms in draw(delays))])
        found.append(record(LOG, offset, now, draw(st.sampled_from(KEYS)), words))
    return found


def die_often(log: Sequence[ConsumerRecord], data: st.DataObject, releases: Sequence[bool] = (False,)) -> list[Output]:
    """All that was ever sent by workers that die at any step; each life is of one of `releases` (whether it is chatty)."""
    changelog: list[tuple[bytes, bytes]] = []
    outputs: list[Output] = []
    position = deaths = 0
    worker = Worker(LOG)
    while position < len(log):
        end = position + data.draw(st.integers(1, 6))
        changes, said = worker.run(log[position:end])
        step = data.draw(steps_of_work) if deaths < 8 else "commit"
        changelog += changes[: data.draw(st.integers(0, len(changes)))] if step == "in_changelog" else [] if step == "none" else changes
        if step in ("in_outputs", "before_commit", "commit"):
            outputs += said[: data.draw(st.integers(0, len(said)))] if step == "in_outputs" else said
        if step == "commit":
            position = end
        else:
            deaths += 1
            worker = Worker(LOG, changelog, position, Bells(releases[deaths % len(releases)]))
    return outputs


def told(outputs: Sequence[Output]) -> list[tuple[str, bytes | None, bytes, int, object]]:
    return [(o.topic, o.key, o.value, o.timestamp, o.headers) for o in outputs]


@settings(max_examples=300, deadline=None)
@given(histories(), st.data())
def test_on_log_time_a_worker_that_dies_anywhere_says_what_a_faultless_one_says(log: list[ConsumerRecord], data: st.DataObject) -> None:
    assert told(kept(die_often(log, data))) == told(kept(Worker(LOG).run(log)[1]))


@settings(max_examples=150, deadline=None)
@given(histories(), st.lists(st.integers(1, 7), min_size=1))
def test_on_log_time_how_the_log_is_cut_into_chunks_changes_nothing(log: list[ConsumerRecord], sizes: list[int]) -> None:
    worker, outputs, position = Worker(LOG), list[Output](), 0
    for turn in range(len(log)):
        if position < len(log):
            outputs += worker.run(log[position : position + sizes[turn % len(sizes)]])[1]
            position += sizes[turn % len(sizes)]
    whole = Worker(LOG)
    assert told(outputs) == told(whole.run(log)[1])
    assert len(kept(outputs)) == len(outputs), "places rise"
    assert {k: v[8:] for k, v in worker.table.parts[0].items()}.keys() == whole.table.parts[0].keys()


@settings(max_examples=200, deadline=None)
@given(histories())
def test_on_log_time_all_that_is_due_rings_at_its_due_time_before_the_next_record(log: list[ConsumerRecord]) -> None:
    worker = Worker(LOG)
    fold = folded(log, log_time=True)
    outputs = worker.run(log)[1]
    assert rung(outputs) == fold.rung
    assert worker.table.timers() == len({key for _, key, _ in fold.open})


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_a_release_that_says_more_loses_nothing_that_was_stored_and_never_sent(log: list[ConsumerRecord], data: st.DataObject) -> None:
    outputs = kept(die_often(log, data, releases=(False, True)))
    assert rung(outputs) == folded(log, log_time=True).rung


@settings(max_examples=100, deadline=None)
@given(histories(), st.data())
def test_a_log_of_wall_time_replayed_on_log_time_rings_the_same_for_each_key(log: list[ConsumerRecord], data: st.DataObject) -> None:
    wall: list[ConsumerRecord] = []
    now = START
    for one in log:
        now = max(now, one.timestamp)
        wall.append(record(WALL, len(wall), now, one.key, one.value))
        for key in data.draw(st.lists(st.sampled_from(KEYS), max_size=2)):
            wall.append(record(WALL, len(wall), now, key, b"wake", [(WAKE, b"%d" % now)]))
    for key in KEYS:
        wall.append(record(WALL, len(wall), now + 1000, key, b"wake", [(WAKE, b"%d" % now)]))
    again = [record(LOG, one.offset, one.timestamp, one.key, one.value, one.headers) for one in wall]
    live, replayed = rung(Worker(WALL).run(wall)[1]), rung(Worker(LOG).run(again)[1])
    assert any(is_wake_up(one) for one in wall)
    for name in map(bytes.decode, KEYS):
        assert [one for one in replayed if one[0] == name] == [one for one in live if one[0] == name]
