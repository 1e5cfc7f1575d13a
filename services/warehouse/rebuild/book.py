"""What a rebuild has done so far, in a table of a database of its own; and the order, a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.process import write_private
from services.warehouse.backend import Handle, Warehouse, expand_engines

ASIDE = "liandong_rebuild"  # also holds the old tables while a rebuild is under way
STEPS = ("begun", "aside", "cut", "carried", "filling", "done")
TABLE = f"""
CREATE TABLE IF NOT EXISTS {ASIDE}.steps
(
    number UInt64,
    step String,
    note String,
    at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{engine:MergeTree}}
ORDER BY number
"""
ORDER_FILE = "rebuild.json"


def order_of(data_dir: Path) -> int:
    """Number of the rebuild that was asked for last; 0 for none."""
    try:
        return int(json.loads((data_dir / ORDER_FILE).read_text(encoding="utf-8"))["order"])
    except (FileNotFoundError, ValueError, KeyError):
        return 0


def place_order(data_dir: Path, order: int) -> None:
    """`order`: higher than any before (UTC milliseconds)."""
    write_private(data_dir / ORDER_FILE, json.dumps({"order": order}))


def forget_order(data_dir: Path, order: int) -> None:
    """It is done; a newer one stays."""
    if order_of(data_dir) == order:
        (data_dir / ORDER_FILE).unlink()


class Book:
    """`step` "" when no rebuild was ever begun. `note` grows from step to step: order, ends, cuts, carried rows, what is missing."""

    def __init__(self, handle: Handle, replicated: bool = False) -> None:
        self._handle, self._replicated = handle, replicated
        self.step, self.note, self._number = "", dict[str, Any](), 0
        self.read()

    def read(self) -> Book:
        there = self._handle.rows(f"SELECT 1 FROM system.tables WHERE database = '{ASIDE}' AND name = 'steps'")
        rows = self._handle.rows(f"SELECT number, step, note FROM {ASIDE}.steps ORDER BY number DESC LIMIT 1") if there else []
        if rows:
            self._number, self.step, self.note = rows[0]["number"], rows[0]["step"], json.loads(rows[0]["note"])
        return self

    @property
    def under_way(self) -> bool:
        return self.step not in ("", "done")

    def write(self, step: str, **more: Any) -> None:
        """One row: the step is there or it is not."""
        if step == STEPS[0]:
            self._handle.run(f"CREATE DATABASE IF NOT EXISTS {ASIDE}")
            self._handle.run(expand_engines(TABLE, self._replicated))
            self.note = {}
        self.note |= more
        self.step, self._number = step, self._number + 1
        note = json.dumps(self.note).replace("\\", "\\\\").replace("'", "\\'")
        self._handle.run(f"INSERT INTO {ASIDE}.steps (number, step, note) VALUES ({self._number}, '{step}', '{note}')")


def is_begun(warehouse: Warehouse) -> bool:
    """Whether old tables are being put aside: then nobody else may make tables."""
    with warehouse.reader() as handle:
        return Book(handle).step == STEPS[0]
