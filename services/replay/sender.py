"""Lines to the gateway: several lanes, each with one batch in flight, so that the rows of one case keep their order.

A lane sends the same lines again after a 503 or a broken connection; ids come from the data, so a repeat changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
import msgspec

ACCEPTED = 202
AGAIN = frozenset({429, 502, 503, 504})
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class GatewayRefused(Exception):
    """The gateway refuses the whole batch: a wrong key, another realm, a body it does not read."""


class GatewayAway(Exception):
    """The gateway or its broker did not answer for as long as we were told to wait."""


@dataclass(frozen=True, slots=True)
class Plan:
    realm: str
    lane_of: Callable[[str], int]  # external id -> lane: rows of one case share a lane
    lanes: int = 4
    batch_lines: int = 500
    give_up_s: float = 120.0
    speed: float = 0.0  # seconds of the data's clock a second; 0: as fast as the gateway takes it
    limit: int | None = None


class Line(NamedTuple):
    number: int  # row of the file
    external_id: str
    body: bytes  # one JSON object, no line break


@dataclass(slots=True)
class Sent:
    """What became of the lines so far."""

    accepted: int = 0
    resent: int = 0  # lines that were posted again; the platform answers them as repeated
    rejected: Counter[str] = field(default_factory=Counter)  # by reason


class Lane:
    """One queue, one batch in flight. `rejected(line, reason, detail)` is told of each line the gateway refuses for good."""

    def __init__(self, client: httpx.AsyncClient, plan: Plan, sent: Sent, rejected: Callable[[Line, str, str], None]) -> None:
        self._client = client
        self._realm = plan.realm
        self._give_up_s = plan.give_up_s
        self._sent = sent
        self._rejected = rejected
        self._batch_lines = plan.batch_lines
        self._open: list[Line] = []
        self._queue: asyncio.Queue[list[Line] | None] = asyncio.Queue(maxsize=2)

    async def add(self, line: Line) -> None:
        self._open.append(line)
        if len(self._open) >= self._batch_lines:
            await self.flush()

    async def flush(self) -> None:
        if self._open:
            batch, self._open = self._open, []
            await self._queue.put(batch)

    async def close(self) -> None:
        await self.flush()
        await self._queue.put(None)

    async def run(self) -> None:
        """Until closed. Raises GatewayRefused or GatewayAway."""
        while (batch := await self._queue.get()) is not None:
            await self._send(batch)

    async def _send(self, batch: list[Line]) -> None:
        loop = asyncio.get_running_loop()
        pause, last_progress = FIRST_PAUSE_S, loop.time()
        while batch:
            left, wait = await self._post(batch)
            if len(left) < len(batch):
                pause, last_progress = FIRST_PAUSE_S, loop.time()
            elif loop.time() - last_progress > self._give_up_s:
                raise GatewayAway(f"no answer for {self._give_up_s:g} s; {len(left)} lines of this lane wait")
            if left:
                self._sent.resent += len(left)
                await asyncio.sleep(max(pause, min(wait, LONGEST_PAUSE_S)))
                pause = min(pause * 2, LONGEST_PAUSE_S)
            batch = left

    async def _post(self, batch: list[Line]) -> tuple[list[Line], float]:
        """The lines to send again, and the seconds the gateway asks us to wait."""
        try:
            answer = await self._client.post(
                "/v1/events:batch",
                params={"realm": self._realm},
                content=b"\n".join([line.body for line in batch]) + b"\n",
                headers={"Content-Type": "application/x-ndjson"},
            )
        except httpx.TransportError:
            return batch, 0.0
        if answer.status_code in AGAIN:
            return batch, _seconds(answer.headers.get("Retry-After", ""))
        if answer.status_code != 200:
            raise GatewayRefused(f"HTTP {answer.status_code}: {answer.text[:500]}")
        results = [msgspec.json.decode(text) for text in answer.content.splitlines() if text]
        if len(results) != len(batch):
            raise GatewayRefused(f"{len(batch)} lines sent, {len(results)} answers came back")
        return [line for line, result in zip(batch, results, strict=True) if not self._settled(line, result)], 0.0

    def _settled(self, line: Line, result: dict[str, Any]) -> bool:
        status = result.get("status")
        if status == ACCEPTED:
            self._sent.accepted += 1
        elif status in AGAIN:
            return False
        else:
            reason, detail = _problem(result)
            self._sent.rejected[reason] += 1
            self._rejected(line, reason, detail)
        return True


def _problem(result: dict[str, Any]) -> tuple[str, str]:
    """Reason code and words of a line's RFC 9457 problem."""
    problem = result.get("problem") or {}
    errors = problem.get("errors") or [{}]
    reason = errors[0].get("reason") or errors[0].get("code") or f"http_{result.get('status')}"
    words = [f"{error.get('pointer', '')} {error.get('detail', '')}".strip() for error in errors]
    return str(reason), "; ".join(filter(None, words)) or str(problem.get("detail") or problem.get("title") or "")


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
