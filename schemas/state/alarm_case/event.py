"""alarm_case: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class AlarmCase(msgspec.Struct, frozen=True):
    """State of one alarm line (a device, person or matter of one sender) and of its last round, in the alarm table."""

    case_id: str
    case_number: str
    seq: int
    now: int
    state: str
    division: str
    county: str
    level: str
    alarm_class: str
    title: str
    holder: str
    holder_level: str
    round: int
    press_count: int
    paged_at: int
    acknowledged_by: str
    acknowledged_at: int
    closed_at: int
    device: str
    subject: str
    producer: str
    opened_at: int
    policy_version: str
    calendar_version: str
    home_cluster: str
    ownership_epoch: int
    recent: bytes
    step: int = 0
