"""live_delta: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class LiveDelta(msgspec.Struct, frozen=True):
    """A signed change of the aggregates, a pure function of one incident_event: minus one at the old (county, type,
    state), plus one at the new."""

    event_id: str
    case_id: str
    case_seq: int
    case_number: str
    realm: str
    type: str
    title: str
    county: str
    county_from: str
    incident_type: str
    type_from: str
    state: str
    state_from: str
    division: str
    occurred_at: int
    received_at: int
    mirrored: bool
    src_topic: str
    src_partition: int
    src_offset: int
    src_position: int
