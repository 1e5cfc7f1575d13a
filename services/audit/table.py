"""The case table as its changelog says, by a parser of its own.

A value: int64 version, uint8 flags, uint32 length of the state, int64 due time if flag 2 is set, state, outbox.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas import registry
from schemas.codec import codec
from schemas.errors import InvalidPayload
from services.audit.fold import Fold
from services.audit.report import Report

OWN = b"\x00"  # first byte of the engine's own keys (marks and the like): no cases
QUARANTINED, TIMED = 1, 2


@dataclass(frozen=True, slots=True)
class Stored:
    """One value: `state` None when it is empty or unreadable."""

    version: int
    flags: int
    state: bytes
    outbox: bytes


def parse(value: bytes) -> Stored:
    version = int.from_bytes(value[:8], "little", signed=True)
    start = 21 if value[8] & TIMED else 13
    end = start + int.from_bytes(value[9:13], "little")
    return Stored(version, value[8], value[start:end], value[end:])


class Table:
    """Feed `take` with the changelog; of each key the highest version wins, the later of equal ones."""

    def __init__(self) -> None:
        self.best: dict[bytes, tuple[int, int, bytes]] = {}  # version, partition, value
        self.counts: Counter[str] = Counter()

    def take(self, partition: int, records: Sequence[Any]) -> None:
        for record in records:
            if record.key is None or record.key[:1] == OWN:
                continue
            if record.value is None:
                self.best.pop(record.key, None)
                continue
            version = int.from_bytes(record.value[:8], "little", signed=True)
            held = self.best.get(record.key)
            if held is None or version >= held[0]:
                self.best[record.key] = (version, partition, record.value)
            else:
                self.counts["lower_versions"] += 1

    def cases(self) -> Iterator[tuple[str, int, Stored]]:
        """Case, partition and value."""
        for key, (_, partition, value) in self.best.items():
            yield key.decode("utf-8", "replace"), partition, parse(value)


@dataclass(frozen=True, slots=True)
class Ahead:
    """A state newer than the events that were read: its event is said after it is stored."""

    state: Any
    partition: int
    stored: Stored


class StateCheck:
    """States against the fold. What is ahead is judged by later events: `settle` until nothing is `ahead`."""

    def __init__(self, fold: Fold, report: Report) -> None:
        kind = fold.kind
        struct: Any = registry.struct(kind.state)
        self._codec = codec(struct)
        events = set(registry.struct(kind.event).__struct_fields__)
        self._same = [(name, name) for name in struct.__struct_fields__ if name in events] + [("seq", "case_seq")]
        self._fold, self._report = fold, report
        self.ahead: dict[str, Ahead] = {}

    def compare(self, table: Table) -> None:
        seen: set[str] = set()
        for case_id, partition, stored in table.cases():
            seen.add(case_id)
            table.counts["quarantined"] += stored.flags & QUARANTINED
            table.counts["with_outbox"] += bool(stored.outbox)
            if stored.state:
                table.counts["states"] += 1
                self._one(case_id, partition, stored)
            elif case_id in self._fold.cases:
                self._differs("table.missing", f"case {case_id} has events and an empty state")
        for case_id, case in self._fold.cases.items():
            if case_id not in seen:
                self._differs("table.missing", f"case {case_id} stands at {case.seq} in the log and is not in the table")

    def _one(self, case_id: str, partition: int, stored: Stored) -> None:
        try:
            state = self._codec.decode(stored.state)
        except InvalidPayload as error:
            self._differs("table.unreadable", f"case {case_id}: {error.reason.value}")
            return
        case = self._fold.cases.get(case_id)
        seq = case.seq if case else 0
        if state.seq > seq:
            self.ahead[case_id] = Ahead(state, partition, stored)
        elif case and state.seq < seq:
            self._differs("table.behind", f"case {case_id} stands at {state.seq}, its log at {seq} (version {stored.version})")
        elif case:
            self._agree(case_id, state, self._fold.codec.decode(case.value))

    def settle(self) -> None:
        """Looks for what is ahead among the events that came later."""
        for event in self._fold.later:
            record = event.record
            found = self.ahead.get(record.case_id)
            if found and record.case_seq == found.state.seq:
                del self.ahead[record.case_id]
                self._agree(record.case_id, found.state, record)

    def judge(self, committed: Mapping[int, int]) -> None:
        """`committed`: input offsets of the lane, read before the events that `settle` has seen. A record below them has had its event
        sent, and a value without an outbox has none to send: what is still ahead then, is ahead for good."""
        for case_id, found in list(self.ahead.items()):
            if committed.get(found.partition, 0) > found.stored.version or not found.stored.outbox:
                del self.ahead[case_id]
                self._differs("table.ahead", f"case {case_id} stands at {found.state.seq}, and the log does not have that event")

    def _agree(self, case_id: str, state: Any, event: Any) -> None:
        for mine, its in self._same:
            held, said = getattr(state, mine), getattr(event, its)
            changed = set(said) - set(held) if isinstance(said, tuple) else held != said  # of a list an event says only what it changed
            if changed:
                self._differs("table.differs", f"case {case_id} seq {state.seq}: {mine} is {held!r} in the table, {said!r} in the log")
                return

    def _differs(self, name: str, example: str) -> None:
        self._report.differs(self._fold.kind.name, name, example)
