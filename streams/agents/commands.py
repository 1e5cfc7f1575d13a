"""What the lanes that own cases share: read a command, check its key, decide it on the stored state; and answer the dead ones."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from aiokafka import ConsumerRecord

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import Codec, codec
from schemas.errors import InvalidPayload, Reason
from schemas.state.alarm_case.event import AlarmCase
from schemas.state.incident_case.event import IncidentCase
from schemas.topics import realm_of
from streams.domain.commands import dead_answer
from streams.domain.core import Decision, Emit, Source

KEY_CHARACTERS = 200
C = TypeVar("C", IncidentCommand, AlarmCommand)
S = TypeVar("S", IncidentCase, AlarmCase)


class CommandProcessor(ABC, Generic[C, S]):
    """The one writer of one kind of case: commands in, events and outcomes out."""

    has_outbox = True
    co_partitioned = True

    def __init__(self, commands: type[C], states: type[S]) -> None:
        self._commands: Codec[C] = codec(commands)
        self._states: Codec[S] = codec(states)
        self._last: tuple[bytes, S | None] = b"", None  # the runner asks of a state what it has just been given

    @abstractmethod
    def decide(self, before: S | None, command: C, source: Source, now: int) -> Decision[S]:
        """The pure core of the kind."""

    def process(self, record: ConsumerRecord, source: Source, state: bytes) -> tuple[bytes, Sequence[Emit]]:
        command = self._commands.decode(record.value)
        if record.key != command.case_id.encode():
            raise InvalidPayload(Reason.BAD_KEY, "the key is not the case_id")
        if command.realm != realm_of(record.topic).value:
            raise InvalidPayload(Reason.BAD_KEY, "the realm is not the topic's", "/realm")
        before = self._states.decode(state) if state else None
        decision = self.decide(before, command, source, record.timestamp)
        after = state if decision.state is before else self._states.encode(decision.state) if decision.state else b""
        self._last = after, decision.state
        return after, decision.emits

    def bury(self, record: ConsumerRecord, source: Source, state: bytes, reason: Reason) -> Sequence[Emit]:
        """Every command has an outcome, a dead one too."""
        realm = realm_of(record.topic)
        return (dead_answer(self.readable(record), key_text(record), realm.value, source, record.timestamp, reason.value),)

    def readable(self, record: ConsumerRecord) -> C | None:
        """The command of a record, None when its bytes are none."""
        with contextlib.suppress(InvalidPayload):
            return self._commands.decode(record.value)
        return None

    def readable_state(self, state: bytes) -> S | None:
        """The stored state, None when there is none or its bytes are none."""
        with contextlib.suppress(InvalidPayload):
            return self._states.decode(state) if state else None
        return None


def key_text(record: ConsumerRecord) -> str:
    """The key as far as it may stand in an outcome or a page: a stranger's key may be as long as a record."""
    return (record.key or b"").decode("utf-8", "replace")[:KEY_CHARACTERS]
