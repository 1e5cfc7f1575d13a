"""Readers of Avro data, generated from a schema: the same structs as by fastavro and a dictionary, in less than half the time.

A reader knows one version only, the one whose fields are the struct's; older versions are resolved by fastavro (codec.py).
"""

from __future__ import annotations

import inspect
import struct as binary
from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

Reader = Callable[[bytes, int], tuple[Any, int]]
"""(data, where the datum begins) -> (struct, where it ends). ValueError, IndexError or binary.error for what is no datum: also an end that
lies beyond the data, which the caller compares, means that it was cut off."""
KEPT = 1 << 16
SHORT = 24  # characters of a text that is worth keeping: codes, names of states, desks


def reader(schema: Any, cls: type[msgspec.Struct]) -> Reader:
    """From a datum to its struct. TypeError for a schema with kinds of types that ours do not have, or with other fields."""
    names: dict[str, Any] = {"big": _big, "size": _size, "T": _texts, "text": _text, "double": binary.Struct("<d").unpack_from}
    body: list[str] = []
    made = _record(schema, cls, body, names, 1)
    exec("\n".join(["def read(d, p):", *body, f" return {made}, p"]), names)
    found: Reader = names["read"]
    return found


def _record(schema: Any, cls: type[msgspec.Struct], lines: list[str], names: dict[str, Any], depth: int) -> str:
    """Statements that read each field; answers the expression that makes the struct of them."""
    kinds = {field.name: field.type for field in msgspec.structs.fields(cls)}
    if set(kinds) != {field["name"] for field in schema["fields"]}:
        raise TypeError(f"{cls.__name__} has other fields than its schema")
    parameters = [(one.name, one.kind) for one in inspect.signature(cls).parameters.values()]
    in_order = parameters == [(field["name"], inspect.Parameter.POSITIONAL_OR_KEYWORD) for field in schema["fields"]]
    made = f"c{len(names)}"
    names[made] = cls
    given = []
    for number, field in enumerate(schema["fields"]):
        place = f"v{depth}_{number}"
        _value(field["type"], kinds[field["name"]], place, lines, names, depth)
        given.append(place if in_order else f"{field['name']}={place}")
    return f"{made}({', '.join(given)})"


def _value(kind: Any, python: Any, place: str, lines: list[str], names: dict[str, Any], depth: int) -> None:
    """Statements that read one value into `place`. `python`: the struct's type of it."""
    pad = " " * depth
    if isinstance(kind, dict) and kind["type"] not in ("array", "record"):
        kind = kind["type"]
    if kind in ("string", "bytes"):
        empty, made = ("''", "T.get(t) or text(t)") if kind == "string" else ("b''", "t")
        lines += [
            f"{pad}n = d[p]; p += 1",
            f"{pad}if n:",
            f"{pad} if n & 129: n, p = size(d, p, n)",
            f"{pad} else: n >>= 1",
            f"{pad} t = d[p:p + n]; p += n",
            f"{pad} {place} = {made}",
            f"{pad}else: {place} = {empty}",
        ]
    elif kind in ("int", "long"):
        lines += [
            f"{pad}n = d[p]; p += 1",
            f"{pad}if n > 127: n, p = big(d, p, n)",
            f"{pad}{place} = n >> 1 if not n & 1 else -(n >> 1) - 1",
        ]
    elif kind == "boolean":
        lines += [f"{pad}{place} = d[p] != 0; p += 1"]
    elif kind == "double":
        lines += [f"{pad}{place}, = double(d, p); p += 8"]
    elif isinstance(kind, dict) and kind["type"] == "record":
        lines.append(f"{pad}{place} = {_record(kind, python, lines, names, depth)}")
    elif isinstance(kind, dict):
        _array(kind, python, place, lines, names, depth)
    elif isinstance(kind, list) and len(kind) == 2 and kind[0] == "null" and get_origin(python) in (Union, UnionType):
        inner = next(part for part in get_args(python) if part is not type(None))
        lines += [f"{pad}n = d[p]; p += 1", f"{pad}if n == 2:"]
        _value(kind[1], inner, place, lines, names, depth + 1)
        lines += [f"{pad}elif n: raise ValueError('no such branch')", f"{pad}else: {place} = None"]
    else:
        raise TypeError(f"no reader for {kind!r}")


def _array(kind: Any, python: Any, place: str, lines: list[str], names: dict[str, Any], depth: int) -> None:
    """Blocks of items, each with its count (a negative one is followed by its size in bytes), up to one of none."""
    pad, item = " " * depth, f"i{depth}"
    count = f"k{depth}"
    lines += [
        f"{pad}{place} = ()",
        f"{pad}if d[p]:",
        f"{pad} {item}s = []",
        f"{pad} while True:",
        f"{pad}  n = d[p]; p += 1",
        f"{pad}  if n > 127: n, p = big(d, p, n)",
        f"{pad}  if not n: break",
        f"{pad}  if n & 1:",
        f"{pad}   {count} = (n >> 1) + 1",
        f"{pad}   n = d[p]; p += 1",
        f"{pad}   if n > 127: n, p = big(d, p, n)",
        f"{pad}  else: {count} = n >> 1",
        f"{pad}  if {count} > len(d) - p: raise ValueError('more items than bytes')",
        f"{pad}  while {count}:",
        f"{pad}   {count} -= 1",
    ]
    _value(kind["items"], get_args(python)[0], item, lines, names, depth + 3)
    lines += [f"{pad}   {item}s.append({item})", f"{pad} {place} = tuple({item}s)", f"{pad}else: p += 1"]


_high: dict[bytes, int] = {}  # by their last four bytes, times of six: those of neighbours are the same


def _big(data: bytes, at: int, first: int) -> tuple[int, int]:
    """A number of several bytes, as it stands there (zig-zag), and where it ends. ValueError beyond 64 bits."""
    second = data[at]
    low = first & 127 | (second & 127) << 7
    if second < 128:
        return low, at + 1
    key = data[at + 1 : at + 5]
    rest = _high.get(key)
    if rest is not None:
        return low | rest, at + 5
    number, shift, end = low, 14, at + 1
    while True:
        byte = data[end]
        end += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
    if number >= 1 << 64:
        raise ValueError("a number of more than 64 bits")
    if end - at == 5:
        if len(_high) >= KEPT:
            _high.clear()
        _high[key] = number - low
    return number, end


def _size(data: bytes, at: int, first: int) -> tuple[int, int]:
    """Length of a text or of bytes, and where they begin. ValueError for a negative one, or one beyond the data."""
    number, begin = _big(data, at, first) if first > 127 else (first, at)
    if number & 1 or number >> 1 > len(data) - begin:
        raise ValueError("a length that is none")
    return number >> 1, begin


_texts: dict[bytes, str] = {}


def _text(data: bytes) -> str:
    text = data.decode()
    if len(text) <= SHORT:
        if len(_texts) >= KEPT:
            _texts.clear()
        _texts[data] = text
    return text
