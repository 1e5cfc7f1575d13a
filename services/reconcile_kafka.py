"""Kafka's side of reconciliation: commands and intake records that it holds now, each at the place where it was first written.

A copy of a repartitioning (services/repartition) stands for the record of the old log: the ledger of acknowledgements, outcomes and facts
of that time name places of that log. So what is counted is a place (log, partition, offset), log "" for today's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from math import gcd
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import Codec, codec
from schemas.errors import InvalidPayload
from schemas.headers import WAKE
from schemas.realms import Realm
from schemas.topics import ALARM, INCIDENT, INTAKE, LOG, CaseKind
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
    """One realm's commands of one kind on one cluster; departments' intake becomes incidents. KafkaError when it is away."""

    def __init__(self, realm: Realm, kind: CaseKind, bootstrap: str, progress: Progress) -> None:
        self._realm = realm
        self._kind = kind
        self._topic = kind.commands.in_realm(realm)
        self._bootstrap = bootstrap
        self._progress = progress

    async def read(self) -> tuple[dict[Part, Commands], Intake]:
        """All commands, and all intake records."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            partitions = await self._partitions()
            places = [tp for tp in partitions if tp.topic != self._topic]
            # intake first: what is relayed meanwhile is then among the commands
            intake = await self._intake(consumer, places)
            return await self._commands(consumer, [tp for tp in partitions if tp.topic == self._topic]), intake
        finally:
            await consumer.stop()

    async def _partitions(self) -> list[TopicPartition]:
        """Every partition of the topics commands come by."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            intake = INTAKE.in_realm(self._realm, "") if self._kind is INCIDENT else None
            there = await admin.list_topics()
            found = await admin.describe_topics([name for name in there if name == self._topic or (intake and name.startswith(intake))])
        finally:
            await admin.close()
        return sorted(TopicPartition(topic["topic"], part["partition"]) for topic in found for part in topic["partitions"])

    async def _intake(self, consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> Intake:
        """Copies come first in a partition, so reading ends at the first record that is none."""
        lows, highs = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        found: Intake = {(tp.topic, tp.partition): range(lows[tp], highs[tp]) for tp in places}
        copies: dict[tuple[str, int], set[int]] = defaultdict(set)

        def note(tp: TopicPartition, record: Any) -> bool:
            origin = origin_of(record.headers)
            if origin:
                copies[origin[:2]].add(origin[2])
            found[tp.topic, tp.partition] = range(record.offset + bool(origin), highs[tp])
            return origin is not None

        await self._each(consumer, lows, highs, note)
        return found | copies

    async def _commands(self, consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> dict[Part, Commands]:
        lows, highs = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        found = {("", tp.partition): Commands(lows[tp], highs[tp]) for tp in places}
        marks: dict[tuple[Part, int], dict[str, tuple[int, int]]] = defaultdict(dict)
        firsts: dict[Part, dict[int, int]] = defaultdict(dict)  # first place that each partition of today holds of an older one
        total, read = sum(highs[tp] - lows[tp] for tp in places), 0

        def note(tp: TopicPartition, record: Any) -> bool:
            nonlocal read
            part, offset = _part(tp, record)
            if part[0]:
                firsts[part].setdefault(tp.partition, offset)
                commands = found.setdefault(part, Commands(offset, offset + 1))
                commands.low, commands.high = min(commands.low, offset), max(commands.high, offset + 1)
            _note(found[part], marks[part, tp.partition], record, offset, self._kind)
            read += 1
            if read % 5000 == 0 or read == total:
                self._progress(f"{self._realm}: read {read} of {total} {self._kind.name} commands in Kafka")
            return True

        await self._each(consumer, lows, highs, note)
        _forget_torn(found, firsts, {tp.partition: lows[tp] for tp in places})
        return found

    @staticmethod
    async def _each(consumer: AIOKafkaConsumer, lows: Any, highs: Any, note: Callable[[TopicPartition, Any], bool]) -> None:
        """Reads every partition till its end or till `note` answers False."""
        left = {tp for tp in lows if highs[tp] > lows[tp]}
        consumer.assign(list(left))
        for tp in left:
            consumer.seek(tp, lows[tp])
        while left:
            batches: dict[Any, list[Any]] = await consumer.getmany(timeout_ms=1000, max_records=5000)
            for tp, records in batches.items():
                more = tp in left
                for record in records:
                    more = more and record.offset < highs[tp] and note(tp, record)
                if tp in left and (not more or records[-1].offset + 1 >= highs[tp]):
                    left.discard(tp)
                    consumer.pause(tp)


def _forget_torn(found: dict[Part, Commands], firsts: dict[Part, dict[int, int]], lows: dict[int, int]) -> None:
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


def _part(tp: TopicPartition, record: Any) -> tuple[Part, int]:
    """The place that counts."""
    origin = origin_of(record.headers)
    if origin is None:
        return ("", tp.partition), record.offset
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
