"""The case lane: the one writer of incidents."""

from __future__ import annotations

from schemas import registry
from schemas.avro.incident_command.event import IncidentCommand
from schemas.realms import Realm
from schemas.state.incident_case.event import IncidentCase
from streams.agents.commands import CommandProcessor
from streams.domain.core import Decision, Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up

FIRST_VERSION = next(version.id for version in registry.versions() if (version.name, version.version) == ("incident_case", 1))


class CaseProcessor(CommandProcessor[IncidentCommand, IncidentCase]):
    def __init__(self) -> None:
        super().__init__(IncidentCommand, IncidentCase)

    def decide(self, before: IncidentCase | None, command: IncidentCommand, source: Source, now: int) -> Decision[IncidentCase]:
        return decide(before, command, source, now)

    def next_due(self, state: bytes) -> int | None:
        """The first field of the state's second version; the first version knew no deadlines."""
        last, decided = self._last
        if state is last and decided is not None:
            return decided.next_due or None
        if int.from_bytes(state[1:5], "big") == FIRST_VERSION:
            return None
        number = shift = 0
        for at in range(5, len(state)):
            number |= (state[at] & 127) << shift
            if state[at] < 128:
                break
            shift += 7
        return number >> 1 or None  # zig-zag, never negative

    def wake(self, key: bytes, due: int, realm: Realm) -> bytes:
        """A command that only lets the case look at its deadlines."""
        return self._commands.encode(wake_up(key.decode(), due, realm.value))
