"""What tests change of a sink: a guard switched off shows that its fault is then seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.sink.streams import Stream
from streams.engine.failpoints import Failpoints


@dataclass(frozen=True, slots=True)
class Options:
    """`during_insert(stream, block, rows)` runs as an insert begins."""

    failpoints: Failpoints
    repair: bool = True
    marks: bool = True
    fence: bool = True
    wait_for_upgrade: bool = True
    during_insert: Callable[[Stream, int, int], None] | None = None
