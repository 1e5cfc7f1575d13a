"""Files through the pure core: mapped, taken by the gateway's intake, decided in order on log time, with no platform running."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.principals import Kind, Principal
from schemas.realms import Realm
from schemas.state.clock import Clock, key_of
from schemas.state.incident_case.event import IncidentCase
from services.clock import now_ms
from services.gateway.intake import Context, line
from services.replay.rows import Mapped
from streams.domain.core import Decision, Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up

PRODUCER = Principal("demo-producer", Kind.PRODUCER, "", "demo", "department", "province", "440000", (Realm.REPLAY,))


@dataclass
class Lived:
    """What came of a file, by external id."""

    states: dict[str, IncidentCase] = field(default_factory=dict)
    clocks: dict[str, dict[tuple[str, str, int], Clock]] = field(default_factory=dict)  # folded from the events
    refused: dict[str, int] = field(default_factory=dict)  # by reason
    told: int = 0  # events of a clock's marks
    notified: int = 0

    def take(self, external_id: str, decision: Decision[IncidentCase]) -> None:
        if decision.state:
            self.states[external_id] = decision.state
        for emit in decision.emits:
            if isinstance(emit.record, IncidentEvent):
                held = self.clocks.setdefault(external_id, {})
                held |= {key_of(clock): clock for clock in emit.record.clocks}
                self.told += emit.record.cause == "timer"
            elif isinstance(emit.record, Outcome) and emit.record.reason:
                self.refused[emit.record.reason] = self.refused.get(emit.record.reason, 0) + 1
            self.notified += isinstance(emit.record, Notification)


def lived(mapped: Iterable[Mapped], end: int = 0) -> Lived:
    """`end`: how far the log goes on, UTC milliseconds: what is due by then is told."""
    context = Context(PRODUCER, Realm.REPLAY, now_ms(), fingerprint=lambda data: data.hex())
    life, now, offset = Lived(), 0, 0
    for offset, row in enumerate(mapped):
        command = line(msgspec.json.encode(row.body), context).command
        assert isinstance(command, IncidentCommand)
        now = max(now, command.occurred_at)  # the log's own time
        life.take(row.external_id, decide(life.states.get(row.external_id), command, Source("incident.commands", 0, offset), now))
    for external_id, state in list(life.states.items()):
        if state.next_due:
            offset += 1
            woken = wake_up(state.case_id, state.next_due, Realm.REPLAY.value)
            life.take(external_id, decide(state, woken, Source("incident.commands", 0, offset), max(now, end)))
    return life
