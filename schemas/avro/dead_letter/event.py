"""dead_letter: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record nobody could read or decide, with its original bytes."""

    topic: str
    partition: int
    offset: int
    realm: str
    key: bytes | None = None
    value: bytes | None = None
    reason: str
    detail: str
    code_version: str
    lane: str
    received_at: int
    src_topic: str
    src_partition: int
    src_offset: int
    src_position: int
