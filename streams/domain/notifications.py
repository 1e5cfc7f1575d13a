"""Notification records: somebody is to be told, now. What the lanes that decide it share. Pure."""

from __future__ import annotations

from typing import Any

from schemas import ids
from schemas.avro.notification.event import Notification
from schemas.topics import NOTIFICATIONS
from streams.domain.commands import Case, Command
from streams.domain.core import Emit, Source

PAGE_TYPE = "page"  # somebody must act now
DESK, HEAD = "desk", "head"  # kinds of targets: a desk's people on duty, a desk's head


def notification(source: Source, position: int, now: int, key: str, realm: str, **said: Any) -> Emit:
    """`position`: among what the record causes; `now`: append time of that record, UTC milliseconds; `key`: the case; `said`: the other
    fields."""
    record = Notification(
        notification_id=ids.derived_id(*source, position, now),
        case_id=key,
        realm=realm,
        type=PAGE_TYPE,
        src_topic=source.topic,
        src_partition=source.partition,
        src_offset=source.offset,
        src_position=position,
        **said,
    )
    return Emit(NOTIFICATIONS, realm, key, record, position)


def about_case(case: Case, command: Command, now: int) -> dict[str, Any]:
    """The fields that say which case, and what caused it."""
    return {
        "division": case.division,
        "county": case.county,
        "case_number": case.case_number,
        "case_seq": case.seq,
        "round": case.round,
        "title": case.title,
        "command_id": command.command_id,
        "policy_version": case.policy_version,
        "occurred_at": command.occurred_at,
        "received_at": command.received_at or now,
    }
