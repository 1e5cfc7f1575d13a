"""The case lane: the one writer of cases. Commands in, events and outcomes out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from aiokafka import ConsumerRecord

from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.errors import InvalidPayload, Reason
from schemas.realms import REALMS
from schemas.state.incident_case.event import IncidentCase
from schemas.topics import OUTCOMES, realm_of
from streams.domain.core import Emit, Source
from streams.domain.incident.decide import decide


class CaseProcessor:
    has_outbox = True
    co_partitioned = True

    def __init__(self) -> None:
        self._commands = codec(IncidentCommand)
        self._states = codec(IncidentCase)

    def process(self, record: ConsumerRecord, source: Source, state: bytes) -> tuple[bytes, Sequence[Emit]]:
        command = self._commands.decode(record.value)
        if record.key != command.case_id.encode() or command.realm not in REALMS:
            raise InvalidPayload(Reason.BAD_KEY, "the key is not the case_id, or the realm is none of ours")
        before = self._states.decode(state) if state else None
        decision = decide(before, command, source, record.timestamp)
        after = state if decision.state is before else self._states.encode(decision.state) if decision.state else b""
        return after, decision.emits

    def bury(self, record: ConsumerRecord, source: Source, state: bytes, reason: Reason) -> Sequence[Emit]:
        """Every command has an outcome, a dead one too; what cannot be read is left empty."""
        command = None
        with contextlib.suppress(InvalidPayload):
            command = self._commands.decode(record.value)
        realm = realm_of(record.topic)
        key = command.case_id if command else (record.key or b"").decode("utf-8", "replace")
        outcome = Outcome(
            command_id=command.command_id if command else "",
            case_id=key,
            realm=realm.value,
            outcome="dead",
            reason=reason.value,
            rule="",
            case_seq=0,
            name=command.name if command else "",
            producer=command.producer if command else "",
            division=command.division if command else "",
            received_at=record.timestamp,
            src_topic=source.topic,
            src_partition=source.partition,
            src_offset=source.offset,
            src_position=3,
        )
        return (Emit(OUTCOMES, realm.value, key, outcome, 3),)
