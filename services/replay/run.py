"""A whole file through the gateway: read, map, pace, send; and every row accounted for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

import httpx
import msgspec

from services.replay.errors import RowRefused
from services.replay.reader import Damaged, NumberedRow
from services.replay.rows import Mapped, Row
from services.replay.sender import GatewayAway, GatewayRefused, Lane, Line, Plan, Sent

YIELD_EVERY = 200  # rows between two turns of the event loop
REST_S = 0.25  # a paced replay flushes its lanes before it sleeps at most so long

Refused = Callable[[int, str, str, str], None]  # row number, external id, reason, detail


@dataclass(slots=True)
class Counts:
    """read = accepted + all of rejected + all of not_mapped + unsent."""

    read: int = 0
    not_mapped: Counter[str] = field(default_factory=Counter)
    sent: Sent = field(default_factory=Sent)
    failure: str = ""  # why the replay ended early; empty when it did not

    @property
    def unsent(self) -> int:
        """Rows that were read and neither accepted nor refused: only after a failure."""
        return self.read - self.not_mapped.total() - self.sent.accepted - self.sent.rejected.total()


class Pace:
    """Paces by the data's own clock: the latest time seen so far; a late row goes at once."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._first: int | None = None
        self._start = 0.0

    def wait(self, at: int, now: float) -> float:
        """Seconds from `now` (monotonic) until a row of the data's time `at` (ms) is due; 0 or less: it is."""
        if self._first is None:
            self._first, self._start = at, now
        return self._start + (at - self._first) / 1000 / self._speed - now


async def replay(
    client: httpx.AsyncClient,
    rows: Iterable[NumberedRow],
    mapper: Callable[[Row], Mapped],
    plan: Plan,
    *,
    refused: Refused,
    progress: Callable[[Counts], None] = lambda _counts: None,
) -> Counts:
    """`client` has the gateway as base URL and the key as header. A failure ends the replay and is told in the counts."""
    counts = Counts()

    def rejected(line: Line, reason: str, detail: str) -> None:
        refused(line.number, line.external_id, reason, detail)

    lanes = [Lane(client, plan, counts.sent, rejected) for _ in range(plan.lanes)]
    try:
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(lane.run())
            try:
                await _feed(rows, mapper, plan, lanes, counts=counts, refused=refused, progress=progress)
            except Damaged as error:
                counts.failure = str(error)
            for lane in lanes:
                await lane.close()
    except* (GatewayRefused, GatewayAway) as errors:
        counts.failure = "; ".join(str(error) for error in errors.exceptions)
    progress(counts)
    return counts


async def _feed(
    rows: Iterable[NumberedRow],
    mapper: Callable[[Row], Mapped],
    plan: Plan,
    lanes: list[Lane],
    *,
    counts: Counts,
    refused: Refused,
    progress: Callable[[Counts], None],
) -> None:
    encode = msgspec.json.Encoder().encode
    pace = Pace(plan.speed) if plan.speed else None
    for row in islice(rows, plan.limit):
        counts.read += 1
        if counts.read % YIELD_EVERY == 0:
            progress(counts)
            await asyncio.sleep(0)
        try:
            if row.fault:
                raise row.fault
            mapped = mapper(row.row)
        except RowRefused as error:
            counts.not_mapped[error.reason] += 1
            refused(row.number, "", error.reason, error.detail)
            continue
        if pace:
            await _until_due(pace, mapped.at, lanes, lambda: progress(counts))
        await lanes[plan.lane_of(mapped.external_id)].add(Line(row.number, mapped.external_id, encode(mapped.body)))


async def _until_due(pace: Pace, at: int, lanes: list[Lane], progress: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    while (wait := pace.wait(at, loop.time())) > 0:
        for lane in lanes:
            await lane.flush()
        progress()
        await asyncio.sleep(min(wait, REST_S))
