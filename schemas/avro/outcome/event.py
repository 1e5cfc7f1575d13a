"""outcome: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    """The answer to a command: exactly one, and never silence."""

    command_id: str
    case_id: str
    realm: str
    outcome: str
    reason: str
    rule: str
    case_seq: int
    name: str
    producer: str
    division: str
    received_at: int
    src_topic: str
    src_partition: int
    src_offset: int
    src_position: int
