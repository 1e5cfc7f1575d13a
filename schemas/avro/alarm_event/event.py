"""alarm_event: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class AlarmEvent(msgspec.Struct, frozen=True):
    """What happened to an alarm. Exactly one for each applied command; enough of before and after to compute every
    aggregate from it alone."""

    event_id: str
    case_id: str
    case_seq: int
    type: str
    kind: str
    division: str
    level: str
    realm: str
    actor_person: str
    actor_org: str
    actor_role: str
    actor_level: str
    occurred_at: int
    occurred_offset: int
    received_at: int
    policy_version: str
    calendar_version: str
    cause: str
    src_topic: str
    src_partition: int
    src_offset: int
    src_position: int
    home_cluster: str
    ownership_epoch: int
    command_id: str
    case_number: str
    round: int
    alarm_class: str
    class_from: str
    county: str
    county_from: str
    state: str
    state_from: str
    holder: str
    holder_level: str
    press_count: int
    pages: int
    acknowledged_by: str
    device: str
    subject: str
    producer: str
    title: str
    reason: str
    rule: str
    mended: str
    cell: str
    sealed_ref: str
    opened_at: int
