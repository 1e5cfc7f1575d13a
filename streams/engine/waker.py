"""The waker of a worker on wall time: appends a wake-up for each key that is due, to the key's own partition (engine/wheel.py).

After a downtime thousands are due at once: the oldest go first, over all partitions, PER_SECOND of them and at most WINDOW of a partition
that are not decided yet, so that commands always find room. A partition that is not owned, not restored or slow holds no other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

from schemas.headers import WAKE
from schemas.realms import Realm
from streams.engine.exits import Exit, die
from streams.engine.failpoints import Failpoints
from streams.engine.metrics import LaneMetrics
from streams.engine.producer import Sendable
from streams.engine.wheel import Timed, Wheel

TICK_SECONDS = 0.05
PER_SECOND = 5_000  # of a worker: 200,000 in a minute are 3,334 and what a stall left is made up for; a case lane decides 10,000 and more
BURST = PER_SECOND // 4  # what a loop that turns late may make up for at once
WINDOW = 1_000  # of a partition
AGAIN_MS = 30_000  # before a key is woken again whose wake-up settled nothing
BEHIND_MS = 10_000  # how long we believe what an acknowledgement told of the broker's clock

Entry = tuple[int, bytes]  # due, key


class Appended(NamedTuple):
    """Where wake-ups came to stand."""

    end: int  # offset after the last
    at: int  # append time, UTC milliseconds


Append = Callable[[int, Sequence[Sendable]], Awaitable[Appended]]


class Offers:
    """What was sent for one wheel and is not decided yet."""

    __slots__ = ("_behind", "_behind_until", "_idle", "_sent", "open", "sending", "wheel")

    def __init__(self, wheel: Wheel) -> None:
        self.wheel = wheel
        self.open: dict[bytes, int] = {}  # key -> due
        self.sending = False
        self._sent: deque[tuple[int, list[Entry]]] = deque()  # until the wheel has passed that offset
        self._idle: deque[tuple[int, Entry]] = deque()  # settled nothing: not again before that time
        self._behind = self._behind_until = 0  # the broker's clock behind ours, as far as it was seen

    def clock(self, now: int) -> int:
        """The append time that a record would get now."""
        return now - self._behind if now < self._behind_until else now

    def take(self, now: int) -> Entry | None:
        """The wheel's earliest entry, if it is due, current, and not on its way."""
        found = self.wheel.pop(self.clock(now))
        if found is None or self.open.get(found[1]) == found[0] or not self.wheel.holds(*found):
            return None
        self.open[found[1]] = found[0]
        return found

    def acknowledged(self, entries: Sequence[Entry], sent_at: int, appended: Appended, now: int) -> int:
        """Answers how many were early by the broker's clock; they will go again when it has come so far."""
        self._behind, self._behind_until = max(0, sent_at - appended.at), now + BEHIND_MS
        early = [entry for entry in entries if entry[0] > appended.at]
        for entry in early:
            self._close(entry)
            self.wheel.push(*entry)
        self._sent.append((appended.end, [entry for entry in entries if entry[0] <= appended.at]))
        return len(early)

    def look(self, now: int) -> int:
        """What has come of those that are decided by now; answers how many settled nothing."""
        idle = 0
        while self._sent and self._sent[0][0] <= self.wheel.passed:
            for entry in self._sent.popleft()[1]:
                self._close(entry)
                if self.wheel.holds(*entry):
                    self._idle.append((now + AGAIN_MS, entry))
                    idle += 1
        while self._idle and self._idle[0][0] <= now:
            self.wheel.push(*self._idle.popleft()[1])
        return idle

    def _close(self, entry: Entry) -> None:
        if self.open.get(entry[1]) == entry[0]:
            del self.open[entry[1]]


class Waker:
    """`wheels`: the table's; `owned`: partitions that are ours, restored and flowing; `clock`: UTC milliseconds."""

    def __init__(
        self,
        timed: Timed,
        realm: Realm,
        wheels: Mapping[int, Wheel],
        owned: Callable[[], Iterable[int]],
        append: Append,
        clock: Callable[[], int],
        metrics: LaneMetrics,
        failpoints: Failpoints,
        per_second: int = PER_SECOND,
    ) -> None:
        self._timed = timed
        self._realm = realm
        self._wheels = wheels
        self._owned = owned
        self._append = append
        self._clock = clock
        self._metrics = metrics
        self._failpoints = failpoints
        self._per_second = per_second
        self._room = 0.0
        self._looked = clock()
        self._offers: dict[int, Offers] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self.turn()
            await asyncio.sleep(TICK_SECONDS)

    def turn(self) -> None:
        """Wakes what is due now, as far as there is room; does not wait for acknowledgements."""
        now = self._clock()
        self._room = min(BURST, self._room + max(0, now - self._looked) * self._per_second / 1000)
        self._looked = now
        self._offers = {partition: self._of(partition) for partition in self._owned() if partition in self._wheels}
        self._metrics.wakes_idle.inc(sum(offers.look(now) for offers in self._offers.values()))
        for partition, entries in self._choose(now).items():
            offers = self._offers[partition]
            offers.sending = True
            task = asyncio.create_task(self._send(partition, offers, entries))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _of(self, partition: int) -> Offers:
        """A wheel that was filled anew begins anew."""
        held = self._offers.get(partition)
        return held if held is not None and held.wheel is self._wheels[partition] else Offers(self._wheels[partition])

    def _choose(self, now: int) -> dict[int, list[Entry]]:
        """The oldest over all partitions, by partition."""
        chosen: dict[int, list[Entry]] = {}
        heads = [
            (first, partition)
            for partition, offers in self._offers.items()
            if not offers.sending and (first := _head(offers, now)) is not None
        ]
        heapify(heads)
        while heads and self._room >= 1:
            partition = heads[0][1]
            offers = self._offers[partition]
            entry = offers.take(now)
            if entry is not None:
                chosen.setdefault(partition, []).append(entry)
                self._room -= 1
            first = _head(offers, now)
            if first is None:
                heappop(heads)
            else:
                heapreplace(heads, (first, partition))
        return chosen

    async def _send(self, partition: int, offers: Offers, entries: list[Entry]) -> None:
        at = self._clock()
        records = [(key, self._timed.wake(key, due, self._realm), [(WAKE, b"%d" % due)], at) for due, key in entries]
        self._failpoints.hit("before_wake")
        appended = await self._append(partition, records)
        self._failpoints.hit("after_wake")
        offers.sending = False
        self._metrics.wakes_sent.inc(len(entries))
        self._metrics.wakes_early.inc(offers.acknowledged(entries, at, appended, self._clock()))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            die(Exit.SHIPMENT_FAILED, f"wake-ups: {task.exception()!r}".replace('"', "'"))


def _head(offers: Offers, now: int) -> int | None:
    """When the partition's next entry was due; None: none is, or as many are on their way as may be."""
    first = offers.wheel.first()
    return first if first is not None and first <= offers.clock(now) and len(offers.open) < WINDOW else None
