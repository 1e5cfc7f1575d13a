"""The fold of a log of events, by the rule of every reader: a record that is not above its source's mark is a repeat and is dropped.

Written anew and without cleverness: no code of the platform is asked what a state should be, the events themselves say it.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from schemas import registry
from schemas.codec import codec
from schemas.errors import InvalidPayload
from schemas.headers import COPIED, SRC
from services.audit.digest import Digest
from services.audit.kinds import Kind
from services.audit.report import Report

SHIFT = 8  # bits for the position of an effect within its source record
Values = tuple[Any, ...]


def bucket_of(case_id: str) -> int:
    """0 to 255: cases are compared bucket by bucket, and row by row only where a bucket differs."""
    return hashlib.md5(case_id.encode(), usedforsecurity=False).digest()[0]


@dataclass(slots=True)
class Case:
    number: int  # of the case in this fold
    bucket: int
    seq: int
    place: Values
    state: str
    value: bytes  # of its newest event, as it stood in the log
    opening: int | None  # digest of its first event's row among the openings


@dataclass(slots=True)
class Rows:
    """One bucket's rows of events: what the table of facts must hold."""

    sum: int = 0
    numbers: Any = field(default_factory=lambda: array("L"))  # of the case
    seqs: Any = field(default_factory=lambda: array("q"))
    hashes: Any = field(default_factory=lambda: array("Q"))


@dataclass(frozen=True, slots=True)
class Event:
    """An event that came after the ends that were read first."""

    partition: int
    offset: int
    record: Any


class Fold:
    """Feed `take` with the partitions' records in order. After `mark_end` further events are kept one by one in `later` instead."""

    def __init__(self, kind: Kind, realm: str, report: Report) -> None:
        struct: Any = registry.struct(kind.event)
        self.kind = kind
        self.digest = Digest(struct, struct.__struct_fields__)
        self.opening = Digest(struct, kind.deltas.opening) if kind.deltas else None
        self.codec = codec(struct)
        self.cases: dict[str, Case] = {}
        self.ids: list[str] = []
        self.rows = [Rows() for _ in range(256)]
        self.last: dict[int, int] = {}  # offset of the newest event of `cases` that was said in this log, by partition
        self.later: list[Event] = []
        self.counts: Counter[str] = Counter()
        self._realm, self._report = realm, report
        self._place, self._before = attrgetter(*kind.place), attrgetter(*kind.twins)
        self._nowhere = ("",) * len(kind.place)
        self._kept: dict[tuple[int, bytes], tuple[Any, Any]] = {}  # places and hashes of bytes, by partition and source
        self._same: dict[Values, Values] = {}
        self._ended = False

    def mark_end(self) -> None:
        self._ended = True

    def take(self, partition: int, records: Sequence[Any]) -> None:
        for record in records:
            self.counts["records"] += not self._ended
            where = f"{record.topic}:{record.partition}:{record.offset}"
            if not self._is_new(partition, record, where):
                continue
            try:
                event = self.codec.decode(record.value)
            except InvalidPayload as error:
                self._differs("log.unreadable", f"{where}: {error.reason.value}")
                continue
            if event.realm != self._realm or record.key != event.case_id.encode():
                self._differs("log.misplaced", f"{where}: realm {event.realm}, key {record.key!r}, case {event.case_id}")
            if self._ended:
                self.later.append(Event(partition, record.offset, event))
            else:
                if not any(name == COPIED for name, _ in record.headers):
                    self.last[partition] = record.offset
                self._one(event, record.value, where)

    def opened(self, event: Any) -> int | None:
        """Digest of the row that this event adds to the openings; None: it is no first event."""
        return self.opening(event) if self.opening and event.case_seq == 1 else None

    def _is_new(self, partition: int, record: Any, where: str) -> bool:
        source = next((content for name, content in record.headers if name == SRC), None)
        if source is None:
            self._differs("log.without_source", where)
            return True
        head, offset, position = source.rsplit(b":", 2)
        place, digest = int(offset) << SHIFT | int(position), hash(record.value)
        places, hashes = self._kept.setdefault((partition, head), (array("q"), array("q")))
        if not places or place > places[-1]:
            places.append(place)
            hashes.append(digest)
            return True
        at = bisect_left(places, place)
        if places[at] != place:
            self._differs("log.skipped", f"{where}: {source.decode()} came after a later one of its source, so every reader drops it")
        elif hashes[at] != digest:
            self._differs("log.copies_differ", f"{where}: another record from {source.decode()} than the first")
        else:
            self.counts["repeats"] += 1
        return False

    def _one(self, event: Any, value: bytes, where: str) -> None:
        self.counts["events"] += 1
        place = self._place(event)
        place = self._same.setdefault(place, place)
        case = self.cases.get(event.case_id)
        if case is None:
            case = Case(len(self.ids), bucket_of(event.case_id), 0, self._nowhere, "", b"", self.opened(event))
            self.cases[event.case_id] = case
            self.ids.append(event.case_id)
        rows = self.rows[case.bucket]
        digest = self.digest(event)
        rows.sum += digest
        rows.numbers.append(case.number)
        rows.seqs.append(event.case_seq)
        rows.hashes.append(digest)
        if event.case_seq == case.seq + 1:
            self._check(event, case, where)
        elif event.case_seq > case.seq:
            self._differs(
                "log.gap", f"{where}: case {event.case_id} goes from {case.seq} to {event.case_seq}", event.case_seq - case.seq - 1
            )
        else:
            self._differs("log.seq_twice", f"{where}: case {event.case_id} has had {event.case_seq} and stands at {case.seq}")
            return
        case.seq, case.place, case.state, case.value = event.case_seq, place, event.state, value

    def _check(self, event: Any, case: Case, where: str) -> None:
        before = self._before(event)
        if before != case.place:
            for name, said, was in zip(self.kind.twins, before, case.place, strict=True):
                if said != was:
                    self._differs(f"log.{name}", f"{where}: case {event.case_id} seq {event.case_seq} says {said!r}, it was {was!r}")
        if case.state and not self.kind.may_follow(case.state, event):
            self._differs("log.after_end", f"{where}: case {event.case_id} was {case.state}, then {event.type}")

    def _differs(self, name: str, example: str, count: int = 1) -> None:
        self._report.differs(self.kind.name, name, example, count)
