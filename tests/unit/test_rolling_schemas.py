"""A release reads version v+1 of a schema before any release writes it, so old and new workers understand each other."""

from __future__ import annotations

import json
from collections.abc import Iterator

import fastavro
import msgspec
import pytest

from schemas import registry
from schemas.codec import Codec
from schemas.registry import SchemaVersion


class Old(msgspec.Struct, frozen=True):
    name: str


class New(msgspec.Struct, frozen=True):
    name: str
    colour: str


def version(number: int, *, written: bool) -> SchemaVersion:
    fields: list[dict[str, str]] = [{"name": "name", "type": "string"}]
    if number == 2:
        fields.append({"name": "colour", "type": "string", "default": "grey"})
    text = json.dumps({"type": "record", "name": "Thing", "fields": fields})
    return SchemaVersion(900 + number, "thing", number, text, fastavro.parse_schema(json.loads(text), named_schemas={}), written)


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SchemaVersion]]:
    """The versions that the registry holds; filled by the test."""
    held: list[SchemaVersion] = []
    monkeypatch.setattr(registry, "versions", lambda: tuple(held))
    registry.latest.cache_clear()
    yield held
    registry.latest.cache_clear()


def test_a_version_that_is_only_read_is_not_written_and_the_next_release_is_understood(released: list[SchemaVersion]) -> None:
    released += [version(1, written=True)]
    oldest = Codec(Old, "thing")
    released += [version(2, written=False)]
    between = Codec(New, "thing")
    assert between.encode(New("a", "red")) == oldest.encode(Old("a"))
    assert between.decode(oldest.encode(Old("a"))) == New("a", "grey")
    released[1] = version(2, written=True)
    registry.latest.cache_clear()
    newest = Codec(New, "thing")
    assert between.decode(newest.encode(New("a", "red"))) == New("a", "red")
    assert newest.decode(between.encode(New("a", "red"))) == New("a", "grey")
