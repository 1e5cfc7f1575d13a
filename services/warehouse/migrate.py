"""Numbered, frozen, forward-only migrations, and the golden dump of what they make."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from services.warehouse.backend import DATABASE, SQL_FILES, Handle, Warehouse, expand_engines

BOOK = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version UInt32,
    name String,
    sha256 String,
    statement UInt32
)
ENGINE = {engine:MergeTree}
ORDER BY (version, statement)
"""
CLAUSE = re.compile(r" (ENGINE|PARTITION BY|ORDER BY|SETTINGS|AS SELECT|FROM|ARRAY JOIN|WHERE|GROUP BY) ?")
NAME = re.compile(r"^(\d{4})_(\w+)\.sql$")


class EditedMigration(Exception):
    """A migration that was applied has another text now: write a new one instead."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sha256: str
    statements: tuple[str, ...]


def migrations(folder: Path = SQL_FILES) -> list[Migration]:
    """In order. ValueError when a number is missing or taken twice."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = NAME.match(path.name)
        if match:
            text = path.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), match[2], hashlib.sha256(text.encode()).hexdigest(), statements(text)))
    if [m.version for m in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations are not numbered 1, 2, 3 …: {[m.version for m in found]}")
    return found


def statements(text: str) -> tuple[str, ...]:
    """Statements end with a semicolon at the end of a line; comment lines are dropped."""
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return tuple(part.strip() for part in re.split(r";\s*(?:\n|$)", bare) if part.strip())


def migrate(warehouse: Warehouse, folder: Path = SQL_FILES) -> list[str]:
    """Applies what is new and answers its names. EditedMigration when an applied file was edited.

    Each statement is written down when it is done, so a kill between two statements is continued, not repeated.
    """
    handle = warehouse.handle()
    handle.run(expand_engines(BOOK, warehouse.replicated))
    done: dict[int, tuple[str, int]] = {}
    for row in handle.rows("SELECT version, any(sha256) AS sha256, max(statement) AS statement FROM schema_migrations GROUP BY version"):
        done[row["version"]] = (row["sha256"], row["statement"])
    applied = []
    for migration in migrations(folder):
        sha256, last = done.get(migration.version, (migration.sha256, 0))
        if sha256 != migration.sha256:
            raise EditedMigration(f"{migration.version:04}_{migration.name}.sql was applied and then edited: add a new migration instead")
        if last == len(migration.statements):
            continue
        for number, statement in enumerate(migration.statements[last:], last + 1):
            _apply(handle, expand_engines(statement, warehouse.replicated), repeated=number == last + 1)
            handle.run(
                "INSERT INTO schema_migrations (version, name, sha256, statement) VALUES "
                f"({migration.version}, '{migration.name}', '{migration.sha256}', {number})"
            )
        applied.append(f"{migration.version:04}_{migration.name}")
    handle.close()
    return applied


def _apply(handle: Handle, statement: str, repeated: bool) -> None:
    """The first statement after a stop may already have been done: creating is then asked for only if missing."""
    if repeated:
        statement = re.sub(r"^CREATE (TABLE|MATERIALIZED VIEW|VIEW) (?!IF NOT EXISTS)", r"CREATE \1 IF NOT EXISTS ", statement)
    handle.run(statement)


def dump(warehouse: Warehouse) -> str:
    """Every table and view as the engine describes it, by name: the golden text of schema.sql."""
    with warehouse.reader() as handle:
        rows = handle.rows(
            "SELECT create_table_query AS ddl FROM system.tables WHERE database = {database:String} ORDER BY name", {"database": DATABASE}
        )
    return "".join(pretty(row["ddl"].replace(f"{DATABASE}.", "")) + ";\n\n" for row in rows)


def pretty(ddl: str) -> str:
    """One column a line, so that a change is one line of a diff."""
    ddl = ddl.replace("`", "")
    head, brace, rest = ddl.partition(" (")
    depth, parts, start = 1, [], 0
    for index, character in enumerate(rest):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 1:
            parts.append(rest[start:index].strip())
            start = index + 1
        if depth == 0:
            parts.append(rest[start:index].strip())
            tail = CLAUSE.sub(r"\n\1 ", rest[index + 1 :])
            return head + "\n(\n    " + ",\n    ".join(parts) + "\n)" + tail
    return ddl if not brace else head + brace + rest
