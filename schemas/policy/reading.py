"""Strict reading that tells everything at once: each departure from the types of `documents`, with its place and what is allowed."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from schemas.policy.documents import KINDS, Document

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a document."""

    document: str  # its file
    pointer: str  # JSON Pointer (RFC 6901) into it, "" for the whole
    wrong: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.document} {self.pointer or '(whole)'}: {self.wrong}. Allowed: {self.allowed}."


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """By document and place, each once; /clocks/2 stands before /clocks/10."""
    return sorted(set(faults), key=lambda fault: (fault.document, [part.zfill(6) for part in fault.pointer.split("/")], fault.wrong))


def read_document(text: str, file: str) -> tuple[Document | None, list[Fault]]:
    """A document of the kind it names; None when there are faults."""
    data, faults = _parsed(text, file)
    if faults:
        return None, faults
    kind = data.get("kind")
    cls = KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        wrong = f"{kind!r} is no kind of policy" if "kind" in data else "is missing"
        return None, [Fault(file, "/kind", wrong, ", ".join(KINDS))]
    return convert(data, cls, file)


def read_table(text: str, cls: type[T], file: str) -> tuple[T | None, list[Fault]]:
    """A TOML text as one struct; None when there are faults."""
    data, faults = _parsed(text, file)
    return (None, faults) if faults else convert(data, cls, file)


def convert(data: Any, cls: type[T], file: str) -> tuple[T | None, list[Fault]]:
    faults = [Fault(file, pointer, wrong, allowed) for pointer, wrong, allowed in _walk(data, inspect.type_info(cls), "")]
    return (None, faults) if faults else (msgspec.convert(data, cls), [])


def _parsed(text: str, file: str) -> tuple[dict[str, Any], list[Fault]]:
    try:
        return tomllib.loads(text), []
    except tomllib.TOMLDecodeError as error:
        return {}, [Fault(file, "", f"is no TOML: {error}", "TOML 1.0")]


Found = tuple[str, str, str]  # pointer, wrong, allowed


def _walk(value: Any, info: inspect.Type, pointer: str) -> Iterator[Found]:
    kind, said = _plain(info)
    if isinstance(kind, inspect.StructType):
        yield from _struct(value, kind, pointer)
    elif isinstance(kind, inspect.VarTupleType):
        if not isinstance(value, list) or len(value) < (kind.min_length or 0):
            yield pointer, _not(value), f"a list of {_allowed(kind.item_type)}"
            return
        for index, item in enumerate(value):
            yield from _walk(item, kind.item_type, f"{pointer}/{index}")
    elif isinstance(kind, inspect.DictType):
        if not isinstance(value, dict):
            yield pointer, _not(value), "a table"
            return
        for name, item in value.items():
            yield from _walk(name, kind.key_type, f"{pointer}/{_escaped(name)}")
            yield from _walk(item, kind.value_type, f"{pointer}/{_escaped(name)}")
    elif not _fits(value, kind):
        yield pointer, _not(value), said or _allowed(kind)


def _struct(value: Any, kind: inspect.StructType, pointer: str) -> Iterator[Found]:
    names = [field.encode_name for field in kind.fields]
    if not isinstance(value, dict):
        yield pointer, _not(value), f"a table with {', '.join(names)}"
        return
    for surplus in sorted(set(value) - set(names)):
        near = difflib.get_close_matches(surplus, names, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        yield f"{pointer}/{_escaped(surplus)}", f"there is no such field{meant}", ", ".join(names)
    for field in kind.fields:
        at = f"{pointer}/{field.encode_name}"
        if field.encode_name in value:
            yield from _walk(value[field.encode_name], field.type, at)
        elif field.required:
            yield at, "is missing", _allowed(field.type)


def _plain(info: inspect.Type) -> tuple[inspect.Type, str]:
    """The type without its wrappers (TOML has no null: an absent field is the None of an optional one), and its own words."""
    said = ""
    while True:
        if isinstance(info, inspect.Metadata):
            said = (info.extra_json_schema or {}).get("description", said)
            info = info.type
        elif isinstance(info, inspect.UnionType):
            info = next(option for option in info.types if not isinstance(option, inspect.NoneType))
        else:
            return info, said


def _fits(value: Any, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.EnumType):
        return isinstance(value, str) and value in kind.cls._value2member_map_
    if isinstance(kind, inspect.StrType):
        length = len(value) if isinstance(value, str) else -1
        within = (kind.min_length or 0) <= length <= (kind.max_length or 1000)
        return within and (kind.pattern is None or re.search(kind.pattern, value) is not None)
    if isinstance(kind, inspect.BoolType):
        return isinstance(value, bool)
    if isinstance(kind, inspect.DateType):
        return isinstance(value, date) and not isinstance(value, datetime)
    if isinstance(kind, inspect.IntType):
        return type(value) is int and (kind.ge is None or value >= kind.ge) and (kind.le is None or value <= kind.le)
    raise TypeError(f"documents hold no {kind}")


def _allowed(info: inspect.Type) -> str:
    kind, said = _plain(info)
    if said:
        return said
    if isinstance(kind, inspect.EnumType):
        return ", ".join(kind.cls._value2member_map_)
    if isinstance(kind, inspect.StructType):
        return "tables"
    if isinstance(kind, inspect.VarTupleType):
        return f"a list of {_allowed(kind.item_type)}"
    names = {inspect.BoolType: "true or false", inspect.DateType: "a date such as 2026-01-31 (no quotes)", inspect.StrType: "text"}
    return names.get(type(kind), "a table")


def _not(value: Any) -> str:
    shown = repr(value.isoformat() if isinstance(value, date) else value)
    return f"{shown if len(shown) <= 60 else shown[:57] + '…'} is not allowed"


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
