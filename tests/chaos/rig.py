"""The rig of the worker fault tests: a broker, workers that die, a ledger of acknowledged commands, and the oracle.

The oracle knows the ledger and the topics only. Its judge folds the commands topic with the pure core, without faults,
and says what every topic must hold after the readers' own rule (drop what is not above the src mark) was applied.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas import ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.live_delta.event import LiveDelta
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.state.incident_case.event import IncidentCase
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from services.settings import as_environment, load
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.engine.source import src_of
from streams.engine.value import unpack, version_of
from tests.helpers import until

PARTITIONS = 4
COMMANDS, EVENTS, OUTCOMES, DELTAS, CHANGELOG = "incident.commands", "incident.events", "outcomes", "live.deltas", "case-table-changelog"
STEPS = ("capture", "accept", "triage", "assign", "sign", "report", "verify_ok")


def command(case: int, step: int, seed: int = 0) -> IncidentCommand:
    """Command number `step` of case number `case`: the seven links in order."""
    case_id = ids.case_id("live", "ledger", f"{seed}-{case}")
    values: dict[str, Any] = dict.fromkeys(IncidentCommand.__struct_fields__, "")
    values |= {
        "command_id": ids.command_id("live", "ledger", f"{seed}-{case}-{step}"), "case_id": case_id, "name": STEPS[step % len(STEPS)],
        "realm": "live", "expected_seq": -1, "division": "440305", "incident_type": "A20600", "actor_person": f"person-{step}",
        "actor_division": "440000", "occurred_at": 1_790_000_000_000, "occurred_offset": 480, "received_at": 0, "cause": "user",
        "producer": "ledger", "source_version": 0, "reassignments": -1, "reopens": -1, "grade": 0, "org": "org", "reason": "r",
        "evidence": True, "src_partition": -1, "src_offset": -1, "src_position": -1,
    }  # fmt: skip
    return IncidentCommand(**values)


class Ledger:
    """What was acknowledged by the broker, written through to disk before it counts."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self.acked: list[tuple[int, int, str]] = []

    def note(self, partition: int, offset: int, command_id: str) -> None:
        self._file.write(f"{partition} {offset} {command_id}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.acked.append((partition, offset, command_id))


@dataclass
class Rig:
    broker: Broker
    home: Path
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ledger: Ledger = field(init=False)
    exits: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.home / "ledger.txt")
        asyncio.run(ensure_topics(self.broker.bootstrap, ("live",), PARTITIONS, ("demo",)))

    # -- processes

    def start(self, name: str, *controls: str, failpoint: str = "", tag: str = "") -> subprocess.Popen[bytes]:
        """Starts worker `name`; several of one lane by different tags."""
        key = name + tag
        home = self.home / (tag or "first")
        home.mkdir(exist_ok=True)
        (home / "run" / f"{name}.json").unlink(missing_ok=True)
        armed = f"{name}={failpoint}" if failpoint else ""
        given = load(home, bootstrap=self.broker.bootstrap, realms="live", partitions=PARTITIONS, failpoint=armed)
        with (self.home / f"{key}.log").open("ab") as log:
            arguments = [sys.executable, "-m", "tests.chaos.worker", name, *controls]
            self.workers[key] = subprocess.Popen(arguments, env=os.environ | as_environment(given), stdout=log, stderr=log)
        return self.workers[key]

    def ready(self, name: str, tag: str = "") -> None:
        note = self.home / (tag or "first") / "run" / f"{name}.json"
        until(note.exists, f"{name + tag} ready", 40)

    def ended(self, key: str, seconds: float = 30) -> int:
        """Waits for the end of a worker and answers its exit code (negative: the signal)."""
        code = self.workers[key].wait(seconds)
        self.exits[code] += 1
        return code

    def signal(self, key: str, number: signal.Signals) -> None:
        self.workers[key].send_signal(number)

    def stop(self) -> None:
        for worker in self.workers.values():
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.terminate()
        for worker in self.workers.values():
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    # -- load

    def send(self, cases: int, steps: int = 4, first: int = 0, pause: float = 0.0, from_step: int = 0) -> None:
        """Sends commands of `cases` cases, step by step over all of them, and notes each acknowledgement."""
        asyncio.run(self._send(range(first, first + cases), range(from_step, from_step + steps), pause))

    async def _send(self, cases: range, steps: range, pause: float) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap, enable_idempotence=True, request_timeout_ms=60_000)
        await producer.start()
        writer = codec(IncidentCommand)
        try:
            for step in steps:
                for start in range(0, len(cases), 50):
                    made = [command(case, step) for case in cases[start : start + 50]]
                    sent = [(one, await producer.send(COMMANDS, writer.encode(one), key=one.case_id.encode())) for one in made]
                    for one, future in sent:
                        metadata = await future
                        self.ledger.note(metadata.partition, metadata.offset, one.command_id)
                    await asyncio.sleep(pause)
        finally:
            await producer.stop()

    # -- what came of it

    def drained(self, group: str = "liandong.live.case", topic: str = COMMANDS, seconds: float = 60) -> None:
        """Waits till the group has committed the ends of its input."""
        until(lambda: asyncio.run(self._lag(group, topic)) == 0, f"{group} at lag 0", seconds, every=0.2)

    async def _lag(self, group: str, topic: str) -> int:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        await admin.start()
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.bootstrap)
        await consumer.start()
        try:
            committed = await admin.list_consumer_group_offsets(group)
            ends = await consumer.end_offsets([TopicPartition(topic, p) for p in range(PARTITIONS)])
            return sum(end - max(0, committed[tp].offset if tp in committed else 0) for tp, end in ends.items())
        finally:
            await consumer.stop()
            await admin.close()

    def read(self, topic: str) -> list[ConsumerRecord]:
        """Every record of a topic, partition by partition."""
        return asyncio.run(self._read(topic))

    async def _read(self, topic: str) -> list[ConsumerRecord]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            tps = [TopicPartition(topic, p) for p in range(PARTITIONS)]
            consumer.assign(tps)
            ends = await consumer.end_offsets(tps)
            await consumer.seek_to_beginning(*tps)
            found: list[ConsumerRecord] = []
            deadline = time.monotonic() + 60
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
                assert time.monotonic() < deadline, f"{topic} could not be read"
            return sorted(found, key=lambda r: (r.partition, r.offset))
        finally:
            await consumer.stop()


def deduplicated(records: list[ConsumerRecord]) -> tuple[list[ConsumerRecord], int, int]:
    """The reader's rule: (kept, repeats dropped, repeats whose bytes differ from the copy that was kept)."""
    kept: list[ConsumerRecord] = []
    marks: dict[tuple[int, str, int], tuple[int, int]] = {}
    first: dict[tuple[Any, ...], bytes] = {}
    conflicts = 0
    for record in records:
        src = src_of(record.headers)
        assert src is not None
        if first.setdefault(tuple(src), record.value) != record.value:
            conflicts += 1
        reader = (record.partition, src.topic, src.partition)
        if (src.offset, src.position) > marks.get(reader, (-1, -1)):
            marks[reader] = (src.offset, src.position)
            kept.append(record)
    return kept, len(records) - len(kept), conflicts


@dataclass
class Verdict:
    """Counts of what must be zero, and of what happened on the way."""

    acknowledged: int = 0
    missing_commands: int = 0  # acknowledged, not in the topic
    missing_events: int = 0
    unexpected_events: int = 0
    missing_outcomes: int = 0
    unexpected_outcomes: int = 0
    missing_deltas: int = 0
    unexpected_deltas: int = 0
    conflicts: int = 0  # copies of one record with different bytes
    states_wrong: int = 0
    states_against_events: int = 0  # a state that says other than the last event of its case
    repeats: int = 0

    @property
    def broken(self) -> dict[str, int]:
        return {name: count for name, count in vars(self).items() if count and name not in ("acknowledged", "repeats")}


def judge(rig: Rig, deltas: bool = False, versions: bool = True) -> Verdict:
    """`versions` False: a release changed under way, so what was decided may differ in the policy version only."""
    verdict = Verdict(acknowledged=len(rig.ledger.acked))
    commands = rig.read(COMMANDS)
    there = {(r.partition, r.offset) for r in commands}
    verdict.missing_commands = sum((partition, offset) not in there for partition, offset, _ in rig.ledger.acked)
    reader, states = codec(IncidentCommand), dict[str, IncidentCase]()
    events, outcomes = set[tuple[Any, ...]](), set[tuple[Any, ...]]()
    for record in commands:
        one = reader.decode(record.value)
        decision = decide(states.get(one.case_id), one, Source(record.topic, record.partition, record.offset), record.timestamp)
        if decision.state:
            states[one.case_id] = decision.state
        for emit in decision.emits:
            (outcomes if isinstance(emit.record, Outcome) else events).add(_facts(emit.record, versions))
    last = _compare(rig, EVENTS, IncidentEvent, events, versions, verdict, "events")
    _compare(rig, OUTCOMES, Outcome, outcomes, versions, verdict, "outcomes")
    stored = _stored(rig)
    verdict.states_wrong = sum(_facts(stored.get(case), versions) != _facts(state, versions) for case, state in states.items())
    verdict.states_against_events = sum(
        (stored[case].state, stored[case].seq, stored[case].policy_version) != (event.state, event.case_seq, event.policy_version)
        for case, event in last.items()
        if case in stored
    )
    if deltas:
        kept, repeats, conflicts = deduplicated(rig.read(DELTAS))
        seen = Counter(codec(LiveDelta).decode(r.value).event_id for r in kept)
        wanted = {fact[0] for fact in events}
        verdict.missing_deltas = len(wanted - set(seen))
        verdict.unexpected_deltas = sum(seen.values()) - len(set(seen) & wanted)
        verdict.repeats += repeats
        verdict.conflicts += conflicts
    return verdict


def _facts(record: Any, versions: bool) -> tuple[Any, ...]:
    if record is None:
        return ()
    skip = () if versions else ("policy_version",)
    return tuple(getattr(record, name) for name in record.__struct_fields__ if name not in skip)


def _compare(rig: Rig, topic: str, kind: Any, wanted: set[tuple[Any, ...]], versions: bool, verdict: Verdict, name: str) -> dict[str, Any]:
    kept, repeats, conflicts = deduplicated(rig.read(topic))
    records = [codec(kind).decode(r.value) for r in kept]
    seen = [_facts(record, versions) for record in records]
    setattr(verdict, f"missing_{name}", len(wanted - set(seen)))
    setattr(verdict, f"unexpected_{name}", len(seen) - len(set(seen) & wanted))
    verdict.repeats += repeats
    verdict.conflicts += conflicts
    return {record.case_id: record for record in records}


def _stored(rig: Rig) -> dict[str, IncidentCase]:
    """The case table as its changelog says: the highest version of each key."""
    best: dict[bytes, bytes] = {}
    for record in rig.read(CHANGELOG):
        if record.key not in best or version_of(record.value) >= version_of(best[record.key]):
            best[record.key] = record.value
    reader = codec(IncidentCase)
    return {key.decode(): reader.decode(unpack(value).state) for key, value in best.items() if not key.startswith(b"\x00")}
