"""Incident types, read from reference/event_types.csv."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "reference" / "event_types.csv"


@dataclass(frozen=True, slots=True)
class EventType:
    code: str
    name_zh: str
    name_en: str
    category_zh: str
    category_en: str
    source: str
    certainty: str
    self_handle: bool  # a grid worker may settle it on the spot


PETITIONS = "X"
"""What codes of petitions 信访 begin with."""


def on_walls(code: str) -> bool:
    """Whether cases of this type are counted on walls and other screens of totals. Petitions never are: their number, of a place or in
    time, is shown nowhere, nor can it be worked out as a difference. Their own desks have them in their lists."""
    return not code.startswith(PETITIONS)


@cache
def event_types() -> dict[str, EventType]:
    with FILE.open(encoding="utf-8", newline="") as text:
        return {row["code"]: EventType(**{**row, "self_handle": row["self_handle"] == "true"}) for row in csv.DictReader(text)}  # type: ignore[arg-type]
