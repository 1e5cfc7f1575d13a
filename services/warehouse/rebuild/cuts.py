"""Where each partition is cut: rows of records below come from the old tables, all others from Kafka.

A cut is never below what Kafka still has. It lies a day above it where records are deleted by age, lest some be deleted while the rebuild
reads; but never above the newest row of the old table, behind which only Kafka knows anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import DAY_MS, realm_of
from services.clock import now_ms
from services.sink.plan import Place
from services.sink.streams import Stream
from services.warehouse.backend import Handle
from services.warehouse.rebuild import aside
from services.warehouse.rebuild.book import ASIDE

MARGIN_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class Cut:
    """One partition. `begin`: what Kafka still has; `at`: the cut; `end`: when the rebuild began; `low` and `high`: the oldest row of the
    old table and next after its newest one, both 0 when there is none."""

    topic: str
    partition: int
    begin: int
    at: int
    end: int
    low: int
    high: int

    @property
    def place(self) -> Place:
        return self.topic, self.partition

    def missing(self) -> list[dict[str, Any]]:
        """Offsets that neither Kafka nor the old table has: no rows, unless the records there were repeats."""
        gaps = [(0, min(self.begin, self.low)), (self.high, self.begin)] if self.high else [(0, self.begin)]
        return [{"topic": self.topic, "partition": self.partition, "from": low, "to": high} for low, high in gaps if low < high]


async def decide(handle: Handle, stream: Stream, places: Sequence[Place], bootstrap: str) -> list[Cut]:
    """Asks Kafka once; the answer is kept in the book. KafkaError when the broker is away."""
    held = _held(handle, stream)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        partitions = [TopicPartition(*place) for place in places]
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        kept = stream.topic.retention_days
        aging = [tp for tp in partitions if kept >= 0 and realm_of(tp.topic).time_source == "wall"]
        safe = await consumer.offsets_for_times(dict.fromkeys(aging, now_ms() - kept * DAY_MS + MARGIN_MS)) if aging else {}
    finally:
        await consumer.stop()
    found = []
    for tp in partitions:
        begin, end = begins[tp], ends[tp]
        low, high = held.get((tp.topic, tp.partition), (0, 0))
        safe_from = (safe[tp].offset if safe[tp] else end) if tp in safe else begin
        found.append(Cut(tp.topic, tp.partition, begin, max(begin, min(safe_from, high)), end, low, high))
    return found


def _held(handle: Handle, stream: Stream) -> dict[Place, tuple[int, int]]:
    """Offset of the oldest row and next after the newest one in the old table, by partition."""
    if not aside.is_aside(handle, stream.facts):
        return {}
    rows = handle.rows(
        f"SELECT _topic AS topic, _part AS part, min(_off) AS low, max(_off) + 1 AS high FROM {ASIDE}.{stream.facts} GROUP BY topic, part"
    )
    return {(row["topic"], row["part"]): (row["low"], row["high"]) for row in rows}


def not_in_kafka(cuts: Sequence[Cut]) -> str:
    """Condition: rows of the old table that are carried. Those of other topics too: of realms that are not served, of older logs."""
    parts = [f"(_topic = '{cut.topic}' AND _part = {cut.partition:d} AND _off >= {cut.at:d})" for cut in cuts]
    return f"NOT ({' OR '.join(parts) or '0'})"
