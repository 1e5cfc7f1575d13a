"""Kafka's side of reconciliation: commands and intake records that it holds now, each at the place where it was first written.

A copy of a repartitioning (services/repartition) stands for the record of the old log: the ledger of acknowledgements, outcomes and facts
of that time name places of that log. So what is counted is a place (log, partition, offset), log "" for today's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Any

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import Codec, codec
from schemas.errors import InvalidPayload
from schemas.headers import WAKE
from schemas.realms import Realm
from schemas.topics import ALARM, INCIDENT, INTAKE, LOG, CaseKind
from services.adapters.topic_log import Ends, Log, topics_like
from services.repartition.labels import origin_of, source_before
from services.warehouse.accounts import WRAP, row_hash

Progress = Callable[[str], None]
Place = tuple[str, int, int]  # topic with its log, partition, offset
Part = tuple[str, int]  # log ("" for today's) and partition of one kind's commands
Intake = dict[tuple[str, int], Collection[int]]  # offsets by topic, with its log, and partition


@dataclass(slots=True)
class Commands:
    """What Kafka holds of one partition of commands. Repeats of the relay (its mark was there) and wake-ups are no commands."""

    low: int
    high: int
    ids: dict[int, str] = field(default_factory=dict)  # command id by offset, "" when unreadable
    relayed: dict[int, Place] = field(default_factory=dict)  # intake record by offset
    repeats: int = 0

    def hash(self, without: set[int]) -> int:
        return sum(row_hash(command, offset) for offset, command in self.ids.items() if offset not in without) % WRAP

    def forget_below(self, offset: int) -> None:
        self.low = max(self.low, offset)
        self.ids = {at: command for at, command in self.ids.items() if at >= self.low}
        self.relayed = {at: place for at, place in self.relayed.items() if at >= self.low}


class Kafka:
    """One realm's commands of one kind on one cluster; departments' intake becomes incidents. `commands` and `intake` hold what stood there
    when `read` was called, and what `go_on` added. CannotLook and KafkaError when it is away."""

    def __init__(self, realm: Realm, kind: CaseKind, bootstrap: str, progress: Progress) -> None:
        self.commands: dict[Part, Commands] = {}
        self.intake: Intake = {}
        self._realm = realm
        self._kind = kind
        self._bootstrap = bootstrap
        self._progress = progress
        self._log = Log(bootstrap, kind.commands.in_realm(realm))
        self._marks: dict[tuple[Part, int], dict[str, tuple[int, int]]] = defaultdict(dict)
        self._firsts: dict[Part, dict[int, int]] = defaultdict(dict)  # first place that each partition of today holds of an older one

    async def read(self) -> None:
        """All intake records, then all commands: what is relayed meanwhile is then among them."""
        if self._kind is INCIDENT:
            for topic in await topics_like(self._bootstrap, INTAKE.in_realm(self._realm, "")):
                await self._read_intake(topic)
        await self._log.open()
        self.commands = {("", partition): Commands(low, low) for partition, low in self._log.begin.items()}
        await self.go_on()
        _forget_torn(self.commands, self._firsts, self._log.begin)

    async def go_on(self) -> None:
        """Commands that were appended since; intake stays what it was."""
        ends = await self._log.ends()
        for partition, end in ends.items():
            self.commands["", partition].high = end
        await self._log.read_to(ends, self._take, self._say)

    async def ends(self) -> Ends:
        """Of today's commands, as they are now."""
        return await self._log.ends()

    async def close(self) -> None:
        await self._log.close()

    async def _read_intake(self, topic: str) -> None:
        """Copies come first in a partition, so reading ends at the first record that is none."""
        log = await Log(self._bootstrap, topic).open()
        copies: dict[tuple[str, int], set[int]] = defaultdict(set)

        def take(partition: int, records: Sequence[Any]) -> bool:
            for record in records:
                origin = origin_of(record.headers)
                self.intake[topic, partition] = range(record.offset + bool(origin), ends[partition])
                if origin is None:
                    return False
                copies[origin[:2]].add(origin[2])
            return True

        try:
            ends = await log.ends()
            self.intake |= {(topic, partition): range(low, ends[partition]) for partition, low in log.begin.items()}
            await log.read_to(ends, take)
        finally:
            await log.close()
        self.intake |= copies

    def _take(self, partition: int, records: Sequence[Any]) -> None:
        for record in records:
            part, offset = _part(partition, record)
            if part[0]:
                self._firsts[part].setdefault(partition, offset)
                commands = self.commands.setdefault(part, Commands(offset, offset + 1))
                commands.low, commands.high = min(commands.low, offset), max(commands.high, offset + 1)
            _note(self.commands[part], self._marks[part, partition], record, offset, self._kind)

    def _say(self, read: int, total: int) -> None:
        self._progress(f"{self._realm}: read {read} of {total} {self._kind.name} commands in Kafka")


def _forget_torn(found: dict[Part, Commands], firsts: dict[Part, dict[int, int]], lows: Ends) -> None:
    """Where today's log has deleted copies by age, only what all partitions still hold of an older one counts. Keys of old partition p
    stand in partition q only if p = q modulo the greatest common divisor of both counts."""
    for (log, number), held in firsts.items():
        step = gcd(max(part[1] for part in firsts if part[0] == log) + 1, len(lows))
        for partition, low in lows.items():
            if low and (number - partition) % step == 0:
                commands = found[log, number]
                commands.forget_below(held.get(partition, commands.high))


CODECS: dict[CaseKind, Codec[Any]] = {INCIDENT: codec(IncidentCommand), ALARM: codec(AlarmCommand)}
ID_LENGTH = 36
ID_FRAME = 2 * ID_LENGTH  # Avro's length of a uuid, zig-zag


def command_id_of(value: bytes | None, kind: CaseKind) -> str:
    """The first field of a command, without decoding the others; "" when unreadable."""
    reader = CODECS[kind]
    if value and len(value) > 6 + ID_LENGTH and value[5] == ID_FRAME and value[1:5] == reader.schema_id.to_bytes(4, "big"):
        return value[6 : 6 + ID_LENGTH].decode("ascii", "replace")
    try:
        return str(reader.decode(value).command_id)
    except InvalidPayload:
        return ""


def _part(partition: int, record: Any) -> tuple[Part, int]:
    """The place that counts."""
    origin = origin_of(record.headers)
    if origin is None:
        return ("", partition), record.offset
    topic, partition, offset = origin
    return (topic.partition(LOG)[0], partition), offset


def _note(found: Commands, marks: dict[str, tuple[int, int]], record: Any, offset: int, kind: CaseKind) -> None:
    if any(name == WAKE for name, _ in record.headers):
        return  # nobody's command: a lane tells a case to look at its deadlines, and there is no answer
    try:
        derived = source_before(record.headers)
    except ValueError:  # a header that is none of ours: the lane has made the record a dead letter
        derived = None
    if derived:
        source, place = derived
        if place <= marks.get(source, (-1, -1)):
            found.repeats += 1
            return
        marks[source] = place
        topic, _, partition = source.rpartition(":")
        found.relayed[offset] = (topic, int(partition), place[0])
    found.ids[offset] = command_id_of(record.value, kind)
