"""Laws of the engine's runner, without a broker: wherever a worker dies, what readers keep is what a faultless run says.

A worker is cut at any step of the order of commitment (also in the midst of a changelog write) and started again from its
committed offset with what the changelog holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from schemas import ids
from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from streams.agents.alarm import AlarmProcessor
from streams.agents.analytics import AnalyticsProcessor
from streams.agents.case import CaseProcessor
from streams.domain.alarm.decide import NOT_PAGED_AGAIN, QUIET_MS
from streams.engine.ledger import Chunk, Ledger
from streams.engine.metrics import LaneMetrics, WorkerMetrics
from streams.engine.runner import Processor, Runner
from streams.engine.source import src_of
from streams.engine.table import StateTable, apply
from streams.engine.value import Output
from tests.unit.test_alarm_life_cycle import command as alarm_command
from tests.unit.test_incident_life_cycle import command

COMMANDS = codec(IncidentCommand)
NAMES = ("capture", "accept", "triage", "assign", "sign", "object", "report", "verify_ok", "reopen", "withdraw")
TOPIC = "incident.commands"
STEP_MS = 300  # between records: several presses fall into one second


@dataclass(frozen=True, slots=True)
class Kind:
    """One lane that owns cases, and how its commands are made."""

    processor: Callable[[], Processor]
    make: Callable[..., Any]
    encode: Callable[[Any], bytes]
    names: tuple[str, ...]
    topic: str


KINDS = {
    "case": Kind(CaseProcessor, command, COMMANDS.encode, NAMES, TOPIC),
    "alarm": Kind(AlarmProcessor, alarm_command, codec(AlarmCommand).encode, ("press", "press", "ack", "close"), "alarm.commands"),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def record(offset: int, value: bytes, key: bytes, topic: str = TOPIC, headers: Sequence[tuple[str, bytes]] = ()) -> ConsumerRecord:
    return ConsumerRecord(topic, 0, offset, 1_795_300_000_000 + offset * STEP_MS, 1, key, value, None, len(key), len(value), headers)


@st.composite
def logs(draw: st.DrawFn, kind: Kind = KINDS["case"]) -> list[ConsumerRecord]:
    """A commands partition: a few cases, repeats, nonsense bytes."""
    found = []
    for offset in range(draw(st.integers(1, 25))):
        case = ids.case_id("live", "p", str(draw(st.integers(0, 2))))
        made = kind.make(draw(st.sampled_from(kind.names)), str(draw(st.integers(0, 30))), case_id=case, actor_person=f"person {offset}")
        value = kind.encode(made)
        if draw(st.integers(0, 9)) == 0:
            value = value[: draw(st.integers(0, 40))]
        found.append(record(offset, value, case.encode(), kind.topic))
    return found


class Worker:
    """One life of a worker: chunks go through the runner; the test decides which of their effects reach the broker."""

    def __init__(self, processor: Processor, changelog: list[tuple[bytes, bytes]], marks: bool = True) -> None:
        self.table = StateTable("changelog")
        part: dict[bytes, bytes] = {}
        for key, value in changelog:
            apply(part, set(), key, value)
        self.table.parts[0] = part
        self.shipped: list[tuple[Any, Any]] = []
        metrics = LaneMetrics(WorkerMetrics(CollectorRegistry()), "lane")
        self.runner = Runner("lane", processor, self.table, self._ship, metrics, 1, "test", marks)

    def _ship(self, chunk: Chunk, changes: Any, outputs: Any) -> None:
        self.shipped.append((changes, [output for _, output in outputs]))

    def run(self, records: Sequence[ConsumerRecord]) -> tuple[Any, list[Output]]:
        ledger = Ledger(TP(records[0].topic, 0), records[0].offset)
        self.runner.run(Chunk(None, ledger, records))  # type: ignore[arg-type]
        return self.shipped.pop()


def kept(outputs: Sequence[Output]) -> list[tuple[str, bytes | None, bytes]]:
    """The reader's rule, topic by topic."""
    marks: dict[str, tuple[int, int]] = {}
    found = []
    for output in outputs:
        src = src_of(output.headers)
        assert src is not None
        if (src.offset, src.position) > marks.get(output.topic, (-1, -1)):
            marks[output.topic] = (src.offset, src.position)
            found.append((output.topic, output.key, output.value))
    return sorted(found, key=lambda one: one[0])  # the order within each topic stays


def faultless(processor: Processor, log: Sequence[ConsumerRecord]) -> list[tuple[str, bytes | None, bytes]]:
    return kept(Worker(processor, []).run(log)[1])


@each_kind
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_worker_that_dies_anywhere_says_what_a_faultless_one_says(kind: Kind, data: st.DataObject) -> None:
    log = data.draw(logs(kind))
    changelog: list[tuple[bytes, bytes]] = []
    outputs: list[Output] = []
    committed, deaths = 0, 0
    worker = Worker(kind.processor(), changelog)
    position = 0
    while position < len(log):
        end = position + data.draw(st.integers(1, 6))
        changes, said = worker.run(log[position:end])
        step = data.draw(st.sampled_from(["none", "in_changelog", "after_changelog", "in_outputs", "before_commit", "commit"]))
        if deaths > 8:
            step = "commit"
        changelog += changes[: data.draw(st.integers(0, len(changes)))] if step == "in_changelog" else [] if step == "none" else changes
        if step in ("in_outputs", "before_commit", "commit"):
            outputs += said[: data.draw(st.integers(0, len(said)))] if step == "in_outputs" else said
        if step == "commit":
            position = committed = end
        else:
            deaths += 1
            position = committed
            worker = Worker(kind.processor(), changelog)
    assert kept(outputs) == faultless(kind.processor(), log)


@each_kind
@settings(max_examples=80, deadline=None)
@given(st.data(), st.lists(st.integers(1, 7), min_size=1))
def test_how_the_log_is_cut_into_chunks_changes_nothing(kind: Kind, data: st.DataObject, sizes: list[int]) -> None:
    log = data.draw(logs(kind))
    worker, outputs, position = Worker(kind.processor(), []), list[Output](), 0
    for turn in range(len(log)):
        if position < len(log):
            size = sizes[turn % len(sizes)]
            outputs += worker.run(log[position : position + size])[1]
            position += size
    assert [(o.topic, o.value) for o in outputs] == [(o.topic, o.value) for o in Worker(kind.processor(), []).run(log)[1]]


@each_kind
@settings(max_examples=80, deadline=None)
@given(st.data())
def test_every_command_has_exactly_one_outcome(kind: Kind, data: st.DataObject) -> None:
    log = data.draw(logs(kind))
    said = faultless(kind.processor(), log)
    assert sum(topic == "outcomes" for topic, _, _ in said) == len(log)


@settings(max_examples=150, deadline=None)
@given(logs(KINDS["alarm"]))
def test_every_press_is_applied_or_a_repeat_and_pages_unless_somebody_was_paged_within_the_second(log: list[ConsumerRecord]) -> None:
    said = faultless(AlarmProcessor(), log)
    outcomes = {o.src_offset: o for o in (codec(Outcome).decode(value) for topic, _, value in said if topic == "outcomes")}
    pages = {n.src_offset: n for n in (codec(Notification).decode(value) for topic, _, value in said if topic == "notifications")}
    assert len(pages) == sum(topic == "notifications" for topic, _, _ in said), "one page a record"
    paged_at: dict[str, int] = {}
    for one in log:
        outcome = outcomes[one.offset]
        if outcome.name == "press" and outcome.outcome == "applied":
            quiet = one.timestamp - paged_at.get(outcome.case_id, 0) < QUIET_MS
            assert one.offset in pages or (quiet and outcome.rule == NOT_PAGED_AGAIN)
        elif outcome.outcome == "dead":
            assert pages[one.offset].cause == "fallback"
        else:
            assert one.offset not in pages
            assert outcome.name != "press" or outcome.outcome == "repeated"
        if one.offset in pages and pages[one.offset].cause != "fallback":
            paged_at[outcome.case_id] = one.timestamp


@settings(max_examples=80, deadline=None)
@given(logs(), st.data())
def test_repeated_derived_records_are_counted_once_and_not_without_marks(log: list[ConsumerRecord], data: st.DataObject) -> None:
    events = [output for output in Worker(CaseProcessor(), []).run(log)[1] if output.topic == "incident.events"]
    if not events:
        return
    back = data.draw(st.integers(0, len(events) - 1))
    doubled = events + events[back:]  # a case worker died after its outputs and said them again
    records = [record(i, e.value, e.key or b"", "incident.events", e.headers) for i, e in enumerate(doubled)]
    assert len(kept(Worker(AnalyticsProcessor(), []).run(records)[1])) == len(events)
    assert len(kept(Worker(AnalyticsProcessor(), [], marks=False).run(records)[1])) == len(doubled)
