"""What the commands of every kind of case share: how a repeat is known, and the one answer each command gets. Pure."""

from __future__ import annotations

import uuid
from typing import Any, Protocol

from schemas import ids
from schemas.avro.outcome.event import Outcome
from schemas.errors import Refusal
from schemas.topics import OUTCOMES
from streams.domain.core import Emit, Source

MARK_BYTES = 8
RECENT_BYTES = 64 * MARK_BYTES  # a case remembers its last 64 commands
EVENT, ANSWER, DEAD_ANSWER, PAGE = 0, 1, 3, 4  # positions of what one command causes; 2 is the engine's dead letter
COMMAND = 5  # a command to another case
MORE = 16  # the first event has position EVENT; all else that one record causes 16, 17, …: readers drop what is not above a mark
LAST = 255  # marks have eight bits for a position
ROOM = 24  # positions that deadlines leave for a command after them, beside one for each organisation that it names


class Places:
    """Hands out the positions of what one record causes, in the order in which it is said."""

    def __init__(self, source: Source, now: int, named: int = 0) -> None:
        """`now`: append time of the record in the case's time, UTC milliseconds; `named`: organisations that the command names."""
        self.source, self.now = source, now
        self._free = MORE
        self._last = LAST - ROOM - named

    def take(self) -> int:
        at = self._free
        self._free += 1
        assert at <= LAST
        return at

    @property
    def are_scarce(self) -> bool:
        """What can wait waits for the next record."""
        return self._free > self._last


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
    @property
    def actor_person(self) -> str: ...
    @property
    def actor_org(self) -> str: ...
    @property
    def actor_role(self) -> str: ...
    @property
    def actor_level(self) -> str: ...
    @property
    def occurred_at(self) -> int: ...
    @property
    def occurred_offset(self) -> int: ...
    @property
    def cause(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def cell(self) -> str: ...
    @property
    def sealed_ref(self) -> str: ...


class Case(Protocol):
    """The fields that the state of a case of any kind has."""

    @property
    def case_id(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def division(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def policy_version(self) -> str: ...
    @property
    def calendar_version(self) -> str: ...
    @property
    def home_cluster(self) -> str: ...
    @property
    def ownership_epoch(self) -> int: ...
    @property
    def case_number(self) -> str: ...
    @property
    def round(self) -> int: ...
    @property
    def county(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def holder(self) -> str: ...
    @property
    def holder_level(self) -> str: ...
    @property
    def producer(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def opened_at(self) -> int: ...


def envelope(
    kind: str, event_type: str, rule: str, before: Case | None, after: Case, command: Command, source: Source, position: int, now: int
) -> dict[str, Any]:
    """The fields that the events of every kind share. `before`: None for a first event. `position`: of the event among
    what its record causes."""
    return {
        "event_id": ids.derived_id(*source, position, now),
        "case_id": after.case_id,
        "case_seq": after.seq,
        "type": event_type,
        "kind": kind,
        "division": after.division,
        "level": after.level,
        "realm": command.realm,
        "actor_person": command.actor_person,
        "actor_org": command.actor_org,
        "actor_role": command.actor_role,
        "actor_level": command.actor_level,
        "occurred_at": command.occurred_at,
        "occurred_offset": command.occurred_offset,
        "received_at": command.received_at or now,
        "policy_version": after.policy_version,
        "calendar_version": after.calendar_version,
        "cause": command.cause,
        "src_topic": source.topic,
        "src_partition": source.partition,
        "src_offset": source.offset,
        "src_position": position,
        "home_cluster": after.home_cluster,
        "ownership_epoch": after.ownership_epoch,
        "command_id": command.command_id,
        "case_number": after.case_number,
        "round": after.round,
        "county": after.county,
        "county_from": before.county if before else "",
        "state": after.state,
        "state_from": before.state if before else "",
        "holder": after.holder,
        "holder_level": after.holder_level,
        "producer": after.producer,
        "title": after.title,
        "reason": command.reason,
        "rule": rule,
        "cell": command.cell,
        "sealed_ref": command.sealed_ref,
        "opened_at": after.opened_at,
    }


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
