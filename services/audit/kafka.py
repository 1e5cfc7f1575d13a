"""Where the audit of timers takes its reader of topics from."""

from __future__ import annotations

from services.adapters.topic_log import Ends, Log, committed

__all__ = ["Ends", "Log", "committed"]
