"""The generated writers say, byte for byte, what fastavro says, and the generated readers read what it reads, for every type."""

from __future__ import annotations

import contextlib
import io
import types
from typing import Any, Union, get_args, get_origin

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import registry
from schemas.decoding import reader
from schemas.encoding import writer

NUMBERS = {"long": 63, "int": 31}
PLAIN = {"string": st.text(max_size=300), "bytes": st.binary(max_size=300), "boolean": st.booleans(), "double": st.floats(allow_nan=False)}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Data of an Avro type as fastavro takes it."""
    if isinstance(kind, list):
        return st.none() | values(kind[1])
    if isinstance(kind, dict) and kind["type"] == "record":
        return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in kind["fields"]})
    if isinstance(kind, dict):
        return st.lists(values(kind["items"]), max_size=3)
    if kind in NUMBERS:
        return st.integers(-(1 << NUMBERS[kind]), (1 << NUMBERS[kind]) - 1) | st.integers(-2, 9000)
    return PLAIN[kind]


def object_of(data: Any) -> Any:
    """As a writer takes it: fields are attributes."""
    if isinstance(data, dict):
        return types.SimpleNamespace(**{name: object_of(value) for name, value in data.items()})
    return tuple(map(object_of, data)) if isinstance(data, list) else data


def written(version: registry.SchemaVersion, data: st.DataObject) -> tuple[Any, bytes]:
    """Fields by chance, and what fastavro writes of them."""
    fields, out = data.draw(values(version.parsed)), io.BytesIO()
    fastavro.schemaless_writer(out, version.parsed, fields)
    return fields, out.getvalue()


@pytest.mark.parametrize("version", registry.versions(), ids=lambda version: f"{version.name}-v{version.version}")
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_generated_writer_says_what_fastavro_says(version: registry.SchemaVersion, data: st.DataObject) -> None:
    fields, datum = written(version, data)
    assert writer(version.parsed)(object_of(fields)) == datum


@pytest.mark.parametrize("wrong", [{"a": None}, {"a": "text"}, {"a": 1 << 63}, {"a": -(1 << 63) - 1}, {}])
def test_what_is_no_number_or_too_large_is_not_written(wrong: dict[str, Any]) -> None:
    write = writer({"type": "record", "name": "X", "fields": [{"name": "a", "type": "long"}]})
    with pytest.raises((TypeError, OverflowError, AttributeError)):
        write(types.SimpleNamespace(**wrong))


def test_types_that_are_not_ours_have_no_writer() -> None:
    for kind in ({"type": "map", "values": "string"}, ["null", "string", "long"]):
        with pytest.raises(TypeError):
            writer({"type": "record", "name": "X", "fields": [{"name": "a", "type": kind}]})


NEWEST = list({version.name: version for version in sorted(registry.versions(), key=lambda one: one.version)}.values())


class Many(msgspec.Struct):
    many: tuple[int, ...]


def struct_of(kind: Any, python: Any, data: Any) -> Any:
    """What a reader must give for what fastavro gives."""
    if data is None or not isinstance(data, dict | list):
        return data
    if get_origin(python) in (Union, types.UnionType):
        python = next(part for part in get_args(python) if part is not type(None))
        kind = kind[1]
    if isinstance(data, list):
        return tuple(struct_of(kind["items"], get_args(python)[0], one) for one in data)
    kinds = {field.name: field.type for field in msgspec.structs.fields(python)}
    return python(**{field["name"]: struct_of(field["type"], kinds[field["name"]], data[field["name"]]) for field in kind["fields"]})


@pytest.mark.parametrize("version", NEWEST, ids=lambda version: version.name)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_generated_reader_reads_what_fastavro_reads(version: registry.SchemaVersion, data: st.DataObject) -> None:
    fields, datum = written(version, data)
    cls = registry.struct(version.name)
    assert reader(version.parsed, cls)(b"head" + datum, 4) == (struct_of(version.parsed, cls, fields), 4 + len(datum))


@pytest.mark.parametrize("version", NEWEST, ids=lambda version: version.name)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_bytes_that_are_no_record_are_refused_by_both_or_read_alike(version: registry.SchemaVersion, data: st.DataObject) -> None:
    datum = bytearray(written(version, data)[1])
    for _ in range(data.draw(st.integers(1, 3))):
        datum[data.draw(st.integers(0, len(datum) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(datum[: data.draw(st.integers(0, len(datum)))] if data.draw(st.booleans()) else datum)
    cls = registry.struct(version.name)
    found: Any = Ellipsis
    wanted: Any = Ellipsis
    with contextlib.suppress(Exception):
        record, end = reader(version.parsed, cls)(cut, 0)
        found = record if end == len(cut) else Ellipsis
    body = io.BytesIO(cut)
    with contextlib.suppress(Exception):
        read = fastavro.schemaless_reader(body, version.parsed, None)
        wanted = struct_of(version.parsed, cls, read) if body.tell() == len(cut) else Ellipsis
    alike = repr(found) == repr(wanted)  # as `==` but for what is not a number, which a changed byte may make
    assert alike or found is Ellipsis, "what ours reads is what fastavro reads; it may be stricter"


def test_blocks_of_an_array_that_say_their_size_are_read() -> None:
    schema = {"type": "record", "name": "X", "fields": [{"name": "many", "type": {"type": "array", "items": "long"}}]}
    assert reader(schema, Many)(b"\x03\x04\x02\x04" + b"\x02\x06" + b"\x00", 0) == (Many((1, 2, 3)), 7)


@pytest.mark.parametrize("datum", [b"\x02" + b"\xff" * 11, b"\xfe\xff\xff\xff\x0f", b"\x04\x02", b"\x02\x80", b""])
def test_numbers_too_large_counts_without_items_and_ends_in_the_midst_are_refused(datum: bytes) -> None:
    schema = {"type": "record", "name": "X", "fields": [{"name": "many", "type": {"type": "array", "items": "long"}}]}
    with pytest.raises((ValueError, IndexError)):
        reader(schema, Many)(datum, 0)


def test_a_reader_whose_struct_has_other_fields_is_not_made() -> None:
    for field in ({"name": "much", "type": "long"}, {"name": "many", "type": {"type": "map", "values": "string"}}):
        with pytest.raises(TypeError):
            reader({"type": "record", "name": "X", "fields": [field]}, Many)
