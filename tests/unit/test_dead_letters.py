"""What the engine does with records it cannot read or decide: they are kept whole, answered, and never stop a partition."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.avro.dead_letter.event import DeadLetter
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.errors import Reason, UnknownPolicy
from schemas.topics import OUTCOMES
from streams.agents import case as case_lane
from streams.agents.case import CaseProcessor
from streams.domain.commands import dead_answer
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.engine.exits import Exit
from tests.property.test_exactly_once import COMMANDS, Worker, record
from tests.unit.test_incident_life_cycle import CASE, command

KEY = CASE.encode()


def said(worker: Worker, *records: Any) -> tuple[list[DeadLetter], list[Outcome], list[str]]:
    """(dead letters, outcomes, topics) of these records."""
    outputs = worker.run(records)[1]
    letters = [codec(DeadLetter).decode(o.value) for o in outputs if o.topic == "dead.letters"]
    outcomes = [codec(Outcome).decode(o.value) for o in outputs if o.topic == "outcomes"]
    return letters, outcomes, [o.topic for o in outputs]


def of(offset: int, made: IncidentCommand, *headers: tuple[str, bytes]) -> Any:
    return record(offset, COMMANDS.encode(made), KEY, headers=headers)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.BAD_FRAME),
        (b"plain text", Reason.BAD_FRAME),
        (b"\x00\x00\x00\x00\x63abc", Reason.UNKNOWN_SCHEMA),
        (b"\x00\x00\x00\x00\x03abc", Reason.WRONG_TYPE),
        (COMMANDS.encode(command("capture"))[:60], Reason.BAD_AVRO),
        (COMMANDS.encode(command("capture")) + b"x", Reason.BAD_AVRO),
    ],
)
def test_an_unreadable_command_is_kept_with_its_bytes_and_has_an_outcome(value: bytes, reason: Reason) -> None:
    letters, outcomes, _ = said(Worker(CaseProcessor(), []), record(7, value, KEY))
    assert [(letter.reason, letter.value, letter.offset) for letter in letters] == [(reason, value, 7)]
    assert [(outcome.outcome, outcome.reason, outcome.src_offset) for outcome in outcomes] == [("dead", reason, 7)]


@pytest.mark.parametrize("known", [True, False])
def test_the_outcome_of_what_is_dead_says_what_could_be_read(known: bool) -> None:
    made = command("accept", division="440305") if known else None
    emit = dead_answer(made, "the key", "drill", Source("incident.commands", 3, 44), 77, "bad_avro")
    case = CASE if known else "the key"
    assert (emit.topic, emit.realm, emit.key, emit.position) == (OUTCOMES, "drill", case, 3)
    assert emit.record == Outcome(
        command_id=made.command_id if made else "", case_id=case, realm="drill", outcome="dead", reason="bad_avro", rule="", case_seq=0,
        name="accept" if known else "", producer="p" if known else "", division="440305" if known else "", received_at=77,
        src_topic="incident.commands", src_partition=3, src_offset=44, src_position=3,
    )  # fmt: skip


def test_a_command_under_another_cases_key_is_dead() -> None:
    letters, _, _ = said(Worker(CaseProcessor(), []), record(1, COMMANDS.encode(command("capture")), b"someone else"))
    assert [letter.reason for letter in letters] == [Reason.BAD_KEY]


def test_a_case_on_which_decide_crashes_is_quarantined_and_the_partition_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(CaseProcessor(), [])
    said(worker, of(0, command("capture", "0")))
    calls: list[IncidentCommand] = []

    def broken(state: Any, made: IncidentCommand, *rest: Any) -> Any:
        if made.name == "accept":
            calls.append(made)
            raise ZeroDivisionError("a bug")
        return decide(state, made, *rest)

    monkeypatch.setattr(case_lane, "decide", broken)
    other = command("capture", "other", case_id="0" * 8 + CASE[8:])
    letters, outcomes, _ = said(
        worker, of(1, command("accept", "1")), of(2, command("triage", "2")), record(3, COMMANDS.encode(other), other.case_id.encode())
    )
    assert len(calls) == 3
    assert [letter.reason for letter in letters] == [Reason.DECIDE_CRASHED, Reason.QUARANTINED]
    assert [outcome.outcome for outcome in outcomes] == ["dead", "dead", "applied"]
    monkeypatch.setattr(case_lane, "decide", decide)  # the bug is mended
    _, outcomes, _ = said(worker, of(4, command("triage", "4")))
    assert [outcome.reason for outcome in outcomes] == [Reason.QUARANTINED]
    _, outcomes, _ = said(worker, of(5, command("accept", "1"), ("replayed", b"id")), of(6, command("triage", "2"), ("replayed", b"id")))
    assert [outcome.outcome for outcome in outcomes] == ["applied", "applied"]
    _, outcomes, _ = said(worker, of(7, command("assign", "7")))
    assert [outcome.outcome for outcome in outcomes] == ["applied"]


def test_a_quarantine_survives_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(case_lane, "decide", broken)
    changes, _ = Worker(CaseProcessor(), []).run([of(0, command("capture", "0"))])
    monkeypatch.undo()
    _, outcomes, _ = said(Worker(CaseProcessor(), changes), of(1, command("capture", "1")))
    assert [outcome.reason for outcome in outcomes] == [Reason.QUARANTINED]


def test_a_case_of_a_later_releases_policies_ends_the_worker_and_is_not_quarantined(monkeypatch: pytest.MonkeyPatch) -> None:
    def later(*_: Any) -> Any:
        raise UnknownPolicy("no policies of version '2031.1'")

    def end(exit_code: Exit, _why: str) -> None:
        raise SystemExit(exit_code)

    monkeypatch.setattr(case_lane, "decide", later)
    monkeypatch.setattr("streams.engine.runner.die", end)
    with pytest.raises(SystemExit) as ended:
        Worker(CaseProcessor(), []).run([of(0, command("capture", "0"))])
    assert ended.value.code == Exit.TOO_OLD
