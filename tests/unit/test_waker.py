"""The waker: what is due goes out oldest first, paced, for owned partitions only; and again when nothing came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from schemas.headers import WAKE
from schemas.realms import Realm
from streams.engine.failpoints import Failpoints
from streams.engine.producer import Sendable
from streams.engine.value import Part, pack
from streams.engine.waker import AGAIN_MS, BEHIND_MS, BURST, PER_SECOND, WINDOW, Appended, Waker
from streams.engine.wheel import Wheel
from tests.timers import WALL, Bells, Worker

AT = 1_795_300_000_000


class Stage:
    """Wheels, a clock, and a broker whose clock may differ and whose acknowledgements may wait."""

    def __init__(self, *parts: Part, skew: int = 0) -> None:
        self.parts = list(parts)
        self.wheels = {partition: Wheel(part) for partition, part in enumerate(parts)}
        self.owned = set(self.wheels)
        self.now = AT
        self.sent: list[tuple[int, bytes, int]] = []  # partition, key, due
        self.ends = dict.fromkeys(self.wheels, 0)
        self.away: set[int] = set()
        self.back = asyncio.Event()
        self.skew = skew
        self.metrics = Worker(WALL).metrics
        self.waker = Waker(Bells(), Realm.LIVE, self.wheels, lambda: self.owned, self._append, lambda: self.now, self.metrics, Failpoints())

    async def _append(self, partition: int, records: Sequence[Sendable]) -> Appended:
        self.sent += [(partition, key or b"", int(dict(headers)[WAKE])) for key, _, headers, _ in records]
        if partition in self.away:
            await self.back.wait()
        self.ends[partition] += len(records)
        return Appended(self.ends[partition], self.now + self.skew)

    async def turn(self, after: int = 0) -> list[tuple[int, bytes, int]]:
        """What is sent `after` so many more milliseconds."""
        self.now += after
        before = len(self.sent)
        self.waker.turn()
        for _ in range(4):
            await asyncio.sleep(0)
        return self.sent[before:]

    def decided(self, partition: int = 0, settles: bool = True) -> None:
        """The lane has come to the end of its input; it settled what it was woken for, or did not."""
        self.wheels[partition].passed = self.ends[partition]
        if settles:
            part = self.parts[partition]
            for _, key, due in self.sent:
                if key in part:
                    part[key] = pack(2, 0, b"s", b"")
                    self.wheels[partition].move(key, due, 0)


def due(*times: int, start: int = 0) -> Part:
    return {b"%06d" % (start + number): pack(1, 0, b"s", b"", time) for number, time in enumerate(times)}


async def test_nothing_goes_before_it_is_due_and_each_key_once() -> None:
    stage = Stage(due(AT + 500, AT + 900))
    assert await stage.turn(after=499) == []
    assert await stage.turn(after=1) == [(0, b"000000", AT + 500)]
    assert await stage.turn(after=100) == []
    stage.decided()
    assert await stage.turn(after=300) == [(0, b"000001", AT + 900)]


async def test_the_oldest_go_first_over_all_partitions_and_no_more_than_the_pace() -> None:
    overdue = [AT - 10_000 + number for number in range(3000)]
    stage = Stage(due(*overdue[::2]), due(*overdue[1::2], start=100_000))
    first = await stage.turn(after=100)
    assert sorted(when for _, _, when in first) == overdue[: PER_SECOND // 10]
    assert len(await stage.turn(after=50)) == PER_SECOND // 20
    assert len(await stage.turn(after=3_600_000)) <= BURST, "a pause gives no right to a flood"


async def test_a_partition_that_decides_nothing_gets_a_window_and_holds_no_other() -> None:
    stage = Stage(due(*[AT] * (WINDOW + 500)), due(AT + 900, start=100_000))
    for _ in range(10):
        await stage.turn(after=250)
    assert sum(partition == 0 for partition, _, _ in stage.sent) == WINDOW
    assert (1, b"100000", AT + 900) in stage.sent
    stage.decided()
    await stage.turn(after=250)
    assert sum(partition == 0 for partition, _, _ in stage.sent) == WINDOW + 500


async def test_a_partition_whose_broker_does_not_answer_holds_no_other_and_goes_on_when_it_does() -> None:
    stage = Stage(due(AT, AT + 100), due(AT + 100, start=100_000))
    stage.away = {0}
    assert await stage.turn(after=50) == [(0, b"000000", AT)]
    assert await stage.turn(after=100) == [(1, b"100000", AT + 100)]
    stage.away = set()
    stage.back.set()
    await stage.turn()
    assert await stage.turn(after=50) == [(0, b"000001", AT + 100)]


async def test_a_partition_that_is_not_ours_is_not_woken_until_it_is() -> None:
    stage = Stage(due(AT), due(AT, start=100_000))
    stage.owned = {1}
    assert await stage.turn(after=100) == [(1, b"100000", AT)]
    stage.owned = {0, 1, 7}  # 7: assigned, not restored yet
    assert await stage.turn(after=100) == [(0, b"000000", AT)]


async def test_a_partition_restored_anew_wakes_anew() -> None:
    stage = Stage(due(AT))
    await stage.turn(after=100)
    stage.wheels[0] = Wheel(stage.parts[0])
    assert await stage.turn(after=100) == [(0, b"000000", AT)]


async def test_a_wake_up_early_by_the_brokers_clock_goes_again_when_that_clock_has_come_so_far() -> None:
    stage = Stage(due(AT + 100, AT + 1000), skew=-40)
    assert await stage.turn(after=100) == [(0, b"000000", AT + 100)]
    assert counted(stage, "early") == 1
    assert await stage.turn(after=39) == []
    assert await stage.turn(after=1) == [(0, b"000000", AT + 100)]
    assert await stage.turn(after=860) == [], "what was learned holds for the next"
    assert await stage.turn(after=40) == [(0, b"000001", AT + 1000)]
    assert counted(stage, "early") == 1


async def test_what_was_learned_of_the_brokers_clock_is_not_believed_for_ever() -> None:
    stage = Stage(due(AT + 100), skew=-3_600_000)
    await stage.turn(after=100)
    stage.skew = 0  # somebody set the clock right
    assert await stage.turn(after=BEHIND_MS - 1) == []
    assert await stage.turn(after=1) == [(0, b"000000", AT + 100)]


async def test_a_wake_up_that_settled_nothing_goes_again_later_and_not_while_it_waits_to_be_decided() -> None:
    stage = Stage(due(AT))
    await stage.turn(after=100)
    assert await stage.turn(after=10 * AGAIN_MS) == [], "it stands in the log"
    stage.decided(settles=False)
    assert await stage.turn(after=AGAIN_MS) == []
    assert counted(stage, "idle") == 1
    assert await stage.turn(after=AGAIN_MS) == [(0, b"000000", AT)]
    stage.decided()
    assert await stage.turn(after=10 * AGAIN_MS) == []


async def test_a_key_armed_anew_for_the_moment_it_was_woken_for_is_not_woken_twice_at_once() -> None:
    stage = Stage(due(AT))
    await stage.turn(after=100)
    stage.wheels[0].move(b"000000", 0, AT)  # moved away and back
    assert await stage.turn(after=100) == []


async def test_a_stale_entry_wakes_nobody() -> None:
    stage = Stage(due(AT))
    stage.parts[0][b"000000"] = pack(2, 0, b"s", b"", AT + 5_000)
    stage.wheels[0].move(b"000000", AT, AT + 5_000)
    assert await stage.turn(after=100) == []
    assert await stage.turn(after=4_900) == [(0, b"000000", AT + 5_000)]


def counted(stage: Stage, kind: str) -> float:
    found: Callable[[], float] = {"early": stage.metrics.wakes_early, "idle": stage.metrics.wakes_idle}[kind]._value.get
    return found()
