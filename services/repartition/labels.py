"""What a record becomes on its way into another log: labelled places in headers and payload. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from schemas import registry
from schemas.headers import COPIED, ORIGIN, SRC, SRC_BEFORE
from schemas.topics import LOG
from services.sink.marks import source_of

OURS = (COPIED, ORIGIN, SRC_BEFORE)
PLACES = {"dead_letter": ("topic", "src_topic")}
"""Fields that name a topic beside an offset, where it is not `src_topic` alone."""
FIXED = {"boolean": 1, "float": 4, "double": 8, "null": 0}
FRAME = 5

Headers = Sequence[tuple[str, bytes]]
Place = tuple[str, int, int]  # topic with its log, partition, offset


def place_of(value: bytes) -> Place:
    """ "<log>/incident.events:3:120" as parts. ValueError for anything else."""
    topic, partition, offset = value.decode("ascii").rsplit(":", 2)
    return topic, int(partition), int(offset)


def copied_from(headers: Iterable[tuple[str, bytes]]) -> Place | None:
    """Where a copy was taken from; None for a record of this log."""
    return _place(headers, COPIED)


def origin_of(headers: Iterable[tuple[str, bytes]]) -> Place | None:
    """Where a copy was first written; None for a record of this log."""
    return _place(headers, ORIGIN)


def source_before(headers: Iterable[tuple[str, bytes]]) -> tuple[str, tuple[int, int]] | None:
    """The source a record had when it was first written, labelled if it is a copy; as `marks.source_of`."""
    found = dict(headers)
    if ORIGIN not in found:
        return source_of(headers)
    return source_of([(SRC, found[SRC_BEFORE])]) if SRC_BEFORE in found else None


def copied_headers(headers: Headers, log: str, place: Place) -> list[tuple[str, bytes]]:
    """Headers of the copy of a record that stands at `place` of cluster `log`."""
    topic, partition, offset = place
    here = f"{log}{LOG}{topic}:{partition}:{offset}".encode("ascii")
    kept = [(name, value) for name, value in headers if name != COPIED]
    again = any(name == ORIGIN for name, _ in kept)
    try:
        source = source_of(kept)
    except ValueError:  # nobody can read it: it stays unreadable
        return [*kept, (COPIED, here), *([] if again else [(ORIGIN, here)])]
    kept = [(name, value) for name, value in kept if name != SRC]
    if not again:
        kept.append((ORIGIN, here))
        if source:
            name, at = source
            kept.append((SRC_BEFORE, f"{labelled(name, log)}:{at[0]}:{at[1]}".encode("ascii")))
    return [(SRC, here + b":0"), *kept, (COPIED, here)]


def labelled(topic: str, log: str) -> str:
    """The topic with its log's name, unless it has one or is empty."""
    return topic if not topic or LOG in topic else f"{log}{LOG}{topic}"


def label(value: bytes | None, log: str) -> bytes | None:
    """The payload with its places labelled; unchanged when it is not one whole datum of a known schema."""
    return _spliced(value, lambda text: labelled(text, log))


def unlabel(value: bytes | None, log: str) -> bytes | None:
    """Takes off exactly what `label` put on."""
    prefix = f"{log}{LOG}"
    return _spliced(value, lambda text: text.removeprefix(prefix))


def _place(headers: Iterable[tuple[str, bytes]], wanted: str) -> Place | None:
    for name, value in headers:
        if name == wanted:
            return place_of(value)
    return None


def _spliced(value: bytes | None, change: Any) -> bytes | None:
    if value is None or len(value) < FRAME or value[0] != 0:
        return value
    fields = _fields(int.from_bytes(value[1:FRAME], "big"))
    if not any(wanted for wanted, _ in fields):
        return value
    out, since = [], 0
    try:
        at = FRAME
        for wanted, kind in fields:
            end = _skip(value, at, kind)
            if wanted:
                length, start = _long(value, at)
                text = change(value[start : start + length].decode())
                out += [value[since:at], _sized(text.encode())]
                since = end
            at = end
    except (IndexError, UnicodeDecodeError):
        return value
    return b"".join([*out, value[since:]]) if at == len(value) else value


@cache
def _fields(schema_id: int) -> tuple[tuple[bool, Any], ...]:
    """Of each field whether it is a place, and its type; none for an unknown schema."""
    known = registry.by_id().get(schema_id)
    if known is None:
        return ()
    places = PLACES.get(known.name, ("src_topic",))
    return tuple((field["name"] in places, field["type"]) for field in known.parsed["fields"])


def _skip(value: bytes, at: int, kind: Any) -> int:
    """The place after one value of an Avro type. IndexError when the bytes end before it."""
    if isinstance(kind, list):
        index, at = _long(value, at)
        return _skip(value, at, kind[index]) if index >= 0 else _beyond()
    if isinstance(kind, dict):
        if kind["type"] == "record":
            for field in kind["fields"]:
                at = _skip(value, at, field["type"])
            return at
        if kind["type"] == "array":
            return _skip_array(value, at, kind["items"])
        kind = kind["type"]
    if kind in FIXED:
        return _checked(value, at + FIXED[kind])
    length, at = _long(value, at)
    if kind in ("int", "long", "enum"):
        return at
    if kind in ("string", "bytes"):
        return _checked(value, at + length) if length >= 0 else _beyond()
    raise NotImplementedError(f"Avro type {kind!r}: teach services/repartition/labels.py to skip it")


def _skip_array(value: bytes, at: int, items: Any) -> int:
    while True:
        count, at = _long(value, at)
        if count == 0:
            return at
        if count < 0:
            _, at = _long(value, at)
        for _ in range(abs(count)):
            at = _skip(value, at, items)


def _checked(value: bytes, at: int) -> int:
    return at if at <= len(value) else _beyond()


def _beyond() -> int:
    raise IndexError("the datum is shorter than its schema says")


def _long(value: bytes, at: int) -> tuple[int, int]:
    """Avro's zig-zag integer, and the place after it."""
    number = shift = 0
    while True:
        byte = value[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number >> 1 ^ -(number & 1), at
        shift += 7
        if shift > 63:
            _beyond()


def _sized(raw: bytes) -> bytes:
    rest, out = len(raw) << 1, bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out) + raw
