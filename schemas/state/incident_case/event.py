"""incident_case: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class IncidentCase(msgspec.Struct, frozen=True):
    """State of one incident in the case table."""

    case_id: str
    case_number: str
    seq: int
    now: int
    state: str
    division: str
    county: str
    level: str
    incident_type: str
    title: str
    grade: int
    holder: str
    holder_level: str
    round: int
    reassignments: int
    reopens: int
    objections: int
    mirrored: bool
    source_version: int
    producer: str
    handler_person: str
    opened_at: int
    policy_version: str
    calendar_version: str
    home_cluster: str
    ownership_epoch: int
    recent: bytes
