"""The compatibility gate: may a new schema version stand beside the released ones?

Events stay for ever, so new code must read all old ones (BACKWARD_TRANSITIVE). Commands, derived records and state are read
by the release before and after as well (FULL_TRANSITIVE): a rolling upgrade runs both at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import fastavro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import parse

from schemas import registry


class Mode(StrEnum):
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


EVENTS = frozenset({"incident_event", "alarm_event", "audit_entry"})


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why two versions don't go together; the library names kinds, places and messages without saying which belong together."""

    version: int  # the released version it clashes with
    direction: str  # "backward": the new one can't read the old; "forward": the old can't read the new
    kinds: tuple[str, ...]  # e.g. reader_field_missing_default_value
    locations: tuple[str, ...]  # JSON Pointers into the reader's schema
    messages: tuple[str, ...]  # e.g. the field's name

    def __str__(self) -> str:
        where, what = ", ".join(self.locations), ", ".join(self.kinds)
        return f"version {self.version}, {self.direction}, at {where}: {what} ({'; '.join(self.messages)})"


def mode_of(name: str) -> Mode:
    """The rule for a type."""
    return Mode.BACKWARD_TRANSITIVE if name in EVENTS else Mode.FULL_TRANSITIVE


def conflicts(name: str, text: str) -> list[Conflict]:
    """What keeps the schema `text` from becoming the next version of type `name`; empty: nothing. ValueError if it is no
    Avro schema."""
    fresh = _parsed(text)
    found: list[Conflict] = []
    for old in registry.versions():
        if old.name != name:
            continue
        released = parse(old.text)
        found += _check(old.version, "backward", reader=fresh, writer=released)
        if mode_of(name) is Mode.FULL_TRANSITIVE:
            found += _check(old.version, "forward", reader=released, writer=fresh)
    return found


def _check(version: int, direction: str, *, reader: Any, writer: Any) -> list[Conflict]:
    verdict = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)  # type: ignore[no-untyped-call]
    if verdict.compatibility is SchemaCompatibilityType.compatible:
        return []
    kinds = sorted({kind.value for kind in verdict.incompatibilities})
    exact = sorted(place for place in verdict.locations if place != "/") or ["/"]
    return [Conflict(version, direction, tuple(kinds), tuple(exact), tuple(sorted(verdict.messages)))]


def canonical(text: str) -> str:
    """Avro's parsing canonical form: equal for schemas that read and write the same bytes. ValueError if it is no schema."""
    _parsed(text)
    form: str = fastavro.schema.to_parsing_canonical_form(fastavro.parse_schema(json.loads(text), named_schemas={}))
    return form


def _parsed(text: str) -> Any:
    try:
        return parse(text)
    except (AvroException, ValueError) as error:
        raise ValueError(f"not an Avro schema: {error}") from error


@cache
def canonical_versions(name: str) -> dict[str, registry.SchemaVersion]:
    """Released versions of a type by their canonical form."""
    return {canonical(v.text): v for v in registry.versions() if v.name == name}
