"""The mapping format: a TOML file that says how one department's columns become our incidents or facts.

`load` checks the whole file before a row is read (unknown keys, codes we do not know); README.md explains every key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from schemas.divisions import divisions
from schemas.event_types import event_types
from schemas.realms import Realm
from services.replay.errors import MappingError
from services.replay.times import TimeRule
from streams.domain.incident.table import State

REFUSE = "refuse"
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class FileSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    encoding: str = "utf-8"
    delimiter: Annotated[str, msgspec.Meta(min_length=1, max_length=1)] = ","
    sort: tuple[str, ...] = ()  # columns; `seq:int` sorts by number


class TimeSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    column: str
    zone: str = ""
    format: str = ""
    ambiguous: Literal["earlier", "later", "refuse"] = "refuse"
    nonexistent: Literal["forward", "refuse"] = "refuse"


class ValueSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Columns joined by `/`, looked up in `map`: exactly, else the longest key `PREFIX*`, else `default`."""

    columns: tuple[str, ...]
    map: dict[str, str | int] = {}
    default: str | int = REFUSE


class VersionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either a `column` with a whole number, or the event time with a `sequence` column for rows of the same second."""

    column: str = ""
    sequence: str = ""


class HolderSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    template: str  # left out of the fact when a column it names is empty


class CountersSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reassignments: str = ""
    reopens: str = ""


class PlaceSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: Literal["code", "map", "invented"]
    columns: tuple[str, ...]
    map: dict[str, str] = {}
    default: str = REFUSE
    weight: Literal["equal", "villages"] = "equal"


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    kind: Literal["incident", "fact"]
    external_id: str  # template, e.g. "cad:{number}": unique over everything its producer ever sends
    time: TimeSpec
    type: ValueSpec
    place: PlaceSpec
    title: str = ""
    source: str = ""
    licence: str = ""
    invented_places: bool = False
    file: FileSpec = FileSpec()
    source_version: VersionSpec | None = None
    state: ValueSpec | None = None
    holder: HolderSpec | None = None
    grade: ValueSpec | None = None
    due: TimeSpec | None = None
    counters: CountersSpec = CountersSpec()

    def check_realm(self, realm: Realm) -> None:
        """Invented places never reach a realm that pages people or counts in an index. Raises MappingError."""
        if self.invented_places and realm in (Realm.LIVE, Realm.DRILL):
            raise MappingError("invented_places", f"this mapping invents places, so realm {realm.value} is refused; use replay or sandbox")

    @staticmethod
    def time_rule(spec: TimeSpec) -> TimeRule:
        return TimeRule(spec.column, ZoneInfo(spec.zone) if spec.zone else None, spec.format, spec.ambiguous, spec.nonexistent)


def load(path: Path) -> Mapping:
    """Reads and checks a mapping file. Raises MappingError that names the key."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Mapping)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MappingError(str(path), str(error)) from None
    except msgspec.ValidationError as error:
        detail, _, where = str(error).partition(" - at ")
        raise MappingError(where.strip("`$.") or path.name, detail) from None
    _check(found)
    return found


def _check(mapping: Mapping) -> None:
    for name, spec in (("time", mapping.time), ("due", mapping.due)):
        zone = spec.zone if spec else ""
        try:
            ZoneInfo(zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise MappingError(f"{name}.zone", f"{zone!r} is no zone of the tz database") from None
    if mapping.kind == "incident" and mapping.due is not None:
        raise MappingError("due", 'only a fact has a target of its source: say kind = "fact"')
    if (mapping.place.rule == "invented") != mapping.invented_places:
        raise MappingError("invented_places", "must be true exactly when place.rule is `invented`")
    if mapping.kind == "fact" and (mapping.state is None or mapping.source_version is None):
        raise MappingError("state", "a fact needs [state] and [source_version]")
    if mapping.kind == "incident" and mapping.state is not None:
        raise MappingError("state", 'an incident has no state of its own: say kind = "fact" to follow another system\'s cases')
    _check_values("type", mapping.type, lambda value: str(value) in event_types())
    _check_values("state", mapping.state, lambda value: str(value) in frozenset(State))
    _check_values("grade", mapping.grade, lambda value: value in (1, 2, 3, 4))
    known = divisions()
    for key, code in (*mapping.place.map.items(), ("default", mapping.place.default)):
        if code not in known and code != REFUSE:
            raise MappingError(f"place.map.{key}", f"{code!r} is no division of the register")
    if not (mapping.type.columns or mapping.type.default != REFUSE) or not mapping.place.columns:
        raise MappingError("columns", "type and place need at least one column (type may have a default instead)")


def _check_values(key: str, spec: ValueSpec | None, known: Callable[[str | int], bool]) -> None:
    for name, value in (*spec.map.items(), ("default", spec.default)) if spec else ():
        if value != REFUSE and not known(value):
            raise MappingError(f"{key}.map.{name}" if name != "default" else f"{key}.default", f"{value!r} is not known")
