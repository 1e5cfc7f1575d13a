"""Metrics of the supervisor."""

from __future__ import annotations

import time

from prometheus_client import Counter, Gauge

from services.clock import now_ms

RESTARTS = Counter("liandong_restarts_total", "Times a process ended unasked and was started again", ["process"])
CLOCK_SKEW = Gauge("liandong_clock_skew_seconds", "How far the wall clock has moved against the monotonic clock since the start")


def watch_clock() -> None:
    """Takes this moment as the one from which the clock's skew is measured; a step of the clock shows at once."""
    offset = now_ms() / 1000 - time.monotonic()
    CLOCK_SKEW.set_function(lambda: now_ms() / 1000 - time.monotonic() - offset)
