"""Rollups of deltas against the fold: cases by place, and first events.

A rollup stands where the sink stands in the topic of deltas, which is another place of the log than that of the facts. Which events it
counts is read from Kafka: deltas of one partition come in the order of their events, so the highest source below the sink's standing is it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.headers import SRC
from services.adapters.topic_log import CannotLook, Ends, Log
from services.audit.fold import Fold, bucket_of
from services.audit.kinds import Deltas
from services.audit.report import Report
from services.audit.stored import Answer, Held, Port, batches, differing, held_rows, listed, weigh

TAIL = 20_000  # deltas of each partition that are read: more than a worker sends again after a crash


class Reach:
    """How far into the log the deltas reach that stand below an offset."""

    def __init__(self, log: Log, events_topic: str) -> None:
        self._log = log
        self._head = events_topic.encode()
        self._offsets: dict[tuple[int, int], Any] = defaultdict(lambda: array("q"))  # by partition of the deltas and of their events
        self._highest: dict[tuple[int, int], Any] = defaultdict(lambda: array("q"))

    async def start(self) -> None:
        ends = await self._log.ends()
        self._log.skip_to({partition: end - TAIL for partition, end in ends.items()})

    async def read_to(self, ends: Mapping[int, int]) -> None:
        await self._log.read_to(ends, self._take)

    def _take(self, partition: int, records: Sequence[Any]) -> None:
        for record in records:
            source = next((content for name, content in record.headers if name == SRC), b"")
            head, _, rest = source.rpartition(b":")[0].rpartition(b":")
            topic, _, part = head.rpartition(b":")
            if topic == self._head:
                key = (partition, int(part))
                highest = self._highest[key]
                self._offsets[key].append(record.offset)
                highest.append(max(int(rest), highest[-1] if highest else -1))

    def below(self, standing: Mapping[int, int], sources: Sequence[Sequence[Any]]) -> Ends:
        """Next offset of the events by partition. `sources`: what the table of deltas says of itself ([topic, partition, offset]): it also
        knows what Kafka has forgotten."""
        found: Ends = {int(part): offset + 1 for topic, part, offset in sources if topic.encode() == self._head}
        for (partition, part), offsets in self._offsets.items():
            at = bisect_left(offsets, standing.get(partition, 0))
            if at:
                found[part] = max(found.get(part, 0), self._highest[partition, part][at - 1] + 1)
        return found


class RollupCheck:
    """`counted(answer)`: next offset of the events that an answer counts, once the fold has been fed up to there."""

    def __init__(self, fold: Fold, deltas: Deltas, port: Port, topic: str, report: Report) -> None:
        self._fold, self._deltas, self._port, self._topic, self._report = fold, deltas, port, topic, report
        self._kind = fold.kind

    async def totals(self, counted: Any) -> None:
        table, place = self._deltas.totals, self._kind.place
        answer: Answer = await self._port.ask("totals", self._topic, table=table)
        keys = answer.found["keys"]
        if {*keys} != {*place}:
            raise CannotLook(f"{table} counts by {', '.join(keys)}, not by {', '.join(place)}")
        order = [place.index(name) for name in keys]
        counts = self._places(await counted(answer))
        expected = {tuple(at[i] for i in order): count for at, count in counts.items() if count}
        stored = {tuple(row[:-1]): row[-1] for row in answer.found["rows"] if row[-1]}
        for key in sorted(expected.keys() | stored.keys()):
            want, have = expected.get(key, 0), stored.get(key, 0)
            if want != have:
                self._report.differs(self._kind.name, f"{table}.differs", f"{' '.join(key)}: {table} says {have} cases, the log {want}")

    async def openings(self, counted: Any) -> None:
        table = self._deltas.openings
        answer = await self._port.ask("sums", self._topic, table=table)
        if set(answer.found["columns"]) != set(self._deltas.opening):
            raise CannotLook(f"{table} has the columns {', '.join(answer.found['columns'])}")
        first = self._first(await counted(answer))
        sums: Counter[int] = Counter()
        rows: Counter[int] = Counter()
        for ((case_id, _), digest), count in first.items():
            sums[bucket_of(case_id)] += digest * count
            rows[bucket_of(case_id)] += count
        for some in batches(differing(answer, sums, rows)):
            again = await self._port.ask("rows", self._topic, table=table, buckets=listed(some))
            first = self._first(await counted(again))
            inside = Counter({item: count for item, count in first.items() if bucket_of(item[0][0]) in some})
            weigh(self._report, self._kind.name, table, inside, held_rows(again))

    def _places(self, ends: Ends) -> Counter[Any]:
        """Cases by place when these events are counted."""
        places: Counter[Any] = Counter(case.place for case in self._fold.cases.values())
        stands: dict[str, Any] = {}
        for event in self._fold.later:
            if event.offset < ends.get(event.partition, 0):
                case_id = event.record.case_id
                held = self._fold.cases.get(case_id)
                was = stands.get(case_id, held.place if held else None)
                if was is not None:
                    places[was] -= 1
                stands[case_id] = tuple(getattr(event.record, name) for name in self._kind.place)
                places[stands[case_id]] += 1
        return places

    def _first(self, ends: Ends) -> Held:
        first: Held = Counter({((case_id, 0), c.opening): 1 for case_id, c in self._fold.cases.items() if c.opening is not None})
        for event in self._fold.later:
            digest = self._fold.opened(event.record)
            if digest is not None and event.offset < ends.get(event.partition, 0):
                first[(event.record.case_id, 0), digest] += 1
        return first
