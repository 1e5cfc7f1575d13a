"""The one table of Kafka headers: what processes tell each other beside a record's bytes."""

from __future__ import annotations

from collections.abc import Iterable

SRC = "src"  # the record's source, "<topic>:<partition>:<offset>:<position>" in ASCII: set on all that our processes derive
COPIED = "liandong-copied"  # "<log>/<topic>:<partition>:<offset>" a repartitioning took this copy from
ORIGIN = "liandong-origin"  # the same of where a copy was first written
SRC_BEFORE = "liandong-src"  # the `src` a copy had when it was first written; its `src` is that of the last copying
REPLAYED = "replayed"  # a dead letter sent again: the cause is believed gone, so a quarantined case gets another try
DIVISION = "division"  # of an alarm command: its desk is found even when its bytes can't be read
WAKE = "wake"  # this record is a lane's own wake-up for a timer due then (UTC milliseconds in ASCII); no command of anybody
TRACE = "traceparent"  # W3C Trace Context


def derived(headers: Iterable[tuple[str, bytes]]) -> bool:
    """Whether one of our processes wrote the record, not a department: it names a source; of a copy, the original did."""
    names = {name for name, _ in headers}
    return (SRC_BEFORE if ORIGIN in names else SRC) in names
