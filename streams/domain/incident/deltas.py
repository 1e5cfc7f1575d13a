"""The signed change that one incident event makes to the aggregates: a pure function of that event."""

from __future__ import annotations

from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.live_delta.event import LiveDelta
from schemas.topics import LIVE_DELTAS
from streams.domain.core import Emit, Source


def delta(event: IncidentEvent, source: Source) -> Emit:
    """Minus one at the old (county, type, state), plus one at the new; the first event has no old."""
    record = LiveDelta(
        event_id=event.event_id,
        case_id=event.case_id,
        case_seq=event.case_seq,
        case_number=event.case_number,
        realm=event.realm,
        type=event.type,
        title=event.title,
        county=event.county,
        county_from=event.county_from,
        incident_type=event.incident_type,
        type_from=event.type_from,
        state=event.state,
        state_from=event.state_from,
        division=event.division,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        mirrored=event.mirrored,
        src_topic=source.topic,
        src_partition=source.partition,
        src_offset=source.offset,
        src_position=0,
    )
    return Emit(LIVE_DELTAS, event.realm, event.case_id, record, 0)
