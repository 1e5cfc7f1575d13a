"""Where each partition is cut: rows of records below come from the old tables, all others from Kafka.

A cut is never below what Kafka still has. It lies a day above it where records are deleted by age, lest some be deleted while the rebuild
reads; but never above the newest row of the old table, behind which only Kafka knows anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """One partition. `begin`: what Kafka still has; `end`: when the rebuild began; `low` and `high`: of the rows that are carried, from
    and up to, equal when there are none."""

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
        gaps = [(0, min(self.begin, self.low)), (self.high, self.begin)] if self.high > self.low else [(0, self.begin)]
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
    found = {}
    for tp in partitions:
        place, begin, end = (tp.topic, tp.partition), begins[tp], ends[tp]
        safe_from = (safe[tp].offset if safe[tp] else end) if tp in safe else begin
        found[place] = (begin, max(begin, min(safe_from, held.get(place, (0, 0))[1])), end)
    carried = _held(handle, stream, {place: at for place, (_, at, _) in found.items()})
    return [Cut(*place, begin, at, end, *carried.get(place, (at, at))) for place, (begin, at, end) in found.items()]


def _held(handle: Handle, stream: Stream, below: Mapping[Place, int] | None = None) -> dict[Place, tuple[int, int]]:
    """Offset of the oldest row and next after the newest one in the old table, by partition; with `below`, of rows below these offsets."""
    if not aside.is_aside(handle, stream.facts):
        return {}
    where = "1" if below is None else _listed(below, "<")
    rows = handle.rows(
        f"SELECT _topic AS topic, _part AS part, min(_off) AS low, max(_off) + 1 AS high FROM {ASIDE}.{stream.facts} "
        f"WHERE {where} GROUP BY topic, part"
    )
    return {(row["topic"], row["part"]): (row["low"], row["high"]) for row in rows}


def not_in_kafka(cuts: Sequence[Cut]) -> str:
    """Condition: rows of the old table that are carried. Those of other topics too: of realms that are not served, of older logs."""
    return f"NOT {_listed({cut.place: cut.at for cut in cuts}, '>=')}"


def _listed(places: Mapping[Place, int], compared: str) -> str:
    parts = [f"(_topic = '{topic}' AND _part = {part:d} AND _off {compared} {at:d})" for (topic, part), at in sorted(places.items())]
    return f"({' OR '.join(parts) or '0'})"
