"""alarm_command: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class AlarmCommand(msgspec.Struct, frozen=True):
    """What is asked of an alarm: a press, or what a responder or desk does about it. The only input of the alarm lane."""

    command_id: str
    case_id: str
    name: str
    realm: str
    expected_seq: int
    division: str
    alarm_class: str
    device: str
    subject: str
    actor_person: str
    actor_org: str
    actor_role: str
    actor_level: str
    actor_division: str
    occurred_at: int
    occurred_offset: int
    received_at: int
    cause: str
    producer: str
    org: str
    reason: str
    mended: str
    cell: str
    sealed_ref: str
    src_topic: str
    src_partition: int
    src_offset: int
    src_position: int
    home_cluster: str
    round: int = 0
    step: int = 0
