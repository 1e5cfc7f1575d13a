"""Small helpers shared by tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from schemas.codec import Codec, codec
from streams.domain.core import Decision

T = TypeVar("T")


def blank(cls: type[msgspec.Struct]) -> dict[str, Any]:
    """Every field without a default, as an empty text: what a test does not name stays so."""
    return {field.name: "" for field in msgspec.structs.fields(cls) if field.required}


def assert_can_be_stored(decision: Decision[Any]) -> None:
    """What a decision leaves and says reads back as it was: a value that its schema does not have would stop the lane."""
    records: list[msgspec.Struct | None] = [decision.state, *(emit.record for emit in decision.emits)]
    for record in records:
        if record is not None:
            schema: Codec[Any] = codec(type(record))
            assert schema.decode(schema.encode(record)) == record


def until(probe: Callable[[], T], what: str, seconds: float = 30.0, every: float = 0.05) -> T:
    """Polls `probe` till it answers something true; AssertionError naming `what` when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last answer {found!r}")
        time.sleep(every)
