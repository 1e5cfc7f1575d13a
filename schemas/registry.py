"""What schemas there are: reads `avro/` and `state/` and joins them with the frozen ids of `ids.lock`. Data only."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import msgspec

ROOT = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    id: int
    name: str  # folder name, e.g. incident_event
    version: int
    text: str  # the .avsc as committed
    parsed: Any  # fastavro's parsed form
    written: bool = True  # False: read by this release, written by the next

    @property
    def subject(self) -> str:
        """Record subject, used where one topic carries several types."""
        return f"liandong.{class_name(self.name)}"


def class_name(name: str) -> str:
    """incident_event -> IncidentEvent."""
    return "".join(part.capitalize() for part in name.split("_"))


def folder(name: str) -> Path:
    """The one place of an event or state type."""
    for base in ("avro", "state"):
        path = ROOT / base / name
        if path.is_dir():
            return path
    raise KeyError(name)


@cache
def versions() -> tuple[SchemaVersion, ...]:
    """Every released schema version, in id order."""
    found = []
    for line in (ROOT / "ids.lock").read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        schema_id, name, version, *only_read = line.split()
        text = (folder(name) / f"v{version}.avsc").read_text(encoding="utf-8")
        parsed = fastavro.parse_schema(json.loads(text), named_schemas={})
        found.append(SchemaVersion(int(schema_id), name, int(version), text, parsed, only_read != ["read"]))
    return tuple(found)


@cache
def by_id() -> dict[int, SchemaVersion]:
    return {v.id: v for v in versions()}


@cache
def latest(name: str) -> SchemaVersion:
    """Newest version of a type that is written. KeyError if there is no such type."""
    found = [version for version in versions() if version.name == name and version.written]
    if not found:
        raise KeyError(f"no schema named {name}")
    return max(found, key=lambda version: version.version)


@cache
def struct(name: str) -> type[msgspec.Struct]:
    """The Python class of a type: class IncidentEvent in schemas/avro/incident_event/event.py."""
    base = folder(name).parent.name
    module = importlib.import_module(f"schemas.{base}.{name}.event")
    found: type[msgspec.Struct] = getattr(module, class_name(name))
    return found
