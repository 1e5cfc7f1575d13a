"""The producer: idempotent, acks=all, and guarded by a lease.

A process that slept (SIGSTOP, a frozen machine) longer than its lease may have lost its partitions to another worker;
what it still has buffered would land behind the new owner's writes. So before each request goes out the time since the
last turn of the loop is checked, on a clock that also runs while the machine is suspended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import aiokafka
import aiokafka.codec
from faust.transport.drivers import aiokafka as driver
from mode.utils.logging import get_logger

from streams.engine import patience
from streams.engine.exits import Exit, die
from streams.engine.value import Headers

log = get_logger(__name__)

MAX_BATCH_BYTES = 1_000_000
MAX_REQUEST_BYTES = 8_000_000
TICK_SECONDS = 0.1
LZ4_LEVEL = 1  # aiokafka's own is 9, as the broker's: twelve times the work for an eighth less, a tenth of all that a case lane does
aiokafka.codec.lz4_encode.__defaults__ = (LZ4_LEVEL,)
Sendable = tuple[bytes | None, bytes, Headers, int]  # key, value, headers, timestamp


class GuardedProducer(aiokafka.AIOKafkaProducer):  # type: ignore[misc]  # aiokafka is not typed
    """`lease`: seconds this process may sleep and still send; 0 switches the guard off (tests only)."""

    lease: float = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tick = time.clock_gettime(time.CLOCK_BOOTTIME)
        send = self.client.send

        async def guarded(node_id: Any, request: Any, **options: Any) -> Any:
            self.check()
            return await send(node_id, request, **options)

        self.client.send = guarded

    def check(self) -> None:
        """Ends the process if it slept longer than its lease."""
        asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - self._tick
        if self.lease and asleep > self.lease:
            die(Exit.LEASE_LOST, f"asleep for {asleep:.1f} s, lease {self.lease:.1f} s")

    def batches(self, records: Iterable[Sendable]) -> list[Any]:
        """Closed batches, in order, for `send_batch`."""
        batches = []
        batch = self.create_batch()
        for key, value, headers, timestamp in records:
            if batch.append(key=key, value=value, timestamp=timestamp, headers=headers) is None:
                batch.close()
                batches.append(batch)
                batch = self.create_batch()
                if batch.append(key=key, value=value, timestamp=timestamp, headers=headers) is None:
                    die(Exit.RECORD_TOO_LARGE, f"a record of {len(value)} bytes does not fit a batch")
        if batch.record_count():
            batch.close()
            batches.append(batch)
        return batches

    async def watch(self) -> None:
        while True:
            self.check()
            self._tick = time.clock_gettime(time.CLOCK_BOOTTIME)
            await asyncio.sleep(TICK_SECONDS)


class Producer(driver.Producer):
    """Faust's producer service around a GuardedProducer."""

    @property
    def _producer_type(self) -> type[aiokafka.AIOKafkaProducer]:
        return GuardedProducer

    def _settings_extra(self) -> dict[str, Any]:
        return {
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": 0,  # batches are closed when they are handed over
            "max_batch_size": MAX_BATCH_BYTES,
            "max_request_size": MAX_REQUEST_BYTES,
            "compression_type": "lz4",
            "request_timeout_ms": 30_000,  # stock 1,200 s hides a black-holed broker for 20 minutes
        }

    async def on_start(self) -> None:
        async def drop() -> None:
            await self.guarded.stop()

        await patience.start("producer", super().on_start, drop, lambda: self.should_stop)
        guarded = self.guarded
        guarded.lease = self.app.lane.lease_seconds  # type: ignore[attr-defined]
        self.add_future(guarded.watch())

    @property
    def guarded(self) -> GuardedProducer:
        producer = self._producer
        assert isinstance(producer, GuardedProducer)
        return producer
