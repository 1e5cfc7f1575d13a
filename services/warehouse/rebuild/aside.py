"""Putting the old tables aside, and dropping them in the end."""

from __future__ import annotations

from services.warehouse.backend import DATABASE, Handle, scalar
from services.warehouse.rebuild.book import ASIDE

KEPT = ("sink_owners",)  # who may insert is no matter of what is stored
HOLDS_NOTHING = ("View", "MaterializedView", "Null")
NO_LIMIT = "SETTINGS max_table_size_to_drop = 0"


def put_aside(handle: Handle) -> list[str]:
    """Moves every table that holds rows out of the database and drops all else there; answers the tables that lie aside. Done again, it
    also drops what was made new meanwhile: nothing is in that yet that cannot be made again."""
    there = {row["name"]: row["engine"] for row in handle.rows(f"SELECT name, engine FROM system.tables WHERE database = '{DATABASE}'")}
    aside = set(old_tables(handle))
    holding = [name for name, engine in there.items() if engine not in HOLDS_NOTHING and name not in KEPT]
    for name, engine in sorted(there.items(), key=lambda item: item[1] == "Null"):  # an inlet after the views that read it
        if engine in HOLDS_NOTHING:
            handle.run(f"DROP TABLE IF EXISTS {DATABASE}.{name} SYNC")
    for name in holding:
        if name in aside:
            handle.run(f"DROP TABLE {DATABASE}.{name} SYNC {NO_LIMIT}")
        else:
            handle.run(f"RENAME TABLE {DATABASE}.{name} TO {ASIDE}.{name}")
    return old_tables(handle)


def old_tables(handle: Handle) -> list[str]:
    rows = handle.rows(f"SELECT name FROM system.tables WHERE database = '{ASIDE}' AND name != 'steps' ORDER BY name")
    return [row["name"] for row in rows]


def drop_old(handle: Handle) -> None:
    for name in old_tables(handle):
        handle.run(f"DROP TABLE IF EXISTS {ASIDE}.{name} SYNC {NO_LIMIT}")


def is_aside(handle: Handle, table: str) -> bool:
    return bool(scalar(handle, f"SELECT count() FROM system.tables WHERE database = '{ASIDE}' AND name = '{table}'"))
