"""Laws of the engine's runner, without a broker: wherever a worker dies, what readers keep is what a faultless run says.

A worker is cut at any step of the order of commitment (also in the midst of a changelog write) and started again from its
committed offset with what the changelog holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka import ConsumerRecord
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from schemas import ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from streams.agents.analytics import AnalyticsProcessor
from streams.agents.case import CaseProcessor
from streams.engine.ledger import Chunk, Ledger
from streams.engine.metrics import WorkerMetrics
from streams.engine.runner import Processor, Runner
from streams.engine.source import src_of
from streams.engine.table import StateTable, apply
from streams.engine.value import Output
from tests.unit.test_incident_life_cycle import command

COMMANDS = codec(IncidentCommand)
NAMES = ("capture", "accept", "triage", "assign", "sign", "object", "report", "verify_ok", "reopen", "withdraw")
TOPIC = "incident.commands"


def record(offset: int, value: bytes, key: bytes, topic: str = TOPIC, headers: Sequence[tuple[str, bytes]] = ()) -> ConsumerRecord:
    return ConsumerRecord(topic, 0, offset, 1_795_300_000_000 + offset, 1, key, value, None, len(key), len(value), headers)


@st.composite
def logs(draw: st.DrawFn) -> list[ConsumerRecord]:
    """A commands partition: a few cases, repeats, nonsense bytes."""
    found = []
    for offset in range(draw(st.integers(1, 25))):
        case = ids.case_id("live", "p", str(draw(st.integers(0, 2))))
        made = command(draw(st.sampled_from(NAMES)), str(draw(st.integers(0, 30))), case_id=case, actor_person=f"person {offset}")
        value = COMMANDS.encode(made)
        if draw(st.integers(0, 9)) == 0:
            value = value[: draw(st.integers(0, 40))]
        found.append(record(offset, value, case.encode()))
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
        self.runner = Runner("lane", processor, self.table, self._ship, WorkerMetrics(CollectorRegistry(), "lane"), 1, "test", marks)

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


@settings(max_examples=150, deadline=None)
@given(logs(), st.data())
def test_a_worker_that_dies_anywhere_says_what_a_faultless_one_says(log: list[ConsumerRecord], data: st.DataObject) -> None:
    changelog: list[tuple[bytes, bytes]] = []
    outputs: list[Output] = []
    committed, deaths = 0, 0
    worker = Worker(CaseProcessor(), changelog)
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
            worker = Worker(CaseProcessor(), changelog)
    assert kept(outputs) == faultless(CaseProcessor(), log)


@settings(max_examples=80, deadline=None)
@given(logs(), st.lists(st.integers(1, 7), min_size=1))
def test_how_the_log_is_cut_into_chunks_changes_nothing(log: list[ConsumerRecord], sizes: list[int]) -> None:
    worker, outputs, position = Worker(CaseProcessor(), []), list[Output](), 0
    for turn in range(len(log)):
        if position < len(log):
            size = sizes[turn % len(sizes)]
            outputs += worker.run(log[position : position + size])[1]
            position += size
    assert [(o.topic, o.value) for o in outputs] == [(o.topic, o.value) for o in Worker(CaseProcessor(), []).run(log)[1]]


@settings(max_examples=80, deadline=None)
@given(logs())
def test_every_command_has_exactly_one_outcome(log: list[ConsumerRecord]) -> None:
    said = faultless(CaseProcessor(), log)
    assert sum(topic == "outcomes" for topic, _, _ in said) == len(log)


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
