"""What a new data directory knows of the move into it. Imports nothing heavy: `liandong up` asks it."""

from __future__ import annotations

from pathlib import Path

from services.embedded.state import read_state

NOTE = "repartition.json"


def unfinished(data_dir: Path) -> bool:
    """Whether a repartitioning into this directory was begun and not ended."""
    note = read_state(data_dir / NOTE)
    return bool(note) and not note["done"]
