"""handover: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class Handover(msgspec.Struct, frozen=True):
    """Work between levels: what one desk hands, asks or answers another. Written by the case lane to the desk that must
    look now."""

    handover_id: str
    case_id: str
    case_number: str
    case_seq: int
    case_kind: str
    realm: str
    kind: str
    to_desk: str
    to_level: str
    to_org: str
    from_desk: str
    from_level: str
    due_at: int
    reason: str
    rule: str
    rung: str
    paper: str
    task: str
    division: str
    county: str
    incident_type: str
    grade: int
    title: str
    state: str
    holder: str
    holder_level: str
    round: int
    policy_version: str
    command_id: str
    opened_at: int
    occurred_at: int
    received_at: int
    home_cluster: str
    ownership_epoch: int
    src_topic: str
    src_partition: int
    src_offset: int
    src_position: int
