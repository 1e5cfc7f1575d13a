"""The one place that reads the wall clock; everything below takes time as an argument."""

from __future__ import annotations

import time


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000
