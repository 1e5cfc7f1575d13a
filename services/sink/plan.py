"""Planning of blocks: which records go together, and which are repeats. Pure: no Kafka, no clock.

A block is a vector of offset ranges over all partitions of a stream; it holds one writer schema, at most `limit` rows, and every range
starts where the block before it ended.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from services.sink.marks import Marks, source_of

Place = tuple[str, int]  # topic and partition
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Record(Protocol):
    """A Kafka record (aiokafka's ConsumerRecord)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes
    key: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class Block:
    """Ranges and the rows they hold. `ranges`: next offset before and after, by partition."""

    ranges: dict[Place, tuple[int, int]] = field(default_factory=dict)
    rows: list[Record] = field(default_factory=list)
    repeats: int = 0
    unreadable: list[Record] = field(default_factory=list)
    before: dict[Place, Marks] = field(default_factory=dict)
    after: dict[Place, Marks] = field(default_factory=dict)
    schema_id: int = 0

    @property
    def month(self) -> int:
        """Month (yyyymm, UTC) of the newest record: the table partition of the whole block, so one block is one part."""
        newest = EPOCH + timedelta(milliseconds=max((row.timestamp for row in self.rows), default=0))
        return newest.year * 100 + newest.month

    @property
    def digest(self) -> str:
        """Of the source bytes: a topic made anew has other bytes at the same offsets."""
        return hashlib.sha256(b"".join([row.value for row in self.rows])).hexdigest()[:16]


class Planner:
    """Collects records and cuts blocks.

    `positions`: next expected offset by partition; `marks`: marks by partition; `schemas`: schema ids this stream's records may have.
    """

    def __init__(self, positions: dict[Place, int], marks: dict[Place, Marks], schemas: Iterable[int], marked: bool = True) -> None:
        self.positions = dict(positions)
        self.marks = marks
        self.waiting = 0
        self._frames = {b"\x00" + schema.to_bytes(4, "big"): schema for schema in schemas}
        self._marked = marked
        self._queues: dict[Place, deque[Record]] = {}
        self._since: deque[tuple[Place, float]] = deque()

    def add(self, place: Place, records: Sequence[Record], at: float) -> int:
        """Takes records of one partition, in offset order, `at` a monotonic time in seconds. Answers how many offsets were missing
        between what was expected and what came (0 unless the topic lost records)."""
        queue = self._queues.setdefault(place, deque())
        if not queue:
            self._since.append((place, at))
        expected = queue[-1].offset + 1 if queue else self.positions.get(place, records[0].offset)
        queue.extend(records)
        self.waiting += len(records)
        return max(0, records[0].offset - expected)

    def oldest(self) -> float | None:
        """When the record that has waited longest came; None when nothing waits."""
        return self._since[0][1] if self._since else None

    def cut(self, limit: int) -> Block:
        """The next block, begun by the partition that has waited longest; empty when nothing waits."""
        block = Block()
        frame = self._frame(self._queues[self._since[0][0]]) if self._since else b""
        block.schema_id = self._frames.get(frame, 0)
        left = limit
        stay: deque[tuple[Place, float]] = deque()
        while self._since:
            place, at = self._since.popleft()
            queue = self._queues[place]
            taken = self._take(block, place, queue, frame, left)
            left -= taken
            self.waiting -= taken
            if queue:
                stay.append((place, at))
        self._since = stay
        block.rows.sort(key=lambda row: (row.topic, row.partition, row.offset))
        return block

    def _frame(self, queue: deque[Record]) -> bytes:
        """The frame all rows of the next block carry: that of the first readable record."""
        for record in queue:
            found = (record.value or b"")[:5]
            if found in self._frames:
                return found
        return b""

    def _take(self, block: Block, place: Place, queue: deque[Record], frame: bytes, left: int) -> int:
        start = self.positions.get(place, queue[0].offset)
        known = self.marks.get(place, {})
        marks = dict(known)
        taken, end = 0, start
        while queue and taken < left:
            record = queue[0]
            value = record.value or b""
            if not value.startswith(frame) or not frame:
                if value[:5] in self._frames:
                    break  # another writer schema: the next block
                block.unreadable.append(record)
            else:
                self._sort_in(block, record, marks)
            queue.popleft()
            taken += 1
            end = record.offset + 1
        if taken:
            block.ranges[place] = (start, end)
            block.before[place] = known
            block.after[place] = self.marks[place] = marks
            self.positions[place] = end
        return taken

    def _sort_in(self, block: Block, record: Record, marks: Marks) -> None:
        try:
            repeated = self._marked and self._repeated(record, marks)
        except ValueError:
            block.unreadable.append(record)
            return
        if repeated:
            block.repeats += 1
        else:
            block.rows.append(record)

    @staticmethod
    def _repeated(record: Record, marks: Marks) -> bool:
        found = source_of(record.headers)  # ValueError: this record is not from our engine
        if found is None:
            return False
        source, at = found
        if at <= marks.get(source, (-1, -1)):
            return True
        marks[source] = at
        return False
