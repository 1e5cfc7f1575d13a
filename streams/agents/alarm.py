"""The alarm lane: the one writer of alarms. A record it cannot read or decide reaches a desk all the same, without decide."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import ConsumerRecord

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.errors import Reason
from schemas.headers import DIVISION
from schemas.state.alarm_case.event import AlarmCase
from schemas.topics import realm_of
from streams.agents.commands import CommandProcessor, key_text
from streams.domain.alarm.decide import decide
from streams.domain.alarm.pages import fallback
from streams.domain.core import Decision, Emit, Source


class AlarmProcessor(CommandProcessor[AlarmCommand, AlarmCase]):
    def __init__(self) -> None:
        super().__init__(AlarmCommand, AlarmCase)

    def decide(self, before: AlarmCase | None, command: AlarmCommand, source: Source, now: int) -> Decision[AlarmCase]:
        return decide(before, command, source, now)

    def bury(self, record: ConsumerRecord, source: Source, state: bytes, reason: Reason) -> Sequence[Emit]:
        """The dead outcome, and a page to the desk of the division that can be read: in the command, the state or a header."""
        command, held = self.readable(record), self.readable_state(state)
        named = [(value or b"").decode("utf-8", "replace") for name, value in record.headers if name == DIVISION]
        places = (command.division if command else "", held.division if held else "", *named)
        page = fallback(
            key=key_text(record), realm=realm_of(record.topic).value, places=places, command=command, source=source,
            received_at=record.timestamp, reason=reason,
        )  # fmt: skip
        return (*super().bury(record, source, state, reason), page)
