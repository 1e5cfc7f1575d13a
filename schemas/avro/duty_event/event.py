"""duty_event: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class DutyEvent(msgspec.Struct, frozen=True):
    """What the notifier found or did that answers no notification: a gap in a roster, the bundle of what had
    waited for a person."""

    duty_event_id: str
    type: str
    realm: str
    desk: str
    person: str
    channel: str
    starts_at: int
    ends_at: int
    count: int
    case_number: str
    at: int
