"""Clocks for tests: rules, and moments of Shanghai as people write them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from schemas.calendar import Calendar, calendar
from schemas.clocks import Rule, Unit
from schemas.ids import CHINA
from schemas.state.clock import Clock
from streams.domain.clocks.clock import pause, resume, start

CAL = calendar("cn-2020-2026")
HOUR = 3_600_000


def at(text: str) -> int:
    """UTC milliseconds of "2026-02-14 09:00" in Shanghai."""
    return int(datetime.fromisoformat(f"{text}+08:00").timestamp() * 1000)


def written(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M")


def rule(unit: Unit, budget: int, **more: Any) -> Rule:
    return Rule(purpose="handle", policy="sla_test 1", source="Test 1", unit=unit, budget=budget, **more)


def begun(of: Rule, started_at: str, cal: Calendar = CAL) -> Clock:
    return start(of, cal, at(started_at), "440305-desk", "county")


def paused(clock: Clock, of: Rule, since: str, until: str) -> Clock:
    return resume(pause(clock, of, "appraisal", at(since), "lead"), of, CAL, at(until))


def due_of(clock: Clock) -> str:
    return written(clock.due_at)
