"""Releases of the future, for rolling upgrades: a copy of the package `schemas` in which one type has a version more than ours."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import fastavro
import msgspec

from schemas import codec as codecs
from schemas import registry

T = TypeVar("T", bound=msgspec.Struct)
FIELD = {"name": "channel", "type": "string", "default": "", "doc": "by which way it came"}
WORD = "web"  # what the later release has in the field
IDS = {"incident_event": 9001, "incident_case": 9002, "incident_command": 9003}  # of their next version


def release(home: Path, name: str, types: Iterable[str], *, written: bool) -> Path:
    """The folder of a release that reads a further version of these types, and writes it or not yet: README's "A new version"."""
    tree = home / f"release-{name}"
    shutil.copytree(registry.ROOT, tree / "schemas", ignore=shutil.ignore_patterns("__pycache__", "examples"))
    for kind in types:
        folder = tree / "schemas" / registry.folder(kind).relative_to(registry.ROOT)
        number = registry.latest(kind).version + 1
        (folder / f"v{number}.avsc").write_text(json.dumps(following(kind)))
        with (folder / "event.py").open("a") as module:
            module.write(f'    channel: str = "{WORD}"\n')
        with (tree / "schemas" / "ids.lock").open("a") as lock:
            lock.write(f"{IDS[kind]} {kind} {number}{'' if written else ' read'}\n")
    return tree


def following(kind: str) -> dict[str, Any]:
    """The next version: one optional field more."""
    schema: dict[str, Any] = json.loads(registry.latest(kind).text)
    return schema | {"fields": [*schema["fields"], FIELD]}


class TolerantCodec(codecs.Codec[T]):
    """Reads the next version as well, into our own struct: what the oracle compares is what both releases know."""

    def __init__(self, cls: type[T], name: str) -> None:
        super().__init__(cls, name)
        if name in IDS:
            self._writers[IDS[name]] = fastavro.parse_schema(following(name), named_schemas={})


def tolerant(cls: type[T]) -> codecs.Codec[T]:
    """In place of schemas.codec.codec."""
    return TolerantCodec(cls, cls.__module__.split(".")[-2])


def channels(values: Iterable[bytes], kind: str) -> Mapping[int, list[str]]:
    """What is in the new field, by version (1: ours, 2: the next), in order."""
    found: dict[int, list[str]] = {1: [], 2: []}
    schema = fastavro.parse_schema(following(kind), named_schemas={})
    for value in values:
        if int.from_bytes(value[1:5], "big") == IDS[kind]:
            record: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
            found[2].append(record["channel"])
        else:
            found[1].append("")
    return found
