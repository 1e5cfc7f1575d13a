"""Many events in one request: each line (or CloudEvent) is judged, sent and answered by itself, in order.

Lines are read as they arrive and sent in chunks; the answers come back together when the last is acknowledged. Beyond a
limit the rest is not read: the line at which that happened says so, and what was accepted before it stays accepted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from schemas.bounds import MAX_BATCH_BYTES, MAX_BATCH_LINES, MAX_BODY_BYTES
from services.gateway import metrics
from services.gateway.accept import Acceptor, Delivered
from services.gateway.answers import LineAnswer, LineProblem, line_of, problem_line
from services.gateway.decoding import Invalid
from services.gateway.intake import Accepted, Context
from services.gateway.limits import RateLimit
from services.gateway.problems import Problem, refused, too_large

CHUNK = 500  # lines judged without a pause: about 20 ms
UNDER_WAY = 8  # chunks of one request that wait for Kafka; then the next is read
Numbered = tuple[int, bytes]
Judge = Callable[[bytes, Context], Accepted]
Result = LineAnswer | LineProblem


class Batch:
    """One request's lines on their way."""

    def __init__(self, acceptor: Acceptor, limit: RateLimit, context: Context, judge: Judge, trace: str) -> None:
        self._acceptor = acceptor
        self._limit = limit
        self._context = context
        self._judge = judge
        self._trace = trace
        self._results: dict[int, Result] = {}
        self._sent: list[tuple[list[int], Awaitable[list[Delivered]]]] = []

    async def put(self, lines: Sequence[Numbered]) -> None:
        """Judges and sends a chunk; returns when it stands in the send buffer."""
        try:
            self._limit.check(self._context.principal, len(lines))
        except Problem as problem:
            for number, _ in lines:
                self.refuse(number, problem)
            return
        accepted: list[Accepted] = []
        numbers: list[int] = []
        for number, data in lines:
            try:
                if len(data) > MAX_BODY_BYTES:
                    raise too_large(MAX_BODY_BYTES, "bytes in one line")
                accepted.append(self._judge(data, self._context))
                numbers.append(number)
            except Invalid as error:
                self.refuse(number, refused(error.errors))
            except Problem as problem:
                self.refuse(number, problem)
        if accepted:
            if len(self._sent) >= UNDER_WAY:
                await self._sent[-UNDER_WAY][1]
            self._sent.append((numbers, await self._acceptor.enqueue(accepted, self._context.realm, self._trace)))

    def refuse(self, number: int, problem: Problem) -> None:
        metrics.REJECTED.labels(problem.reason).inc()
        self._results[number] = problem_line(number, problem)

    async def results(self) -> list[Result]:
        """Every line's answer, in order of the lines."""
        for numbers, sending in self._sent:
            for number, delivered in zip(numbers, await sending, strict=True):
                self._results[number] = line_of(number, delivered)
        return [self._results[number] for number in sorted(self._results)]


async def chunks(stream: AsyncIterator[bytes]) -> AsyncIterator[list[Numbered] | tuple[int, Problem]]:
    """Non-empty lines with their numbers from 1, at most CHUNK at a time; a limit that is passed comes last, as (line, problem)."""
    number = size = 0
    rest = b""
    ready: list[Numbered] = []
    async for piece in stream:
        size += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            number += 1
            if number > MAX_BATCH_LINES:
                break
            if line.strip():
                ready.append((number, line))
            if len(ready) >= CHUNK:
                yield ready
                ready = []
        problem = _beyond(number, size, len(rest))
        if problem is not None:
            if ready:
                yield ready
            yield min(number + 1, MAX_BATCH_LINES + 1), problem
            return
    if rest.strip():
        if number >= MAX_BATCH_LINES:
            if ready:
                yield ready
            yield number + 1, too_large(MAX_BATCH_LINES, "lines in a batch")
            return
        ready.append((number + 1, rest))
    if ready:
        yield ready


def _beyond(number: int, size: int, unfinished: int) -> Problem | None:
    if number > MAX_BATCH_LINES:
        return too_large(MAX_BATCH_LINES, "lines in a batch")
    if size > MAX_BATCH_BYTES:
        return too_large(MAX_BATCH_BYTES, "bytes in a batch")
    if unfinished > MAX_BODY_BYTES:
        return too_large(MAX_BODY_BYTES, "bytes in one line")
    return None
