"""Contracts hold together: schema files, structs, examples, ids, topics, compatibility."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest

from schemas import compat, registry
from schemas.codec import Codec
from schemas.errors import InvalidPayload, Reason
from schemas.topics import TOPICS

NAMES = sorted({version.name for version in registry.versions()})
INNER = frozenset({"incident_case", "alarm_case"})  # kept in a table's changelog, which the engine frames itself: no topic lists the type
FROZEN = {1: "incident_report 1", 2: "incident_command 1", 3: "incident_event 1", 4: "outcome 1", 5: "live_delta 1",
          6: "dead_letter 1", 7: "audit_entry 1", 8: "sealed 1", 9: "incident_case 1",
          10: "alarm_command 1", 11: "alarm_event 1", 12: "notification 1", 13: "alarm_case 1",
          14: "incident_command 2", 15: "incident_event 2", 16: "incident_case 2",
          17: "notification 2", 18: "page 1", 19: "duty_event 1", 20: "people_record 1", 21: "activation 1",
          22: "handover 1"}  # fmt: skip
PYTHON_OF = {"string": str, "bytes": bytes, "long": int, "int": int, "double": float, "boolean": bool}


def _examples(kind: str) -> list[Any]:
    return [
        pytest.param(name, path, id=f"{name}-{path.stem}")
        for name in NAMES
        for path in sorted((registry.folder(name) / "examples" / kind).glob("*.json"))
    ]


def _read(name: str, path: Path) -> msgspec.Struct:
    """A JSON example as a record of its type (bytes are base64); what the type does not hold is refused."""
    data = json.loads(path.read_text(encoding="utf-8"))
    cls = registry.struct(name)
    surplus = set(data) - set(cls.__struct_fields__)
    if surplus:
        raise msgspec.ValidationError(f"unknown fields {sorted(surplus)}")
    return msgspec.convert(data, cls)


@pytest.mark.parametrize("name", NAMES)
def test_a_struct_has_the_fields_of_its_newest_schema_in_order_and_type(name: str) -> None:
    fields = json.loads(registry.latest(name).text)["fields"]
    cls = registry.struct(name)
    assert list(cls.__struct_fields__) == [field["name"] for field in fields]
    hints = {field.name: field for field in msgspec.structs.fields(cls)}
    for field in fields:
        assert _matches(hints[field["name"]].type, field["type"]), field["name"]
        assert hints[field["name"]].required == ("default" not in field), field["name"]
        if "default" in field:
            assert hints[field["name"]].default == (() if field["default"] == [] else field["default"]), field["name"]


def _matches(python: Any, avro: Any) -> bool:
    """Whether a struct's field type is that of the schema, down to the fields of inner records in their order."""
    if isinstance(avro, list):
        inner, none = typing.get_args(python)
        return avro[0] == "null" and none is type(None) and _matches(inner, avro[1])
    if not isinstance(avro, dict):
        return bool(python is PYTHON_OF[avro])
    if avro["type"] == "array":
        inner, dots = typing.get_args(python)
        return typing.get_origin(python) is tuple and dots is ... and _matches(inner, avro["items"])
    fields = msgspec.structs.fields(python)
    same_names = [field.name for field in fields] == [field["name"] for field in avro["fields"]]
    return (
        python.__name__ == avro["name"] and same_names
        and all(_matches(mine.type, its["type"]) for mine, its in zip(fields, avro["fields"], strict=True))
    )  # fmt: skip


@pytest.mark.parametrize(("name", "path"), _examples("valid"))
def test_a_valid_example_comes_back_from_its_bytes(name: str, path: Path) -> None:
    record = _read(name, path)
    codec = Codec(type(record), name)
    assert codec.decode(codec.encode(record)) == record
    assert codec.encode(record) == codec.encode(_read(name, path))


@pytest.mark.parametrize(("name", "path"), _examples("invalid"))
def test_an_invalid_example_is_refused(name: str, path: Path) -> None:
    with pytest.raises(msgspec.ValidationError):
        _read(name, path)


@pytest.mark.parametrize("name", NAMES)
def test_every_type_has_a_valid_and_an_invalid_example(name: str) -> None:
    for kind in ("valid", "invalid"):
        assert list((registry.folder(name) / "examples" / kind).glob("*.json")), kind


@pytest.mark.parametrize("name", NAMES)
def test_another_types_record_is_refused_by_name(name: str) -> None:
    other = next(n for n in NAMES if n != name)
    path = next((registry.folder(other) / "examples" / "valid").glob("*.json"))
    record = _read(other, path)
    with pytest.raises(InvalidPayload) as refused:
        Codec(registry.struct(name), name).decode(Codec(type(record), other).encode(record))
    assert refused.value.reason is Reason.WRONG_TYPE


@pytest.mark.parametrize("cut", [1, 4, 5, 6, 20])
def test_bytes_that_are_cut_short_or_too_long_are_refused(cut: int) -> None:
    path = next((registry.folder("outcome") / "examples" / "valid").glob("*.json"))
    record = _read("outcome", path)
    codec = Codec(type(record), "outcome")
    whole = codec.encode(record)
    for wrong in (whole[:cut], whole + b"\0"):
        with pytest.raises(InvalidPayload):
            codec.decode(wrong)


def test_released_ids_never_change() -> None:
    assert {v.id: f"{v.name} {v.version}" for v in registry.versions() if v.id in FROZEN} == FROZEN


def test_ids_and_versions_are_unique_and_every_schema_file_has_one() -> None:
    versions = registry.versions()
    assert len({v.id for v in versions}) == len(versions)
    files = {(p.parent.name, int(p.stem[1:])) for base in ("avro", "state") for p in (registry.ROOT / base).glob("*/v*.avsc")}
    assert {(v.name, v.version) for v in versions} == files


def test_every_topics_types_exist_and_every_type_is_routed_by_a_topic() -> None:
    routed = {name for topic in TOPICS for name in topic.types}
    assert routed <= set(NAMES)
    assert set(NAMES) - routed == INNER


def test_every_topic_names_its_key_its_writers_and_where_its_dead_letters_go() -> None:
    names = {topic.name for topic in TOPICS}
    assert len(names) == len(TOPICS)
    for topic in TOPICS:
        assert topic.key
        assert topic.writers
        assert topic.dead_letters == "" or topic.dead_letters in names


@pytest.mark.parametrize("version", registry.versions(), ids=lambda v: f"{v.name}-v{v.version}")
def test_a_released_version_goes_with_all_earlier_ones(version: registry.SchemaVersion) -> None:
    assert compat.conflicts(version.name, version.text) == []


def _changed(name: str, change: str) -> str:
    schema = json.loads(registry.latest(name).text)
    fields = schema["fields"]
    if change == "field without default":
        fields.append({"name": "fresh", "type": "string"})
    elif change == "field with default":
        fields.append({"name": "fresh", "type": "string", "default": ""})
    elif change == "field removed":
        fields.pop()
    elif change == "type changed":
        fields[0]["type"] = "long"
    elif change == "new words":
        schema["doc"] = "said differently"
    return json.dumps(schema)


@pytest.mark.parametrize(
    ("name", "change", "directions"),
    [
        ("incident_event", "field without default", {"backward"}),
        ("incident_command", "field without default", {"backward"}),
        ("incident_event", "field removed", set()),  # an event only has to be read by newer code
        ("outcome", "field removed", {"forward"}),
        ("outcome", "type changed", {"backward", "forward"}),
        ("incident_event", "type changed", {"backward"}),
        ("incident_case", "field with default", set()),
        ("live_delta", "new words", set()),
    ],
)
def test_the_gate_stops_what_would_not_be_read(name: str, change: str, directions: set[str]) -> None:
    found = compat.conflicts(name, _changed(name, change))
    assert {conflict.direction for conflict in found} == directions
    for conflict in found:
        assert all(place.startswith("/") for place in conflict.locations)
        assert conflict.kinds
        assert conflict.messages
        assert conflict.locations[0] in str(conflict)


def test_words_and_defaults_do_not_make_another_schema() -> None:
    for version in map(registry.latest, NAMES):
        assert compat.canonical(_changed(version.name, "new words")) == compat.canonical(version.text)
        assert compat.canonical(_changed(version.name, "field with default")) not in compat.canonical_versions(version.name)


def test_what_is_no_schema_is_said_to_be_none() -> None:
    for text in ('{"type": "nothing"}', "{", '{"type": "record", "name": "X"}'):
        with pytest.raises(ValueError, match="not an Avro schema"):
            compat.conflicts("outcome", text)
        with pytest.raises(ValueError, match="not an Avro schema"):
            compat.canonical(text)


def test_fastavro_and_avro_agree_that_all_schemas_are_schemas() -> None:
    for version in registry.versions():
        assert fastavro.parse_schema(json.loads(version.text), named_schemas={})
