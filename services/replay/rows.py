"""One row of the file to one line of `POST /v1/events:batch`: a mapping compiled for a file's header."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from schemas.bounds import MAX_ID_LENGTH, OLDEST_MS
from schemas.divisions import divisions
from services.replay import places
from services.replay.errors import MappingError, RowRefused
from services.replay.mapping import REFUSE, Mapping, PlaceSpec, TimeSpec, ValueSpec
from services.replay.times import Moment

MAX_HOLDER_LENGTH = 100
SEQUENCE_LIMIT = 1_000_000  # a version is seconds * limit + sequence: still exact in a double, for readers in JavaScript

Row = Sequence[str]


class Mapped(NamedTuple):
    external_id: str
    at: int  # occurred_at, UTC milliseconds
    body: dict[str, Any]  # one line of the batch


class RowMapper:
    """Calls answer Mapped or raise RowRefused. MappingError when the header lacks a column that the mapping names."""

    def __init__(self, mapping: Mapping, header: Sequence[str]) -> None:
        self._header = {name: index for index, name in enumerate(header)}
        self._kind = mapping.kind
        self._external_id = self._template("external_id", mapping.external_id)
        self._time_column = self._column("time.column", mapping.time.column)
        self._time = mapping.time_rule(mapping.time).compile()
        self._type = self._values("type", mapping.type)
        self._place = self._places(mapping.place)
        self._optional: list[tuple[str, Callable[[Row], str | int | None]]] = []
        if mapping.state:
            self._optional.append(("state", self._values("state", mapping.state)))
        if mapping.grade:
            self._optional.append(("grade", self._values("grade", mapping.grade)))
        if mapping.holder:
            self._optional.append(("holder", self._holder(mapping.holder.template)))
        if mapping.due:
            self._optional.append(("due_at", self._due(mapping.due)))
        for name in ("reassignments", "reopens"):
            column = getattr(mapping.counters, name)
            if column:
                self._optional.append((name, self._whole_number(f"counters.{name}", column)))
        self._version = self._versions(mapping) if mapping.source_version else None

    def __call__(self, row: Row) -> Mapped:
        external_id = self._external_id(row)
        if not external_id:
            raise RowRefused("external_id_empty", "a column of external_id is empty")
        if len(external_id) > MAX_ID_LENGTH:
            raise RowRefused("external_id_too_long", f"{len(external_id)} characters, at most {MAX_ID_LENGTH}")
        moment = self._time(row[self._time_column])
        if moment.ms < OLDEST_MS:
            raise RowRefused("time_too_old", f"{moment.text} is before 2000-01-01")
        body: dict[str, Any] = {
            "kind": self._kind,
            "external_id": external_id,
            "type": self._type(row),
            "division": self._place(row),
            "occurred_at": moment.text,
        }
        if self._version:
            body["source_version"] = self._version(row, moment)
        for name, read in self._optional:
            value = read(row)
            if value is not None:
                body[name] = value
        return Mapped(external_id, moment.ms, body)

    def _column(self, key: str, name: str) -> int:
        if name not in self._header:
            raise MappingError(key, f"the file has no column {name!r}")
        return self._header[name]

    def _template(self, key: str, template: str) -> Callable[[Row], str | None]:
        """None when one of its columns is empty."""
        pieces: list[tuple[str, int]] = []
        tail = ""
        try:
            for text, field, _, _ in string.Formatter().parse(template):
                if field is None:
                    tail = text
                else:
                    pieces.append((text, self._column(key, field)))
        except ValueError as error:
            raise MappingError(key, f"{template!r}: {error}") from None
        if not pieces:
            raise MappingError(key, f"{template!r} names no {{column}}")

        def read(row: Row) -> str | None:
            if any(not row[index] for _, index in pieces):
                return None
            return "".join(text + row[index] for text, index in pieces) + tail

        return read

    def _holder(self, template: str) -> Callable[[Row], str | None]:
        text = self._template("holder.template", template)

        def read(row: Row) -> str | None:
            holder = text(row)
            if holder and len(holder) > MAX_HOLDER_LENGTH:
                raise RowRefused("holder_too_long", f"{len(holder)} characters, at most {MAX_HOLDER_LENGTH}")
            return holder

        return read

    def _due(self, spec: TimeSpec) -> Callable[[Row], str | None]:
        """None where the column is empty."""
        index, read = self._column("due.column", spec.column), Mapping.time_rule(spec).compile()
        return lambda row: read(row[index]).text if row[index] else None

    def _values(self, key: str, spec: ValueSpec) -> Callable[[Row], str | int]:
        indices = [self._column(f"{key}.columns", name) for name in spec.columns]
        exact = {name: value for name, value in spec.map.items() if not name.endswith("*")}
        prefixes = sorted(((name[:-1], value) for name, value in spec.map.items() if name.endswith("*")), key=lambda pair: -len(pair[0]))
        found: dict[str, str | int] = {}

        def look_up(text: str) -> str | int:
            value = exact.get(text)
            if value is None:
                value = next((value for prefix, value in prefixes if text.startswith(prefix)), spec.default)
            return value

        def read(row: Row) -> str | int:
            text = "/".join([row[index] for index in indices])
            value = found.get(text)
            if value is None:
                value = found[text] = look_up(text)
            if value == REFUSE:
                raise RowRefused(f"{key}_not_mapped", f"no {key} for {text[:80]!r}")
            return value

        return read

    def _whole_number(self, key: str, name: str) -> Callable[[Row], int | None]:
        index = self._column(key, name)

        def read(row: Row) -> int | None:
            text = row[index]
            if not text:
                return None
            if not (text.isascii() and text.isdigit()) or len(text) > 9:
                raise RowRefused("bad_number", f"{name} is {text[:40]!r}")
            return int(text)

        return read

    def _versions(self, mapping: Mapping) -> Callable[[Row, Moment], int]:
        spec = mapping.source_version
        assert spec is not None
        name = spec.column or spec.sequence
        index = self._column("source_version", name) if name else None

        def number(row: Row, limit: int) -> int:
            text = row[index] if index is not None else "0"
            if not (text.isascii() and text.isdigit()) or int(text) >= limit:
                raise RowRefused("bad_version", f"{name} is {text[:40]!r}; a whole number below {limit} is needed")
            return int(text)

        if spec.column:
            return lambda row, _moment: number(row, 1 << 63)
        return lambda row, moment: moment.ms // 1000 * SEQUENCE_LIMIT + number(row, SEQUENCE_LIMIT)

    def _places(self, spec: PlaceSpec) -> Callable[[Row], str]:
        indices = [self._column("place.columns", name) for name in spec.columns]
        known = divisions()
        invented = places.invented(spec.weight) if spec.rule == "invented" else None

        def read(row: Row) -> str:
            values = [row[index] for index in indices]
            if invented:
                text = places.first_filled(values)
                if not text:
                    raise RowRefused("place_empty", f"all of {', '.join(spec.columns)} are empty")
                return invented(text)
            text = "/".join(values)
            code = text if spec.rule == "code" and text in known else spec.map.get(text, spec.default)
            if code == REFUSE:
                raise RowRefused("place_not_mapped", f"no division for {text[:80]!r}")
            return code

        return read
