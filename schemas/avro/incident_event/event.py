"""incident_event: see v2.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec

from schemas.state.clock import Clock


class IncidentEvent(msgspec.Struct, frozen=True):
    """What happened to a case. Exactly one for each applied command; enough of before and after to compute every
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
    incident_type: str
    type_from: str
    county: str
    county_from: str
    state: str
    state_from: str
    holder: str
    holder_level: str
    grade: int
    round: int
    reassignments: int
    reopens: int
    mirrored: bool
    producer: str
    title: str
    reason: str
    rule: str
    cell: str
    sealed_ref: str
    opened_at: int
    wakes_at: int = 0
    light: str = ""
    light_from: str = ""
    clock: str = ""
    clock_holder: str = ""
    clock_due_at: int = 0
    clock_breached_at: int = 0
    due_at: int = 0
    upstream_state: str = ""
    upstream_level: str = ""
    suspended_reason: str = ""
    suspension_ends_at: int = 0
    review_at: int = 0
    supervised_rung: str = ""
    reply_due_at: int = 0
    response_level: int = 0
    lead: str = ""
    open_tasks: int = 0
    target: str = ""
    merged_into: str = ""
    merged_count: int = 0
    earliest_at: int = 0
    paper: str = ""
    score: int = 0
    person: str = ""
    tell: str = ""
    tell_level: str = ""
    held_ms: int = 0
    clocks: tuple[Clock, ...] = ()
    step: int = 0
    ack_by: int = 0
    stage: str = ""
    source_due_at: int = 0
    holder_level_from: str = ""
    offered_level_from: str = ""
