"""Presses at a steady rate beside whatever else happens, and their judge: was each answered and paged once, and how soon."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas import ids
from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.state.alarm_case.event import AlarmCase
from streams.domain.alarm.decide import decide
from streams.domain.core import Source
from tests.chaos.oracle import OUTCOMES, Reader
from tests.chaos.rig import Rig

COMMANDS, EVENTS, PAGES = "alarm.commands", "alarm.events", "notifications"
GROUP = "liandong.live.alarm"


def press(number: int, at: int, seed: str = "") -> AlarmCommand:
    """The press of terminal `number` at `at` (UTC milliseconds); each terminal is one line."""
    case_id = ids.alarm_id("live", "terminals", f"device:{seed}{number}")
    values: dict[str, Any] = dict.fromkeys(AlarmCommand.__struct_fields__, "")
    values |= {
        "command_id": ids.command_id("live", "terminals", f"{seed}{number}"), "case_id": case_id, "name": "press", "realm": "live",
        "expected_seq": -1, "division": "440507", "alarm_class": "unclear", "device": str(number), "actor_role": "device",
        "actor_division": "440507", "occurred_at": at, "occurred_offset": 480, "received_at": 0, "cause": "fact",
        "producer": "terminals", "src_partition": -1, "src_offset": -1, "src_position": -1, "round": 0, "step": 0,
    }  # fmt: skip
    return AlarmCommand(**values)


@dataclass
class Latency:
    """Milliseconds."""

    p50: float
    p99: float
    worst: float
    count: int

    @classmethod
    def of(cls, values: list[float]) -> Latency:
        ordered = sorted(values)
        return cls(ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], ordered[-1], len(ordered))

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f} ms, p99 {self.p99:.0f} ms, worst {self.worst:.0f} ms of {self.count}"


@dataclass
class Pressed:
    """One press: when it was due (wall clock, ms), and where and when the broker appended it."""

    due: float
    partition: int
    offset: int
    appended: int


@dataclass
class Presses:
    """Open loop: each press goes out when it is due, whatever became of the ones before."""

    rig: Rig
    seed: str
    made: list[Pressed] = field(default_factory=list)
    failed: int = 0

    def run(self, count: int, per_second: float) -> Presses:
        asyncio.run(self._run(count, per_second))
        return self

    def background(self, count: int, per_second: float) -> threading.Thread:
        thread = threading.Thread(target=self.run, args=(count, per_second), daemon=True)
        thread.start()
        return thread

    async def _run(self, count: int, per_second: float) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.rig.direct, enable_idempotence=True, request_timeout_ms=60_000)
        await producer.start()
        try:
            began = time.time() + 0.2
            async with asyncio.TaskGroup() as group:
                for number in range(count):
                    due = began + number / per_second
                    await asyncio.sleep(max(0.0, due - time.time()))
                    group.create_task(self._one(producer, number, due * 1000))
        finally:
            await producer.stop()

    async def _one(self, producer: AIOKafkaProducer, number: int, due: float) -> None:
        one = press(number, int(due), self.seed)
        try:
            found = await producer.send_and_wait(COMMANDS, codec(AlarmCommand).encode(one), key=one.case_id.encode())
        except KafkaError:
            self.failed += 1
        else:
            self.made.append(Pressed(due, found.partition, found.offset, found.timestamp))


class Judge:
    """All of the alarm lane's topics, read once, against a fold of its commands with the pure core."""

    def __init__(self, rig: Rig) -> None:
        self.breaks = 0  # events, outcomes and pages that are missing, unexpected, doubled or of other bytes
        self.repeats = 0  # said again after a fault, and dropped by every reader
        self.paged: dict[tuple[int, int], int] = {}  # append time of the page record, ms, by place of the press
        self.there: set[tuple[int, int]] = set()
        wanted: Counter[tuple[str, Any]] = Counter()
        states: dict[str, AlarmCase] = {}
        for record in rig.read(COMMANDS):
            self.there.add((record.partition, record.offset))
            one = codec(AlarmCommand).decode(record.value)
            decision = decide(states.get(one.case_id), one, Source(record.topic, record.partition, record.offset), record.timestamp)
            if decision.state:
                states[one.case_id] = decision.state
            wanted.update((emit.topic.name, codec(type(emit.record)).encode(emit.record)) for emit in decision.emits)
        for topic in (EVENTS, OUTCOMES, PAGES):
            reader = Reader()
            kept = reader.keep([r for r in rig.read(topic) if topic != OUTCOMES or codec(Outcome).decode(r.value).src_topic == COMMANDS])
            wanted.subtract((topic, record.value) for _, record in kept)
            self.breaks += reader.conflicts
            self.repeats += reader.repeats
            if topic == PAGES:
                first = {(n.src_partition, n.src_offset): r.timestamp for _, r in kept for n in [codec(Notification).decode(r.value)]}
                self.paged |= first
        self.breaks += sum(abs(count) for count in wanted.values())

    def missing(self, presses: Presses) -> int:
        """Acknowledged presses that are not in the topic or have no page."""
        places = {(one.partition, one.offset) for one in presses.made}
        return len(places - self.there) + len(places - self.paged.keys())

    def append_to_page(self, presses: Presses) -> Latency:
        """From the broker's append of the press to its append of the page record."""
        return Latency.of([self.paged[one.partition, one.offset] - one.appended for one in presses.made])

    def due_to_page(self, presses: Presses) -> Latency:
        """From when the press was due, so the wait before the broker counts too."""
        return Latency.of([self.paged[one.partition, one.offset] - one.due for one in presses.made])
