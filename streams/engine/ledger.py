"""What was delivered of one partition, in order, and how far it is done.

`committable` is the end of the done prefix, so a commit can never jump over work in flight (Faust's own arithmetic can:
research/reliability-performance.md 1.2). A chunk belongs to the ledger that delivered it; after a rebalance there is a
new ledger and an old chunk may no longer be touched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from aiokafka import ConsumerRecord
from faust.types import TP


class Keeper(Protocol):
    """The consumer, as a chunk sees it."""

    def is_current(self, ledger: Ledger) -> bool: ...
    def on_taken(self, chunk: Chunk) -> None: ...
    def on_done(self, chunk: Chunk) -> None: ...


class Ledger:
    """Progress of one partition between two rebalances. Offsets are Kafka's: the next record to come."""

    __slots__ = ("committable", "committed", "in_flight", "next", "probe", "queue", "tp")

    def __init__(self, tp: TP, start: int) -> None:
        self.tp = tp
        self.next = start  # next offset expected from the broker
        self.committable = start
        self.committed = start
        self.queue: deque[Chunk] = deque()
        self.in_flight = 0
        self.probe = -1  # first offset above a gap, seen once: a real gap (compaction) is seen twice

    def deliver(self, keeper: Keeper, records: Sequence[ConsumerRecord]) -> Chunk:
        """Takes note of a contiguous run of records and makes it a chunk."""
        chunk = Chunk(keeper, self, records)
        self.queue.append(chunk)
        self.next = chunk.end
        self.in_flight += 1
        return chunk

    def advance(self) -> None:
        """Moves `committable` over the done prefix."""
        queue = self.queue
        while queue and queue[0].done:
            self.committable = queue.popleft().end


class Chunk:
    """A run of records of one partition, processed and shipped as one. Faust sees it as one event."""

    __slots__ = ("__weakref__", "_keeper", "done", "end", "ledger", "records", "tp")

    def __init__(self, keeper: Keeper, ledger: Ledger, records: Sequence[ConsumerRecord]) -> None:
        self._keeper = keeper
        self.ledger = ledger
        self.tp = ledger.tp
        self.records = records
        self.end = records[-1].offset + 1
        self.done = False

    def take(self) -> bool:
        """False when the partition was lost since delivery: the chunk must not be touched."""
        if not self._keeper.is_current(self.ledger):
            return False
        self._keeper.on_taken(self)
        return True

    def ack(self) -> None:
        """All that this chunk caused is acknowledged by the broker."""
        self.done = True
        self.ledger.in_flight -= 1
        self.ledger.advance()
        self._keeper.on_done(self)

    def __len__(self) -> int:
        return len(self.records)
