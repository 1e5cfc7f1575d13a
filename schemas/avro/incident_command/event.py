"""incident_command: see v2.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class IncidentCommand(msgspec.Struct, frozen=True):
    """What is asked of a case: a capture, an observed fact, or a desk's command. The only input of the case lane."""

    command_id: str
    case_id: str
    name: str
    realm: str
    expected_seq: int
    division: str
    incident_type: str
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
    state: str
    source_version: int
    holder: str
    reassignments: int
    reopens: int
    grade: int
    org: str
    reason: str
    cell: str
    sealed_ref: str
    evidence: bool
    src_topic: str
    src_partition: int
    src_offset: int
    src_position: int
    home_cluster: str
    level: str = ""
    orgs: tuple[str, ...] = ()
    until: int = 0
    purpose: str = ""
    amount: int = 0
    rung: str = ""
    paper: str = ""
    target: str = ""
    person: str = ""
    score: int = 0
    response_level: int = 0
    linked: tuple[str, ...] = ()
    linked_at: int = 0
    policy_version: str = ""
    due_at: int = 0
    stage: str = ""
    whom: str = ""
