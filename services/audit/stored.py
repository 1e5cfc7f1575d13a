"""What ClickHouse holds, asked of the read port, against the fold: sums of hashes by bucket first, rows only where a sum differs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from schemas import registry
from schemas.realms import Realm
from services.adapters.topic_log import CannotLook, Ends
from services.audit.digest import Digest
from services.audit.fold import Fold, Rows, bucket_of
from services.audit.report import Report

WRAP = 1 << 64
BUCKETS_AT_ONCE = 16
Key = tuple[str, int]  # case and seq; seq 0 in tables that have none
Held = Counter[tuple[Key, int]]  # rows by key and hash


@dataclass(frozen=True, slots=True)
class Answer:
    """`standing`: next offset of the sink by partition, exact for what was answered with it."""

    found: dict[str, Any]
    standing: Ends


class Port:
    """The read port's /internal/audit routes, with an admin key."""

    def __init__(self, realm: Realm, read: httpx.AsyncClient) -> None:
        self._realm, self._read = realm, read

    async def ask(self, path: str, topic: str, **params: str) -> Answer:
        """Raises CannotLook."""
        try:
            answer = await self._read.get(f"/internal/audit/{path}", params={"realm": self._realm.value, **params})
        except httpx.HTTPError as error:
            raise CannotLook(f"the read port does not answer ({type(error).__name__})") from error
        if answer.status_code != 200:
            raise CannotLook(f"the read port answered {answer.status_code}: {answer.text[:300]}")
        found: dict[str, Any] = answer.json()
        return Answer(found, {int(partition): offset for partition, offset in found["standing"].get(topic, {}).items()})


class StoredCheck:
    """One kind of case. `fold` has been fed up to the ends that were read first; later events are in `fold.later`."""

    def __init__(self, fold: Fold, port: Port, realm: Realm, report: Report) -> None:
        self._fold, self._port, self._report = fold, port, report
        self._kind = fold.kind
        self._topic = fold.kind.events.in_realm(realm)

    async def facts(self, ends: Ends) -> None:
        """Every event up to `ends` is one row, and no row there is anything else."""
        upto = ",".join(f"{partition}:{offset}" for partition, offset in sorted(ends.items()))
        answer = await self._port.ask("sums", self._topic, table=self._kind.facts, upto=upto)
        self._whole(answer.found["columns"])
        sums = {number: rows.sum for number, rows in enumerate(self._fold.rows)}
        counts = {number: len(rows.hashes) for number, rows in enumerate(self._fold.rows)}
        for some in batches(differing(answer, sums, counts)):
            rows = await self._port.ask("rows", self._topic, table=self._kind.facts, upto=upto, buckets=listed(some))
            expected = Counter(item for bucket in some for item in self._events(self._fold.rows[bucket]))
            weigh(self._report, self._kind.name, "facts", expected, held_rows(rows))

    def _events(self, rows: Rows) -> Iterable[tuple[Key, int]]:
        ids = self._fold.ids
        for number, seq, digest in zip(rows.numbers, rows.seqs, rows.hashes, strict=True):
            yield (ids[number], seq), digest

    def _whole(self, columns: list[str]) -> None:
        if set(columns) != set(self._fold.digest.columns):
            lacking = set(self._fold.digest.columns) ^ set(columns)
            raise CannotLook(f"{self._kind.facts} does not have the columns of an event: {', '.join(sorted(lacking))}")

    async def now(self, catch_up: Any) -> None:
        """The newest row of each case is its last event. `catch_up(standing)` feeds the fold up to where the answer stands."""
        answer = await self._port.ask("sums", self._topic, table=self._kind.now)
        await catch_up(answer.standing)
        columns = answer.found["columns"]
        self._events_fields(columns)
        rows = self._newest(columns, answer.standing)
        sums: Counter[int] = Counter()
        for (case_id, _), digest in rows:
            sums[bucket_of(case_id)] += digest
        counts = Counter(bucket_of(case_id) for (case_id, _), _ in rows)
        for some in batches(differing(answer, sums, counts)):
            again = await self._port.ask("rows", self._topic, table=self._kind.now, buckets=listed(some))
            await catch_up(again.standing)
            expected = Counter(item for item in self._newest(columns, again.standing) if bucket_of(item[0][0]) in set(some))
            weigh(self._report, self._kind.name, "case_now", expected, held_rows(again))

    def _events_fields(self, columns: list[str]) -> None:
        if not set(self._kind.place) | {"case_id", "case_seq"} <= set(columns):
            raise CannotLook(f"{self._kind.now} says only {', '.join(columns)}")

    def _newest(self, columns: list[str], standing: Ends) -> Held:
        digest = Digest(registry.struct(self._kind.event), columns)
        newest = {case_id: (case.seq, case.value) for case_id, case in self._fold.cases.items()}
        later = {e.record.case_id: e.record for e in self._fold.later if e.offset < standing.get(e.partition, 0)}
        decode = self._fold.codec.decode
        rows: Held = Counter()
        for case_id, (_, value) in newest.items():
            record = later.pop(case_id, None) or decode(value)
            rows[(case_id, record.case_seq), digest(record)] += 1
        for case_id, record in later.items():
            rows[(case_id, record.case_seq), digest(record)] += 1
        return rows


def differing(answer: Answer, sums: Mapping[int, int], counts: Mapping[int, int]) -> list[int]:
    stored = {bucket: (count, int(digest)) for bucket, count, digest in answer.found["sums"]}
    return [b for b in range(256) if stored.get(b, (0, 0)) != (counts.get(b, 0), sums.get(b, 0) % WRAP)]


def held_rows(answer: Answer) -> Held:
    return Counter(((case_id, seq), int(digest)) for case_id, seq, digest in answer.found["rows"])


def batches(buckets: list[int]) -> list[list[int]]:
    return [buckets[at : at + BUCKETS_AT_ONCE] for at in range(0, len(buckets), BUCKETS_AT_ONCE)]


def listed(buckets: Iterable[int]) -> str:
    return ",".join(map(str, buckets))


def weigh(report: Report, kind: str, where: str, expected: Held, stored: Held) -> None:
    """Row by row: missing, unexplained, doubled, or there with other contents."""
    left, over = expected - stored, stored - expected
    wanted: dict[Key, int] = defaultdict(int)
    for (key, _), count in left.items():
        wanted[key] += count
    for ((case_id, seq), digest), count in over.items():
        if expected[(case_id, seq), digest]:
            report.differs(kind, f"{where}.doubled", row_name(case_id, seq), count)
        elif wanted[case_id, seq]:
            wanted[case_id, seq] -= 1
            report.differs(kind, f"{where}.differs", row_name(case_id, seq), 1)
        else:
            report.differs(kind, f"{where}.unexplained", row_name(case_id, seq), count)
    for (case_id, seq), count in wanted.items():
        if count:
            report.differs(kind, f"{where}.missing", row_name(case_id, seq), count)


def row_name(case_id: str, seq: int) -> str:
    return f"case {case_id}" + (f" seq {seq}" if seq else "")
