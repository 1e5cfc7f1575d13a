"""The case lane: the one writer of incidents."""

from __future__ import annotations

from schemas.avro.incident_command.event import IncidentCommand
from schemas.state.incident_case.event import IncidentCase
from streams.agents.commands import CommandProcessor
from streams.domain.core import Decision, Source
from streams.domain.incident.decide import decide


class CaseProcessor(CommandProcessor[IncidentCommand, IncidentCase]):
    def __init__(self) -> None:
        super().__init__(IncidentCommand, IncidentCase)

    def decide(self, before: IncidentCase | None, command: IncidentCommand, source: Source, now: int) -> Decision[IncidentCase]:
        return decide(before, command, source, now)
