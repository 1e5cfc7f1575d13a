"""Ends a worker that stands still: Faust would only write a log line (research/reliability-performance.md 1.4).

The thread looks from outside at the loop, the recovery and the chunks in flight; the probe asks the broker for the ends
and measures lag.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any

from mode.utils.logging import get_logger

from streams.engine.exits import Exit, die

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds without progress after which the process ends."""

    loop: float = 30.0
    recovery: float = 300.0  # of the start or a restore: no record came; the whole may take longer
    chunk: float = 90.0  # above the producer's own 30 s, which ends the process first
    lag: float = 20.0  # records wait and none is delivered or done
    broker: float = 120.0  # the broker does not answer at all
    drain: float = 15.0  # since the stop began: chunks in flight wait for a broker that may be gone for good


class Watchdog(threading.Thread):
    """A thread of its own: it must turn when the loop does not."""

    def __init__(self, app: Any, consumer: Any, recovery: Any, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        super().__init__(daemon=True, name="watchdog")
        self._app = app
        self._consumer = consumer
        self._recovery = recovery
        self._loop = loop
        self._limits = limits
        self._began = self._turned = time.monotonic()

    def run(self) -> None:
        while not self._app.should_stop:
            self._loop.call_soon_threadsafe(self._turn)
            time.sleep(1.0)
            self._look(time.monotonic())
        if not self._app.ended.wait(self._limits.drain):
            die(Exit.DRAIN_TIMED_OUT, f"not drained {self._limits.drain:g} s after the stop began")

    def _turn(self) -> None:
        self._turned = time.monotonic()

    def _look(self, now: float) -> None:
        limits = self._limits
        if now - self._turned > limits.loop:
            die(Exit.LOOP_BLOCKED, f"the event loop has not turned for {limits.loop:g} s")
        moved = self._recovery.moved_at or (now if self._consumer.positioned.is_set() else self._began)
        if now - moved > limits.recovery:
            die(Exit.STANDSTILL, f"no partitions yet, or in their recovery, and nothing has come for {limits.recovery:g} s")
        oldest = min(list(self._consumer.taken.values()), default=now)
        if now - oldest > limits.chunk:
            die(Exit.STANDSTILL, f"a chunk has been in flight for more than {limits.chunk:g} s")


async def probe(app: Any, limits: Limits, every: float = 2.0) -> None:
    """Measures lag for ever; ends the process when records wait and nothing moves."""
    progress: tuple[int, int] = (0, 0)
    moved = answered = time.monotonic()
    while not app.should_stop:
        await asyncio.sleep(every)
        consumer = app.consumer
        try:
            ends = await asyncio.wait_for(consumer.ends(), 10.0)
        except Exception as error:  # the client raises what it likes while the broker is away
            log.warning("no end offsets: %r", error)
            progress = (-1, -1)  # what did not move meanwhile is no standstill of ours
            if time.monotonic() - answered > limits.broker:
                die(Exit.STANDSTILL, f"no answer from the broker for {limits.broker:g} s")
            continue
        answered = time.monotonic()
        ledgers = dict(consumer.ledgers)
        lag = 0
        for tp, ledger in ledgers.items():
            behind = max(0, ends.get(tp, ledger.committed) - ledger.committed)
            app.metrics.lag.labels(app.conf.id, tp.topic, tp.partition).set(behind)
            lag += behind
        if app.state_table is not None:
            app.metrics.keys.set(app.state_table.keys())
            app.metrics.timers.set(app.state_table.timers())
        now = (sum(ledger.next for ledger in ledgers.values()), sum(ledger.committed for ledger in ledgers.values()))
        if now != progress or not lag:
            progress, moved = now, answered
        elif answered - moved > limits.lag and not app.tables.recovery.moved_at:
            die(Exit.STANDSTILL, f"{lag} records wait and nothing has moved for {limits.lag:g} s")
