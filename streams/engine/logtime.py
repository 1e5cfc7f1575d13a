"""Realms on log time: timers are settled by the record time of their partition. What holds, and why, stands in engine/wheel.py."""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol

import msgspec
from aiokafka import ConsumerRecord

from schemas.headers import SRC, WAKE
from schemas.topics import realm_of
from streams.domain.core import Source
from streams.engine.source import Src, src_of
from streams.engine.value import Output, Part, Value, outbox_at, pack_output, unpack_outputs
from streams.engine.wheel import Timed, Wheel
from streams.engine.working import Working

LINE = ".timers"  # after the input topic's name: the source line of settlements
PLACE_BITS = 24  # settlements between two records of a partition
Said = list[tuple[int, Output]]  # partition and record
Settling = Generator[None, None, AbstractSet[bytes]]


class Stored(NamedTuple):
    """A settlement that said something, as an outbox has it."""

    place: int
    due: int
    key: bytes
    outputs: list[Output]


Told = dict[int, list[Stored]]  # by the offset of the record it came before


class Decider(Protocol):
    """The runner."""

    def decide(self, record: ConsumerRecord, source: Source, held: Value) -> tuple[bytes, int, Said]: ...
    def next_due(self, held: Value, flags: int, state: bytes) -> int: ...
    def target(self, record: ConsumerRecord, key: bytes | None) -> int: ...


class LogTime:
    """Settles, before a record, what is due by its time."""

    def __init__(self, timed: Timed, decider: Decider) -> None:
        self._timed = timed
        self._decider = decider

    def before(self, record: ConsumerRecord, part: Part, work: Working, wheel: Wheel, outputs: Said) -> Settling:
        """Adds what is said to `outputs`; answers the keys that were settled now, and yields after each, so that others have a turn.
        `part`: the table as it was before the chunk."""
        if wheel.told is None:
            wheel.told = _told(part)
        stored = wheel.told.pop(record.offset, [])
        place = record.offset << PLACE_BITS
        settled: set[bytes] = set()
        stuck: set[bytes] = set()
        aside = []
        while (found := wheel.pop(record.timestamp)) is not None:
            due, key = found
            held = work.get(key)
            if held.due != due:
                continue
            if key in stuck or (held.version >= record.offset and key not in settled):
                aside.append(found)
                continue
            while stored and (stored[0].due, stored[0].key) < found:
                place = self._again(record, stored.pop(0), place, outputs)
            settled.add(key)
            place += self._settle(record, found, place, held, work, outputs)
            yield
            if 0 < work.get(key).due <= due:  # it will not go: the next record tries again
                stuck.add(key)
                aside.append((work.get(key).due, key))
        for one in stored:
            place = self._again(record, one, place, outputs)
        for due, key in aside:
            wheel.push(due, key)
        return settled

    def _settle(self, record: ConsumerRecord, found: tuple[int, bytes], place: int, held: Value, work: Working, outputs: Said) -> bool:
        """One key, as if a wake-up had come at its due time; whether it said something."""
        due, key = found
        value = self._timed.wake(key, due, realm_of(record.topic))
        headers = [(WAKE, b"%d" % due)]
        wake = ConsumerRecord(
            record.topic, record.partition, record.offset, due, record.timestamp_type, key, value, None, len(key), len(value), headers
        )
        state, flags, sent = self._decider.decide(wake, Source(record.topic + LINE, record.partition, place), held)
        entries = [pack_output(output) for _, output in sent]
        work.put(key, record.offset, flags, state, entries, self._decider.next_due(held, flags, state))
        outputs += sent
        return bool(sent)

    def _again(self, record: ConsumerRecord, stored: Stored, place: int, outputs: Said) -> int:
        """Says a stored settlement; answers the next place. At its own place, unless a later release has said more before it."""
        for output in stored.outputs:
            sent = output if stored.place >= place else _moved(output, place)
            outputs.append((self._decider.target(record, sent.key), sent))
        return max(place, stored.place) + 1


def is_settlement(output: Output) -> bool:
    src = src_of(output.headers)
    return src is not None and src.topic.endswith(LINE)


def _told(part: Part) -> Told:
    """Every settlement that the outboxes hold: after a restore, those that may not have been said."""
    found: dict[int, dict[int, Stored]] = {}
    for key, raw in part.items():
        at = outbox_at(raw)
        for output in unpack_outputs(raw[at:]) if len(raw) > at else ():
            src = src_of(output.headers)
            if src is not None and src.topic.endswith(LINE):
                stored = Stored(src.offset, output.timestamp, key, [])
                found.setdefault(output.offset, {}).setdefault(src.offset, stored).outputs.append(output)
    return {offset: [places[place] for place in sorted(places)] for offset, places in found.items()}


def _moved(output: Output, place: int) -> Output:
    src = src_of(output.headers)
    assert src is not None
    text = Src(src.topic, src.partition, place, src.position).header()[1]
    return msgspec.structs.replace(output, headers=[(name, text if name in (SRC, "ce_id") else value) for name, value in output.headers])
