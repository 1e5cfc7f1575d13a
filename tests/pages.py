"""Notifications, people and windows for tests of the notifier."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas import registry
from schemas.avro.notification.event import Notification
from schemas.avro.page.event import Page
from schemas.codec import codec
from schemas.ids import derived_id
from schemas.page_windows import Limit, page_windows
from schemas.people.records import Channel
from services.ports import Contact
from services.sink.marks import header

START = 1_795_300_000_000
MINUTE, HOUR = 60_000, 3_600_000
DESK = "440305-desk"
EXAMPLE = json.loads((registry.folder("notification") / "examples" / "valid" / "runs_late.json").read_text(encoding="utf-8"))
NOTIFICATIONS, PAGES = codec(Notification), codec(Page)
SMALL = msgspec.structs.replace(
    page_windows(), windows={"sms": (Limit(1, "1 minute"), Limit(3, "15 minutes")), "webhook": (Limit(2, "1 minute"),)}
)
"""Windows that a short history fills."""


def notification(number: int = 0, **given: Any) -> Notification:
    """Of a case of its own by number: an incident whose handling runs late, told to a desk."""
    case = derived_id("test", 0, number, 0, 0)
    fields = EXAMPLE | {
        "notification_id": f"n-{number}",
        "case_id": case,
        "target": DESK,
        "target_kind": "desk",
        "case_number": f"C-{number}",
    }
    return msgspec.convert(fields | {"title": f"事项 {number}"} | given, Notification)


def person(name: str, *kinds: str) -> Contact:
    """Addresses are `<name>@<kind>`."""
    return Contact(name, f"姓名 {name}", tuple(Channel(kind, f"{name}@{kind}") for kind in kinds))


@dataclass
class Told:
    """A record of topic notifications, as a consumer gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = field(default=())


def record(asked: Notification, partition: int, offset: int, at: int, said: int | None = None) -> Told:
    """`said`: offset of the command that caused it, in the lane's mark; None: without one."""
    marks = () if said is None else (header("incident.commands", partition, said, 17),)
    return Told("notifications", partition, offset, at, asked.case_id.encode(), NOTIFICATIONS.encode(asked), marks)
