"""page: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class Page(msgspec.Struct, frozen=True):
    """What became of a notification: whom the notifier told over which channel. Exactly one for each notification."""

    page_id: str
    notification_id: str
    case_id: str
    kind: str
    realm: str
    cause: str
    target_kind: str
    target: str
    target_level: str
    step: int
    urgency: int
    division: str
    county: str
    case_number: str
    title: str
    case_seq: int
    round: int
    clock: str
    status: str
    reason: str
    persons: tuple[str, ...]
    channels: tuple[str, ...]
    results: tuple[str, ...]
    told: int
    notified_at: int
    at: int
    src_topic: str
    src_partition: int
    src_offset: int
    src_position: int
