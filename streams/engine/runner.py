"""The one agent body: records in, decisions out, exactly once each.

For each record of a chunk, in order: what was already applied is said again from the outbox; what a mark has seen is
dropped; the rest is decided. On log time the timers that are due by then come first (engine/wheel.py). Unreadable records and
records on which `decide` crashes three times become dead letters, the case of the latter is quarantined, and the partition goes on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

import msgspec
from aiokafka import ConsumerRecord
from mode.utils.logging import get_logger

from schemas.avro.dead_letter.event import DeadLetter
from schemas.avro.outcome.event import Outcome
from schemas.codec import Codec, codec
from schemas.errors import InvalidPayload, Reason, UnknownPolicy, UnknownSchema
from schemas.headers import REPLAYED, SRC, TRACE, derived
from schemas.murmur import partition_of
from schemas.realms import Realm
from schemas.topics import DEAD_LETTERS, realm_of
from streams.domain.core import Emit, Source
from streams.engine.exits import Exit, die
from streams.engine.ledger import Chunk
from streams.engine.logtime import LogTime, Said, is_settlement
from streams.engine.metrics import LaneMetrics
from streams.engine.shipment import Changes
from streams.engine.source import Src, mark, src_of
from streams.engine.table import StateTable
from streams.engine.value import NOTHING, QUARANTINED, Headers, Output, Part, Value, pack_output, unpack_outputs
from streams.engine.wheel import Timed
from streams.engine.working import LOOSE, MARK, Working

log = get_logger(__name__)
NONE: AbstractSet[bytes] = frozenset()
ATTEMPTS = 3
SLICE_SECONDS = 0.05  # of deciding, before the event loop has its turn
KEY_CHARACTERS = 200  # of a letter's own key; the original key stands whole in the letter
TRACE_BYTES = 128  # W3C's takes 55


class Processor(Protocol):
    """What a lane does with a record; the pure core behind it."""

    has_outbox: bool
    co_partitioned: bool  # outputs under the input's key go to the partition it came from

    def process(self, record: ConsumerRecord, source: Source, state: bytes) -> tuple[bytes, Sequence[Emit]]:
        """(state after, effects). InvalidPayload when the record cannot be read. `state` b"": none."""
        ...

    def bury(self, record: ConsumerRecord, source: Source, state: bytes, reason: Reason) -> Sequence[Emit]:
        """What else to say of a record that became a dead letter (positions from 3 on)."""
        ...


class Runner:
    """Decides chunks of one lane and hands what follows to the shipper."""

    def __init__(
        self,
        lane: str,
        processor: Processor,
        table: StateTable | None,
        ship: Callable[[Chunk, Changes, Sequence[tuple[int, Output]]], None],
        metrics: LaneMetrics,
        partitions: int,
        version: str,
        use_marks: bool = True,
        log_time: bool = False,
    ) -> None:
        self._lane = lane
        self._processor = processor
        self._table = table
        self._ship = ship
        self._metrics = metrics
        self._partitions = partitions
        self._version = version
        self._use_marks = use_marks
        self._timed = processor if isinstance(processor, Timed) else None
        self._log_time = LogTime(self._timed, self) if self._timed is not None and log_time else None
        self._codecs: dict[type[msgspec.Struct], Codec[Any]] = {}
        self._attributes: dict[str, Headers] = {}
        self._topics: dict[tuple[str, str], str] = {}
        self._answers: Counter[tuple[str, str]] = Counter()
        self._turn = 0.0  # when the loop is to have its turn

    def run(self, chunk: Chunk) -> None:
        """Decides every record of a chunk that was taken, in one go."""
        for _ in self.steps(chunk):
            pass

    def steps(self, chunk: Chunk) -> Iterator[None]:
        """Decides every record of a chunk that was taken, and yields after each SLICE_SECONDS: one record of a log may have thousands of
        timers to settle before it, and heartbeats must not wait for them. It is gone through to its end before the next chunk begins."""
        started = time.perf_counter()
        self._turn = started + SLICE_SECONDS
        table = self._table
        part: Part = {} if table is None else table.parts[chunk.tp.partition]
        wheel = None if table is None else table.wheels.get(chunk.tp.partition)
        work = Working(part, wheel)
        outputs: Said = []
        for record in chunk.records:
            settled: AbstractSet[bytes] = NONE
            if self._log_time and wheel is not None:
                settled = yield from self._paced(self._log_time.before(record, part, work, wheel, outputs))
            self._one(record, work, outputs, settled)
            if time.perf_counter() > self._turn:
                yield
                self._turn = time.perf_counter() + SLICE_SECONDS
        if table is not None and table.parts.get(chunk.tp.partition) is not part:
            return  # taken from us meanwhile, or restored anew: it is decided again, by whoever has it now
        changes = [] if table is None else work.changes()
        part.update(changes)
        if wheel is not None:
            wheel.passed = chunk.end
            wheel.tidy()
        self._metrics.chunk(chunk, time.perf_counter() - started)
        self._metrics.tally(self._answers)
        self._answers.clear()
        self._ship(chunk, changes, outputs)

    def _paced(self, settling: Generator[None, None, AbstractSet[bytes]]) -> Generator[None, None, AbstractSet[bytes]]:
        """Yields now and then what the settling yields after each key."""
        while True:
            try:
                next(settling)
            except StopIteration as end:
                found: AbstractSet[bytes] = end.value
                return found
            if time.perf_counter() > self._turn:
                yield
                self._turn = time.perf_counter() + SLICE_SECONDS

    def _one(self, record: ConsumerRecord, work: Working, outputs: Said, settled: AbstractSet[bytes]) -> None:
        """`settled`: keys whose version is this record's already, though it was not applied to them."""
        key, offset = record.key or b"", record.offset
        source = Source(record.topic, record.partition, offset)
        held = work.get(key) if self._processor.has_outbox else NOTHING
        if self._processor.has_outbox and key not in settled and self._said_before(record, held, work, outputs):
            return
        try:
            src = src_of(record.headers) if self._use_marks and self._table is not None else None
        except ValueError as error:  # not from our engine: any client may write headers
            state, flags = held.state, held.flags
            sent = self._dead(record, source, state, Reason.BAD_VALUE, f"header src: {error}")
        else:
            if src and self._seen(src, offset, work):
                self._metrics.dropped.inc()
                return
            state, flags, sent = self.decide(record, source, held)
        outputs += sent
        if self._processor.has_outbox:
            entries = [pack_output(output) for _, output in sent]
            if state or flags:
                due = self.next_due(held, flags, state)
                work.put(key, offset, flags, state, entries, due)
                if due != held.due and 0 < held.due <= record.timestamp and not self._log_time:
                    self._metrics.settled(held.due)
            else:  # its version must not fall when a replay decides again what said nothing: others' outboxes stand there
                work.put(LOOSE, max(offset, work.get(LOOSE).version), 0, b"", entries)

    def _said_before(self, record: ConsumerRecord, held: Value, work: Working, outputs: Said) -> bool:
        """A replay after a crash: the state already holds this record; what it caused is sent again as it was."""
        offset = record.offset
        holders = [value for value in (held, work.get(LOOSE)) if value.version >= offset]  # it may have been loose, and its key held later
        if not holders:
            return False
        again = [output for value in holders for output in unpack_outputs(value.outbox) if output.offset == offset]
        again = [output for output in again if not is_settlement(output)]
        if not again and holders[0] is not held:
            return False
        outputs += [(self.target(record, output.key), output) for output in again]
        self._metrics.replayed.inc()
        return True

    def _seen(self, src: Src, offset: int, work: Working) -> bool:
        """Whether the mark of the source partition is at or above this record; else it moves up."""
        key = MARK + f"{src.topic}:{src.partition}".encode()
        at = src.offset << 8 | src.position
        held = work.get(key)
        if held.state and at <= int.from_bytes(held.state, "big"):
            return True
        work.put(key, offset, 0, at.to_bytes(9, "big"), ())
        return False

    def next_due(self, held: Value, flags: int, state: bytes) -> int:
        """When the state after wants to be woken, 0: never. A quarantined case is not woken."""
        if self._timed is None or flags & QUARANTINED or not state:
            return 0
        if state is held.state and not held.flags:
            return held.due
        return self._timed.next_due(state) or 0

    def decide(self, record: ConsumerRecord, source: Source, held: Value) -> tuple[bytes, int, Said]:
        """(state after, flags, what to say) of a record, whatever it holds."""
        if held.flags & QUARANTINED and not any(name == REPLAYED for name, _ in record.headers):
            return held.state, held.flags, self._dead(record, source, held.state, Reason.QUARANTINED, "the case is quarantined")
        for attempt in range(1, ATTEMPTS + 1):
            try:
                state, emits = self._processor.process(record, source, held.state)
                if not held.state and self._processor.has_outbox:
                    self._check_place(record)
                return state, 0, [self._output(record, source, emit) for emit in emits]
            except InvalidPayload as error:
                if isinstance(error, UnknownSchema) and _written_by_us(record, error):
                    die(Exit.TOO_OLD, f"{source}: {error}")
                return held.state, held.flags, self._dead(record, source, held.state, error.reason, error.detail)
            except UnknownPolicy as error:
                die(Exit.TOO_OLD, f"{source}: {error}")
            except Exception as error:
                log.exception("decide crashed (attempt %d) on %s", attempt, source)
                crash = f"{type(error).__name__}: {error}"
        self._metrics.quarantined.inc()
        return held.state, QUARANTINED, self._dead(record, source, held.state, Reason.DECIDE_CRASHED, crash)

    def _check_place(self, record: ConsumerRecord) -> None:
        """A key in a partition that is not its own would get a second state there. InvalidPayload."""
        place = self._place_of(record.key)
        if place != record.partition:
            raise InvalidPayload(Reason.BAD_KEY, f"the key belongs to partition {place}")

    def _dead(self, record: ConsumerRecord, source: Source, state: bytes, reason: Reason, detail: str) -> Said:
        self._metrics.buried(reason.value)
        realm = realm_of(record.topic)
        letter = DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            realm=realm.value,
            key=record.key,
            value=record.value,
            reason=reason.value,
            detail=detail[:500],
            code_version=self._version,
            lane=self._lane,
            received_at=record.timestamp,
            src_topic=source.topic,
            src_partition=source.partition,
            src_offset=source.offset,
            src_position=2,
        )
        letter_key = (record.key or b"").decode("utf-8", "replace")[:KEY_CHARACTERS]
        emits = (Emit(DEAD_LETTERS, realm.value, letter_key, letter, 2), *self._processor.bury(record, source, state, reason))
        return [self._output(record, source, emit) for emit in emits]

    def _output(self, record: ConsumerRecord, source: Source, emit: Emit) -> tuple[int, Output]:
        kind = type(emit.record)
        if isinstance(emit.record, Outcome):
            self._answers[emit.record.outcome, emit.record.reason] += 1
        writer = self._codecs.get(kind)
        if writer is None:
            writer = self._codecs[kind] = codec(kind)
        src = mark(*source, emit.position)
        headers: Headers = [(SRC, src), ("ce_id", src), *self._cloud_event(writer.name)]
        if record.headers:
            headers += [header for header in record.headers if header[0] == TRACE and header[1] and len(header[1]) <= TRACE_BYTES][:1]
        topic = self._topics.get((emit.topic.name, emit.realm)) or self._topic(emit)
        output = Output(record.offset, record.timestamp, topic, emit.key.encode(), writer.encode(emit.record), headers)
        return self.target(record, output.key), output

    def _topic(self, emit: Emit) -> str:
        """Its topic at the broker."""
        name = self._topics[emit.topic.name, emit.realm] = emit.topic.in_realm(Realm(emit.realm))
        return name

    def _cloud_event(self, name: str) -> Headers:
        """The CloudEvents attributes that all records of a type share."""
        found = self._attributes.get(name)
        if found is None:
            kind, lane = f"liandong.{name}".encode(), f"/liandong/{self._lane}".encode()
            found = self._attributes[name] = [("ce_specversion", b"1.0"), ("ce_type", kind), ("ce_source", lane)]
        return found

    def target(self, record: ConsumerRecord, key: bytes | None) -> int:
        """The partition of an output: the input's own, but for what a co-partitioned lane sends to another key."""
        if self._processor.co_partitioned and (key or b"") == (record.key or b""):
            return int(record.partition)
        return self._place_of(key)

    def _place_of(self, key: bytes | None) -> int:
        """The partition that every client gives the key."""
        return partition_of(key or b"", self._partitions)


def _written_by_us(record: ConsumerRecord, error: UnknownSchema) -> bool:
    """Whether a lane of a later release wrote what has this schema: the state, or the record. A record of ours that is passed over is
    lost, for marks go beyond it; one from outside can be sent again (`liandong dlq replay`)."""
    of_record = record.value is not None and record.value[1:5] == error.schema_id.to_bytes(4, "big")
    return not of_record or derived(record.headers)
