"""What the commands of every kind of case share: how a repeat is known, and the one answer each command gets. Pure."""

from __future__ import annotations

import uuid
from typing import Protocol

from schemas.avro.outcome.event import Outcome
from schemas.errors import Refusal
from schemas.topics import OUTCOMES
from streams.domain.core import Emit, Source

MARK_BYTES = 8
RECENT_BYTES = 64 * MARK_BYTES  # a case remembers its last 64 commands
EVENT, ANSWER, DEAD_ANSWER, PAGE = 0, 1, 3, 4  # positions of what one command causes; 2 is the engine's dead letter


class Command(Protocol):
    """The fields that a command of any kind has."""

    @property
    def command_id(self) -> str: ...
    @property
    def case_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def realm(self) -> str: ...
    @property
    def division(self) -> str: ...
    @property
    def producer(self) -> str: ...
    @property
    def received_at(self) -> int: ...


def mark_of(command: Command) -> bytes:
    """What a case remembers of a command."""
    return uuid.UUID(command.command_id).bytes[:MARK_BYTES]


def remembers(recent: bytes, mark: bytes) -> bool:
    at = recent.find(mark)
    while at % MARK_BYTES and at > 0:  # a match across two marks is none
        at = recent.find(mark, at + 1)
    return at >= 0


def remember(recent: bytes, mark: bytes) -> bytes:
    return (recent + mark)[-RECENT_BYTES:]


def answer(
    command: Command, source: Source, now: int, outcome: str, *, seq: int, division: str, refusal: Refusal | None = None, rule: str = ""
) -> Emit:
    """The outcome of a command that was decided. `seq`, `division`: of the case after, 0 and the command's when there is none."""
    record = Outcome(
        command_id=command.command_id,
        case_id=command.case_id,
        realm=command.realm,
        outcome=outcome,
        reason=refusal.value if refusal else "",
        rule=rule,
        case_seq=seq,
        name=command.name,
        producer=command.producer,
        division=division,
        received_at=command.received_at or now,
        src_topic=source.topic,
        src_partition=source.partition,
        src_offset=source.offset,
        src_position=ANSWER,
    )
    return Emit(OUTCOMES, command.realm, command.case_id, record, ANSWER)


def dead_answer(command: Command | None, key: str, realm: str, source: Source, received_at: int, reason: str) -> Emit:
    """The outcome of a command that nobody could read (None) or decide; what cannot be read is left empty."""
    case_id = command.case_id if command else key
    record = Outcome(
        command_id=command.command_id if command else "",
        case_id=case_id,
        realm=realm,
        outcome="dead",
        reason=reason,
        rule="",
        case_seq=0,
        name=command.name if command else "",
        producer=command.producer if command else "",
        division=command.division if command else "",
        received_at=received_at,
        src_topic=source.topic,
        src_partition=source.partition,
        src_offset=source.offset,
        src_position=DEAD_ANSWER,
    )
    return Emit(OUTCOMES, realm, case_id, record, DEAD_ANSWER)
