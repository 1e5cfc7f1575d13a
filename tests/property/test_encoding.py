"""The generated writers say, byte for byte, what fastavro says, for every version of every type."""

from __future__ import annotations

import io
import types
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import registry
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


@pytest.mark.parametrize("version", registry.versions(), ids=lambda version: f"{version.name}-v{version.version}")
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_generated_writer_says_what_fastavro_says(version: registry.SchemaVersion, data: st.DataObject) -> None:
    fields = data.draw(values(version.parsed))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, version.parsed, fields)
    write = writer(version.parsed)
    assert write(object_of(fields)) == out.getvalue()


@pytest.mark.parametrize("wrong", [{"a": None}, {"a": "text"}, {"a": 1 << 63}, {"a": -(1 << 63) - 1}, {}])
def test_what_is_no_number_or_too_large_is_not_written(wrong: dict[str, Any]) -> None:
    write = writer({"type": "record", "name": "X", "fields": [{"name": "a", "type": "long"}]})
    with pytest.raises((TypeError, OverflowError, AttributeError)):
        write(types.SimpleNamespace(**wrong))


def test_types_that_are_not_ours_have_no_writer() -> None:
    for kind in ({"type": "map", "values": "string"}, ["null", "string", "long"]):
        with pytest.raises(TypeError):
            writer({"type": "record", "name": "X", "fields": [{"name": "a", "type": kind}]})
