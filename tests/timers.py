"""A lane with timers for tests of the engine: keys that are told when to ring, and a reader that knows what must have rung."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRecord
from faust.types import TP
from prometheus_client import CollectorRegistry

from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.errors import InvalidPayload, Reason
from schemas.headers import WAKE
from schemas.realms import Realm
from schemas.topics import INCIDENT_COMMANDS, OUTCOMES, realm_of
from streams.domain.core import Emit, Source
from streams.engine.ledger import Chunk, Ledger
from streams.engine.metrics import LaneMetrics, WorkerMetrics
from streams.engine.runner import Runner
from streams.engine.source import src_of
from streams.engine.table import StateTable, apply, forget_shipped
from streams.engine.value import Output

WALL, LOG = INCIDENT_COMMANDS.name, INCIDENT_COMMANDS.in_realm(Realm.REPLAY)
HEAD, TIMER = struct.Struct("<qI"), struct.Struct("<qI")  # present, timers so far; then timers in order: due, number
WORDS = (b"arm", b"at", b"cancel", b"wake")  # all else is unreadable
Rung = tuple[str, int, int]  # key, number of its timer, due


class Bells:
    """`b"arm 10 20"`: ring so many milliseconds from now; `b"at 1795300000000"`: ring then; `b"cancel"`: not any more; `b"wake"`: look.

    Each ring is an outcome "rang", each arming an outcome "armed". `chatty`: another release, which says more."""

    has_outbox = True
    co_partitioned = True

    def __init__(self, chatty: bool = False) -> None:
        self._chatty = chatty

    def process(self, record: ConsumerRecord, source: Source, state: bytes) -> tuple[bytes, Sequence[Emit]]:
        word, *rest = record.value.split()
        if word not in WORDS:
            raise InvalidPayload(Reason.BAD_VALUE, "no word of ours")
        present, count = HEAD.unpack_from(state) if state else (0, 0)
        timers = list(TIMER.iter_unpack(state[HEAD.size :]))
        now = max(present, record.timestamp)
        said = [("rang", number, due) for due, number in timers if due <= now]
        if said and self._chatty:
            said.insert(0, ("awake", 0, now))
        left = [timer for timer in timers if timer[0] > now]
        if word in (b"arm", b"at"):
            since = now if word == b"arm" else 0
            left = sorted([*left, *((since + int(text), count + n) for n, text in enumerate(rest))])
            said.append(("armed", count, now))
            count += len(rest)
        elif word == b"cancel":
            left = []
        if left == timers and not said:
            return state, ()
        after = HEAD.pack(now, count) + b"".join([TIMER.pack(*timer) for timer in left])
        return after, [self._emit(record, source, position, *one) for position, one in enumerate(said)]

    def bury(self, record: ConsumerRecord, source: Source, state: bytes, reason: Reason) -> Sequence[Emit]:
        return ()

    def next_due(self, state: bytes) -> int | None:
        return int(TIMER.unpack_from(state, HEAD.size)[0]) if len(state) > HEAD.size else None

    def wake(self, key: bytes, due: int, realm: Realm) -> bytes:
        return b"wake"

    def _emit(self, record: ConsumerRecord, source: Source, position: int, word: str, number: int, at: int) -> Emit:
        realm, key = realm_of(record.topic).value, record.key.decode()
        outcome = Outcome("", key, realm, word, "", "", number, "", "", "", at, *source, position)
        return Emit(OUTCOMES, realm, key, outcome, position)


def record(topic: str, offset: int, at: int, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> ConsumerRecord:
    return ConsumerRecord(topic, 0, offset, at, int(topic == WALL), key, value, None, len(key), len(value), headers)


class Worker:
    """One life of a worker of partition 0; what it says is the caller's to send or to lose."""

    def __init__(
        self, topic: str, changelog: Iterable[tuple[bytes, bytes]] = (), committed: int = 0, processor: Any = None, timed: bool = True
    ) -> None:
        self.processor = processor or Bells()
        self.table = StateTable("changelog", timed)
        part: dict[bytes, bytes] = {}
        for key, value in changelog:
            apply(part, set(), key, value)
        self.table.restore({0: part})
        forget_shipped(part, committed)
        self.metrics = LaneMetrics(WorkerMetrics(CollectorRegistry()), "bells")
        self.shipped: list[tuple[list[tuple[bytes, bytes]], list[Output]]] = []
        log_time = realm_of(topic).time_source == "log"
        self._runner = Runner("bells", self.processor, self.table, self._ship, self.metrics, 1, "test", log_time=log_time)

    def _ship(self, chunk: Chunk, changes: Any, outputs: Any) -> None:
        self.shipped.append((changes, [output for _, output in outputs]))

    def run(self, records: Sequence[ConsumerRecord]) -> tuple[list[tuple[bytes, bytes]], list[Output]]:
        """(changes of the table, outputs) of one chunk."""
        for _ in self.steps(records):
            pass
        return self.shipped.pop()

    def steps(self, records: Sequence[ConsumerRecord]) -> Iterator[None]:
        return self._runner.steps(Chunk(None, Ledger(TP(records[0].topic, 0), records[0].offset), records))  # type: ignore[arg-type]


def kept(outputs: Iterable[Output]) -> list[Output]:
    """The reader's rule: what is above the mark of its source."""
    marks: dict[tuple[str, str, int], tuple[int, int]] = {}
    found = []
    for output in outputs:
        src = src_of(output.headers)
        assert src is not None
        line, place = (output.topic, src.topic, src.partition), (src.offset, src.position)
        if place > marks.get(line, (-1, -1)):
            marks[line] = place
            found.append(output)
    return found


def outcomes(outputs: Iterable[Output]) -> list[Outcome]:
    reader = codec(Outcome)
    return [reader.decode(output.value) for output in outputs if output.topic.endswith(OUTCOMES.name)]


def rung(outputs: Iterable[Output]) -> list[Rung]:
    """In the order in which they were said."""
    return [(one.case_id, one.case_seq, one.received_at) for one in outcomes(outputs) if one.outcome == "rang"]


@dataclass
class Fold:
    """What the log says must have rung: written without the engine and without the processor above."""

    present: dict[str, int] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)
    open: set[tuple[int, str, int]] = field(default_factory=set)  # due, key, number
    rung: list[Rung] = field(default_factory=list)
    at: dict[Rung, int] = field(default_factory=dict)  # the time of the record at which it rang

    def settle(self, now: int, key: str = "") -> None:
        """Rings what is due by then, of one key or of all."""
        for due, owner, number in sorted(self.open):
            if due <= now and key in ("", owner):
                self.open.discard((due, owner, number))
                self.rung.append((owner, number, due))
                self.at[owner, number, due] = now
                self.present[owner] = max(self.present.get(owner, 0), now if key else due)

    def take(self, one: ConsumerRecord, log_time: bool) -> None:
        if log_time:
            self.settle(one.timestamp)
        key = one.key.decode()
        if one.value.split()[0] not in WORDS:
            return
        now = max(self.present.get(key, 0), one.timestamp)
        self.settle(now, key)
        if one.value.startswith((b"arm", b"at")):
            self.present[key] = now
            since = now if one.value.startswith(b"arm") else 0
            for text in one.value.split()[1:]:
                number = self.count[key] = self.count.get(key, 0) + 1
                self.open.add((since + int(text), key, number - 1))
        elif one.value == b"cancel":
            gone = {timer for timer in self.open if timer[1] == key}
            self.open -= gone
            if gone:
                self.present[key] = now


def folded(log: Iterable[ConsumerRecord], log_time: bool = False) -> Fold:
    fold = Fold()
    for one in log:
        fold.take(one, log_time)
    return fold


def is_wake_up(one: ConsumerRecord) -> bool:
    return any(name == WAKE for name, _ in one.headers)
