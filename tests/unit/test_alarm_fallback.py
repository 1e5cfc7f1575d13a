"""An alarm record that nobody can read or decide still reaches a desk: without decide, beside its dead letter and its outcome."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.dead_letter.event import DeadLetter
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.errors import Reason
from schemas.headers import DIVISION
from streams.agents import alarm as alarm_lane
from streams.agents.alarm import AlarmProcessor
from streams.domain.alarm.decide import decide
from streams.domain.alarm.pages import DUTY_DESK
from streams.domain.core import Source
from tests.property.test_exactly_once import Worker, record
from tests.unit.test_alarm_life_cycle import CASE, command

COMMANDS = codec(AlarmCommand)
KEY = CASE.encode()
TOPIC = "alarm.commands"
Said = tuple[list[DeadLetter], list[Outcome], list[Notification]]


def said(worker: Worker, *records: Any) -> Said:
    outputs = worker.run(records)[1]

    def of(topic: str, kind: Any) -> list[Any]:
        return [codec(kind).decode(output.value) for output in outputs if output.topic == topic]

    return of("dead.letters", DeadLetter), of("outcomes", Outcome), of("notifications", Notification)


def at(offset: int, value: bytes | None, *headers: tuple[str, Any], key: bytes = KEY, topic: str = TOPIC) -> Any:
    return record(offset, b"" if value is None else value, key, topic, headers)


WHOLE = COMMANDS.encode(command("press"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [(b"", Reason.BAD_FRAME), (b"\x00\x00\x00\x00\x63abc", Reason.UNKNOWN_SCHEMA), (b"\x00\x00\x00\x00\x02abc", Reason.WRONG_TYPE),
     (WHOLE[:60], Reason.BAD_AVRO), (WHOLE + b"x", Reason.BAD_AVRO)],
)  # fmt: skip
@pytest.mark.parametrize(
    ("headers", "target"),
    [((), DUTY_DESK), (((DIVISION, b"440507001"),), "440507-desk"), (((DIVISION, b"\xff"),), DUTY_DESK),
     (((DIVISION, None),), DUTY_DESK)],
)  # fmt: skip
def test_an_unreadable_record_pages_the_desk_its_header_names_else_the_duty_desk(
    value: bytes, reason: Reason, headers: tuple[tuple[str, Any], ...], target: str
) -> None:
    letters, outcomes, notes = said(Worker(AlarmProcessor(), []), at(7, value, *headers))
    assert [(letter.reason, letter.value) for letter in letters] == [(reason, value)]
    assert [(outcome.outcome, outcome.reason) for outcome in outcomes] == [("dead", reason)]
    assert [(n.cause, n.target, n.reason, n.urgency, n.case_id, n.src_offset) for n in notes] == [("fallback", target, reason, 1, CASE, 7)]


def test_an_unreadable_record_of_an_open_alarm_pages_the_desk_of_its_state() -> None:
    worker = Worker(AlarmProcessor(), [])
    said(worker, at(0, WHOLE))
    _, _, notes = said(worker, at(1, WHOLE[:50], (DIVISION, b"440106")))
    assert [(n.cause, n.target) for n in notes] == [("fallback", "440507-desk")]


@pytest.mark.parametrize(
    ("changes", "key", "reason", "target"),
    [({"division": "999999"}, KEY, Reason.UNKNOWN_DIVISION, DUTY_DESK), ({}, b"someone else", Reason.BAD_KEY, "440507-desk"),
     ({"realm": "none"}, KEY, Reason.BAD_KEY, "440507-desk")],
)  # fmt: skip
def test_a_press_that_can_be_read_and_not_taken_pages_the_desk_of_its_division(
    changes: dict[str, Any], key: bytes, reason: Reason, target: str
) -> None:
    letters, _, notes = said(Worker(AlarmProcessor(), []), at(1, COMMANDS.encode(command("press", **changes)), key=key))
    assert [letter.reason for letter in letters] == [reason]
    assert [(n.target, n.reason, n.realm) for n in notes] == [(target, reason, "live")]


def test_an_alarm_on_which_decide_crashes_is_paged_each_time_it_is_pressed_and_the_partition_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Worker(AlarmProcessor(), [])

    def broken(_state: Any, made: AlarmCommand, *_: Any) -> Any:
        if made.case_id == CASE:
            raise ZeroDivisionError("a bug")
        return decide(_state, made, *_)

    monkeypatch.setattr(alarm_lane, "decide", broken)
    other = command("press", "other", case_id="0" * 8 + CASE[8:])
    letters, outcomes, notes = said(
        worker, at(1, WHOLE), at(2, COMMANDS.encode(command("press", "again"))), at(3, COMMANDS.encode(other), key=other.case_id.encode())
    )
    assert [letter.reason for letter in letters] == [Reason.DECIDE_CRASHED, Reason.QUARANTINED]
    assert [outcome.outcome for outcome in outcomes] == ["dead", "dead", "applied"]
    assert [(n.cause, n.target, n.reason) for n in notes] == [
        ("fallback", "440507-desk", "decide_crashed"), ("fallback", "440507-desk", "quarantined"), ("raised", "440507-desk", "")
    ]  # fmt: skip
    assert notes[0].command_id == command("press").command_id


def test_a_quarantined_alarm_still_pages_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(alarm_lane, "decide", broken)
    changes, _ = Worker(AlarmProcessor(), []).run([at(0, WHOLE)])
    monkeypatch.undo()
    _, _, notes = said(Worker(AlarmProcessor(), changes), at(1, COMMANDS.encode(command("press", "later"))))
    assert [(n.cause, n.reason) for n in notes] == [("fallback", "quarantined")]


def test_a_header_that_is_no_mark_of_ours_makes_a_dead_letter_and_a_page_and_no_crash() -> None:
    for content in (b"nonsense", b"a:b:c:d", None, b"\xff"):
        letters, _, notes = said(Worker(AlarmProcessor(), []), at(0, WHOLE, ("src", content)))
        assert [letter.reason for letter in letters] == [Reason.BAD_VALUE], content
        assert [n.target for n in notes] == ["440507-desk"]


@settings(max_examples=300, deadline=None)
@given(
    value=st.one_of(st.binary(max_size=200), st.integers(0, len(WHOLE)).map(lambda cut: WHOLE[:cut]), st.just(WHOLE)),
    key=st.one_of(st.none(), st.binary(max_size=40), st.just(KEY)),
    header=st.one_of(st.none(), st.binary(max_size=12), st.sampled_from([b"440507", b"441900", b"44"])),
    held=st.one_of(st.just(b""), st.binary(max_size=60)),
    reason=st.sampled_from(list(Reason)),
    realm=st.sampled_from(["", "drill.", "sandbox."]),
)
def test_whatever_the_bytes_there_is_exactly_one_page_to_somebody(
    value: bytes, key: bytes | None, header: bytes | None, held: bytes, reason: Reason, realm: str
) -> None:
    one = record(3, value, key or b"", realm + TOPIC, [(DIVISION, header)] if header is not None else [])
    emits = AlarmProcessor().bury(one, Source(one.topic, 0, 3), held, reason)
    notes = [emit.record for emit in emits if isinstance(emit.record, Notification)]
    assert len(notes) == 1
    assert notes[0].target
    assert codec(Notification).decode(codec(Notification).encode(notes[0])) == notes[0]
