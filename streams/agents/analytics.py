"""The analytics lane: one signed delta for each event, for screens and rollups."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import ConsumerRecord

from schemas.avro.incident_event.event import IncidentEvent
from schemas.codec import codec
from schemas.errors import InvalidPayload, Reason
from schemas.topics import realm_of
from streams.domain.core import Emit, Source
from streams.domain.incident.deltas import delta


class AnalyticsProcessor:
    has_outbox = False  # a pure function of the record: a repeat is dropped by its src mark
    co_partitioned = True

    def __init__(self) -> None:
        self._events = codec(IncidentEvent)

    def process(self, record: ConsumerRecord, source: Source, state: bytes) -> tuple[bytes, Sequence[Emit]]:
        event = self._events.decode(record.value)
        if event.realm != realm_of(record.topic).value:
            raise InvalidPayload(Reason.BAD_VALUE, "the realm is not the topic's", "/realm")
        return b"", (delta(event, source),)

    def bury(self, record: ConsumerRecord, source: Source, state: bytes, reason: Reason) -> Sequence[Emit]:
        return ()
