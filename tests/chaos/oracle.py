"""The oracle: what the ledger and the topics say must be there, against what is there.

It folds the commands topic with the pure core, without faults, and so knows every event, outcome, delta and state that must have come of
it, after the readers' own rule (drop what is not above the src mark). It reads only what is new since it last looked, so that a soak can
ask again and again. It never compares a target with itself.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka import ConsumerRecord

from schemas.avro.dead_letter.event import DeadLetter
from schemas.avro.handover.event import Handover
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.live_delta.event import LiveDelta
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.errors import InvalidPayload
from schemas.realms import Realm
from schemas.state.incident_case.event import IncidentCase
from schemas.topics import DESKS, NOTIFICATIONS
from services.sink import streams as sink
from services.warehouse.accounts import rollup_mismatches
from services.warehouse.backend import Warehouse
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.domain.incident.table import WAKE
from streams.engine.source import Src, src_of
from streams.engine.value import unpack, version_of

if TYPE_CHECKING:
    from tests.chaos.rig import Rig

COMMANDS, EVENTS, OUTCOMES, DELTAS, CHANGELOG = "incident.commands", "incident.events", "outcomes", "live.deltas", "case-table-changelog"
LETTERS = "dead.letters"
SENT: dict[str, Any] = {NOTIFICATIONS.name: Notification} | {topic.name: Handover for topic in DESKS.values()}  # said beside the events
TOLD = frozenset({"incident.clock_warning", "incident.clock_due", "incident.clock_overdue"})
PATIENCE_MS = 10_000  # for which a timer may be due before it counts as missing: it must be woken, decided and read
Place = tuple[int, int]  # partition and offset


class Reader:
    """The rule of every reader of a derived topic, over all it has seen: `kept` what is above the mark of its source."""

    def __init__(self) -> None:
        self.repeats = 0
        self.conflicts = 0  # repeats whose bytes differ from the copy that was kept
        self._marks: dict[tuple[int, str, int], tuple[int, int]] = {}
        self._first: dict[Src, bytes] = {}

    def keep(self, records: list[ConsumerRecord]) -> list[tuple[Src, ConsumerRecord]]:
        kept = []
        for record in records:
            src = src_of(record.headers)
            assert src is not None, f"{record.topic} holds a record without src"
            digest = hashlib.md5(record.value).digest()
            if self._first.setdefault(src, digest) != digest:
                self.conflicts += 1
            place = (record.partition, src.topic, src.partition)
            if (src.offset, src.position) > self._marks.get(place, (-1, -1)):
                self._marks[place] = (src.offset, src.position)
                kept.append((src, record))
            else:
                self.repeats += 1
        return kept


@dataclass
class Verdict:
    """Counts of what must be zero, and of what happened on the way."""

    acknowledged: int = 0
    missing_commands: int = 0  # acknowledged, not in the topic
    missing_events: int = 0
    unexpected_events: int = 0
    missing_outcomes: int = 0
    unexpected_outcomes: int = 0
    missing_letters: int = 0  # hand-overs to desks and notifications
    unexpected_letters: int = 0
    missing_deltas: int = 0
    unexpected_deltas: int = 0
    conflicts: int = 0  # copies of one record with different bytes
    states_wrong: int = 0
    states_against_events: int = 0  # a state that says other than the last event of its case
    wrong_letters: int = 0  # unreadable commands without their one dead letter, or letters without such a command
    gaps: int = 0  # events of a case not numbered 1, 2, 3, …
    early_commits: int = 0  # a commit was seen above a command that had no outcome yet
    missing_facts: int = 0
    doubled_facts: int = 0
    wrong_offsets: int = 0
    wrong_rollups: int = 0
    audit_differences: int = 0  # what the independent auditor found
    too_big: int = 0  # processes above the bound of their memory
    timers_missing: int = 0  # due for longer than PATIENCE_MS, and nothing told of it
    timers_doubled: int = 0
    timers_early: int = 0  # told before its time by the broker's clock
    timers: int = 0  # told
    repeats: int = 0

    @property
    def broken(self) -> dict[str, int]:
        return {name: count for name, count in vars(self).items() if count and name not in ("acknowledged", "repeats", "timers")}

    def by_invariant(self, deltas: bool, tables: bool) -> dict[str, int]:
        """For the account; only what was looked at."""
        once = self.missing_commands + self.missing_events + self.unexpected_events + self.missing_outcomes + self.unexpected_outcomes
        once += self.missing_letters + self.unexpected_letters
        found = {
            "I1": once + self.conflicts + self.missing_facts + self.doubled_facts,
            "I4": self.states_wrong + self.states_against_events + self.audit_differences,
            "I6": self.gaps,
            "I7": self.wrong_letters,
            "I8": self.early_commits,
            "I10": self.too_big,
        }
        timers = self.timers_missing + self.timers_doubled + self.timers_early
        if self.timers or timers:
            found["I5"] = timers
        if deltas or tables:
            found["I1"] += self.missing_deltas + self.unexpected_deltas
        if tables:
            found |= {"I2": self.wrong_offsets, "I3": self.wrong_rollups}
        return found


@dataclass
class Stored:
    """What one table must hold of one partition: how many rows, and sums that only these rows have."""

    rows: int = 0
    ids: int = 0
    offsets: int = 0

    def add(self, identity: str, offset: int) -> None:
        self.rows += 1
        self.ids += int.from_bytes(hashlib.md5(identity.encode()).digest()[:8], "little")
        self.offsets += offset


class Oracle:
    """`versions` False: a release changed under way, so what was decided may differ in the policy version only."""

    def __init__(self, rig: Rig, versions: bool = True) -> None:
        self._rig = rig
        self._versions = versions
        self._read: dict[str, dict[int, int]] = defaultdict(dict)  # next offset by topic and partition
        self._states: dict[str, IncidentCase] = {}
        self._wanted: dict[tuple[str, int, int], set[tuple[Any, ...]]] = defaultdict(set)  # by output topic and place of the command
        self._readers: dict[str, Reader] = defaultdict(Reader)
        self._last: dict[str, IncidentEvent] = {}
        self._due: set[str] = set()  # event ids that wait for their delta
        self._answered: dict[int, dict[int, int]] = defaultdict(dict)  # partition -> command offset -> offset of its outcome
        self._table: dict[bytes, bytes] = {}
        self._facts: dict[str, dict[int, Stored]] = {name: defaultdict(Stored) for name in (EVENTS, OUTCOMES, DELTAS)}
        self._told: Counter[tuple[str, str, str, str, int]] = Counter()  # marks of clocks
        self.lateness: list[int] = []  # of each timer told, ms by the broker's clock
        self._commands: set[Place] = set()
        self._poison: dict[Place, bytes] = {}  # unreadable commands that wait for their dead letter

    def look(self, deltas: bool = False) -> Verdict:
        """Reads what is new of every topic, at lag 0, and judges all so far."""
        rig, verdict = self._rig, Verdict(acknowledged=len(self._rig.ledger.acked))
        self._fold(self._new(COMMANDS))
        verdict.missing_commands = sum((partition, offset) not in self._commands for partition, offset, _ in rig.ledger.acked)
        for src, record in self._compare(OUTCOMES, Outcome, verdict, "outcomes"):
            self._answered[record.partition].setdefault(src.offset, record.offset)
        for _, record in self._compare(EVENTS, IncidentEvent, verdict, "events"):
            event = codec(IncidentEvent).decode(record.value)
            before = self._last.get(event.case_id)
            verdict.gaps += event.case_seq != (before.case_seq + 1 if before else 1)
            self._last[event.case_id] = event
            self._due.add(event.event_id)
            self._note_timer(event, record.timestamp)
        for topic, kind in SENT.items():
            self._compare(topic, kind, verdict, "letters")
        self._judge_timers(verdict)
        self._judge_letters(verdict)
        self._judge_states(verdict)
        if deltas:
            self._judge_deltas(verdict)
        verdict.early_commits = rig.watch.early_commits(self._answered)
        verdict.too_big = rig.watch.too_big()
        verdict.repeats = sum(reader.repeats for reader in self._readers.values())
        verdict.conflicts = sum(reader.conflicts for reader in self._readers.values())
        return verdict

    def look_at_tables(self, warehouse: Warehouse, verdict: Verdict) -> None:
        """Facts against the topics as last looked at, rollups against facts."""
        with warehouse.reader() as handle:
            for stream, identity in ((sink.EVENTS, "event_id"), (sink.OUTCOMES, "command_id"), (sink.DELTAS, "event_id")):
                sql = (
                    "SELECT _part AS part, count() AS rows, uniqExact(_off) AS places, sum(toUInt64(_off)) AS offsets, "
                    f"sum(reinterpretAsUInt64(substring(MD5({identity}), 1, 8))) AS ids FROM {stream.facts} "
                    f"WHERE _topic = '{stream.topic.name}' GROUP BY part"
                )
                held = {row["part"]: row for row in handle.rows(sql)}
                for partition, wanted in self._facts[stream.topic.name].items():
                    row = held.pop(partition, {"rows": 0, "places": 0, "offsets": 0, "ids": 0})
                    verdict.missing_facts += max(0, wanted.rows - row["rows"])
                    verdict.doubled_facts += max(0, row["rows"] - wanted.rows)
                    verdict.missing_facts += row["rows"] == wanted.rows and row["ids"] != wanted.ids % 2**64
                    verdict.wrong_offsets += row["places"] != row["rows"] or row["offsets"] != wanted.offsets
                verdict.doubled_facts += sum(row["rows"] for row in held.values())
                verdict.wrong_rollups += len(rollup_mismatches(handle, stream, Realm.LIVE))

    # -- one topic each

    def _new(self, topic: str) -> list[ConsumerRecord]:
        records = self._rig.read(topic, self._read[topic])
        for record in records:
            self._read[topic][record.partition] = record.offset + 1
        return records

    def _fold(self, commands: list[ConsumerRecord]) -> None:
        reader = codec(IncidentCommand)
        for record in commands:
            self._commands.add((record.partition, record.offset))
            try:
                one = reader.decode(record.value)
            except InvalidPayload:
                self._poison[record.partition, record.offset] = record.value
                self._wanted[OUTCOMES, record.partition, record.offset].add(("dead", record.offset))
                continue
            decision = decide(self._states.get(one.case_id), one, Source(record.topic, record.partition, record.offset), record.timestamp)
            if one.name == WAKE:
                self._answered[record.partition][record.offset] = -1  # it has no answer to wait for
            if decision.state:
                self._states[one.case_id] = decision.state
            for emit in decision.emits:
                self._wanted[emit.topic.name, record.partition, record.offset].add(_facts(emit.record, self._versions))

    def _compare(self, topic: str, kind: Any, verdict: Verdict, name: str) -> list[tuple[Src, ConsumerRecord]]:
        """Kept records of a topic, each one crossed off what was wanted."""
        kept, reader, unexpected = self._readers[topic].keep(self._new(topic)), codec(kind), 0
        for src, record in kept:
            one = reader.decode(record.value)
            wanted = self._wanted.get((topic, src.partition, src.offset), set())
            told = ("dead", src.offset) if kind is Outcome and one.outcome == "dead" else _facts(one, self._versions)
            if src.topic != COMMANDS:
                pass  # another lane's outcome: its own test judges it, the tables must hold it all the same
            elif told in wanted:
                wanted.discard(told)
                if not wanted:
                    del self._wanted[topic, src.partition, src.offset]
            else:
                unexpected += 1
            if topic in self._facts:
                self._facts[topic][record.partition].add(one.command_id if kind is Outcome else one.event_id, record.offset)
        missing = sum(len(left) for (where, _, _), left in self._wanted.items() if where == topic)
        for count, found in ((f"unexpected_{name}", unexpected), (f"missing_{name}", missing)):
            setattr(verdict, count, getattr(verdict, count) + found)
        return kept

    def open_timers(self, at: int) -> int:
        """Cases that want to be woken by then (UTC milliseconds), after all commands that the topic holds now."""
        self._fold(self._new(COMMANDS))
        return sum(0 < state.next_due <= at for state in self._states.values())

    def _note_timer(self, event: IncidentEvent, told_at: int) -> None:
        if event.type in TOLD:
            self._told[event.case_id, event.type, event.clock, event.clock_holder, event.clock_due_at] += 1
            self.lateness.append(told_at - event.occurred_at)

    def _judge_timers(self, verdict: Verdict) -> None:
        late = time.time() * 1000 - PATIENCE_MS
        verdict.timers = sum(self._told.values())
        verdict.timers_missing = sum(0 < state.next_due < late for state in self._states.values())
        verdict.timers_doubled = sum(count - 1 for count in self._told.values())
        verdict.timers_early = sum(ms < 0 for ms in self.lateness)

    def _judge_letters(self, verdict: Verdict) -> None:
        for _, record in self._readers[LETTERS].keep(self._new(LETTERS)):
            letter = codec(DeadLetter).decode(record.value)
            if letter.topic == COMMANDS:
                verdict.wrong_letters += self._poison.pop((letter.partition, letter.offset), None) != letter.value or not letter.reason
        verdict.wrong_letters += len(self._poison)

    def _judge_deltas(self, verdict: Verdict) -> None:
        for _, record in self._readers[DELTAS].keep(self._new(DELTAS)):
            event_id = codec(LiveDelta).decode(record.value).event_id
            verdict.unexpected_deltas += event_id not in self._due
            self._due.discard(event_id)
            self._facts[DELTAS][record.partition].add(event_id, record.offset)
        verdict.missing_deltas = len(self._due)

    def _judge_states(self, verdict: Verdict) -> None:
        """The case table as its changelog says: the highest version of each key."""
        for record in self._new(CHANGELOG):
            if record.key not in self._table or version_of(record.value) >= version_of(self._table[record.key]):
                self._table[record.key] = record.value
        reader = codec(IncidentCase)
        for case, state in self._states.items():
            raw = self._table.get(case.encode())
            stored = reader.decode(unpack(raw).state) if raw else None
            verdict.states_wrong += _facts(stored, self._versions) != _facts(state, self._versions)
            event = self._last.get(case)
            if stored and event:
                told = (event.state, event.case_seq, event.policy_version)
                verdict.states_against_events += (stored.state, stored.seq, stored.policy_version) != told


def _facts(record: Any, versions: bool) -> tuple[Any, ...]:
    if record is None:
        return ()
    skip = () if versions else ("policy_version",)
    return tuple(getattr(record, name) for name in record.__struct_fields__ if name not in skip)


def judge(rig: Rig, deltas: bool = False, versions: bool = True) -> Verdict:
    """One look at all topics of a rig that is at lag 0; said to its account."""
    verdict = Oracle(rig, versions).look(deltas)
    rig.audited(verdict)
    rig.say(verdict, deltas)
    return verdict
