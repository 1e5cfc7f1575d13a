"""notification: see v2.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class Notification(msgspec.Struct, frozen=True):
    """Somebody is to be told, now. Written by the lane that decided it; the notifier carries it out and nobody else
    does."""

    notification_id: str
    case_id: str
    kind: str
    realm: str
    type: str
    cause: str
    target_kind: str
    target: str
    target_level: str
    step: int
    urgency: int
    category: str
    division: str
    county: str
    case_number: str
    case_seq: int
    round: int
    press_count: int
    title: str
    reason: str
    command_id: str
    policy_version: str
    occurred_at: int
    received_at: int
    src_topic: str
    src_partition: int
    src_offset: int
    src_position: int
    clock: str = ""
    clock_holder: str = ""
    clock_due_at: int = 0
    ack_by: int = 0
