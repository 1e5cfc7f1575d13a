"""Limits at every entrance: time, size, length. Beyond them a payload is refused, never cut."""

from __future__ import annotations

from datetime import datetime

from schemas.errors import InvalidPayload, Reason

MAX_BODY_BYTES = 256 * 1024  # one event
MAX_BATCH_BYTES = 32 * 1024 * 1024
MAX_BATCH_LINES = 10_000
MAX_ID_LENGTH = 200
MAX_TEXT_LENGTH = 4_000
MAX_REASON_LENGTH = 500  # of an administrator's act
OLDEST_MS = 946_684_800_000  # 2000-01-01: a backfill of years is welcome, a broken clock is not
FARTHEST_MS = 4_102_444_800_000  # 2100-01-01: targets such as 2059 stand for "never" in real files
FUTURE_MS = 10 * 60_000  # clocks differ; ten minutes is generous


def check_occurred_at(occurred_at: int, now: int, pointer: str = "/occurred_at") -> None:
    """Both in UTC milliseconds. Raises InvalidPayload."""
    if occurred_at < OLDEST_MS:
        raise InvalidPayload(Reason.TIME_TOO_OLD, "before 2000-01-01", pointer)
    if occurred_at > now + FUTURE_MS:
        raise InvalidPayload(Reason.TIME_IN_FUTURE, "more than ten minutes in the future", pointer)


def check_due_at(due_at: int, pointer: str = "/due_at") -> None:
    """A target may lie far ahead, but not beyond sense. UTC milliseconds. Raises InvalidPayload."""
    if due_at < OLDEST_MS:
        raise InvalidPayload(Reason.TIME_TOO_OLD, "before 2000-01-01", pointer)
    if due_at > FARTHEST_MS:
        raise InvalidPayload(Reason.TIME_IN_FUTURE, "after 2100-01-01", pointer)


def parse_time(text: str, pointer: str = "/occurred_at") -> tuple[int, int]:
    """RFC 3339 with an offset to (UTC milliseconds, the source's offset in minutes)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidPayload(Reason.BAD_VALUE, f"not an RFC 3339 time: {text[:40]!r}", pointer) from None
    offset = moment.utcoffset()
    if offset is None:
        raise InvalidPayload(Reason.BAD_VALUE, "an offset is missing: write 2026-11-22T08:30:00+08:00", pointer)
    return round(moment.timestamp() * 1000), int(offset.total_seconds() // 60)


def check_length(text: str, limit: int, pointer: str) -> None:
    if len(text) > limit:
        raise InvalidPayload(Reason.TOO_LONG, f"{len(text)} characters, at most {limit}", pointer)
