"""Avro passthrough: the bytes of Kafka records become one Avro container without being decoded.

A container's schema is the writer's schema with six fields in front (block, month, topic, partition, offset, record time) and one behind,
by which the engine sees that the datum ended where its bytes end. Each row is an Avro block of its own: whatever a foreign writer put
behind a datum never reaches the next row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Protocol

from schemas import registry
from services.warehouse.backend import END, ENDING

LEADING = (("_blk", "long"), ("_month", "int"), ("_topic", "string"), ("_part", "int"), ("_off", "long"), ("_ts", "long"))
SYNC = b"liandong-block!\n"  # fixed, so that equal rows give equal bytes
FRAME = 5
_TAILS = 1 << 16
_SIZES = 1 << 14


class Kept(Protocol):
    """A Kafka record, as far as a row needs it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes


def varint(number: int) -> bytes:
    """Avro's zig-zag variable-length integer."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > 127:
        out.append((rest & 127) | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def text(value: str) -> bytes:
    raw = value.encode()
    return varint(len(raw)) + raw


@cache
def header(schema_id: int) -> bytes:
    """Magic, metadata and sync marker of a container for this writer schema. KeyError for an unknown id."""
    schema = json.loads(registry.by_id()[schema_id].text)
    schema["fields"] = [{"name": name, "type": type_} for name, type_ in LEADING] + schema["fields"]
    schema["fields"].append({"name": END, "type": "long"})
    written = json.dumps(schema, separators=(",", ":")).encode()
    pairs = text("avro.schema") + varint(len(written)) + written + text("avro.codec") + text("null")
    return b"Obj\x01" + varint(2) + pairs + varint(0) + SYNC


class _Tails:
    """Variable-length integers of numbers that differ mostly in their last 13 bits: offsets and times of neighbours."""

    def __init__(self) -> None:
        self._low = [bytes(((low & 127) | 128, (low >> 7) | 128)) for low in range(1 << 14)]
        self._high: dict[int, bytes] = {}

    def __call__(self, number: int) -> bytes:
        if number < 8192:
            return varint(number)
        zigzag = number << 1
        high = self._high.get(zigzag >> 14)
        if high is None:
            if len(self._high) > _TAILS:
                self._high.clear()
            rest, out = zigzag >> 14, bytearray()
            while rest > 127:
                out.append((rest & 127) | 128)
                rest >>= 7
            out.append(rest)
            high = self._high[zigzag >> 14] = bytes(out)
        return self._low[zigzag & 16383] + high


_tail = _Tails()
ONE = varint(1)
TRAILING = varint(ENDING) + SYNC
BEHIND = len(TRAILING) - len(SYNC) - FRAME
_sizes = [ONE + varint(size) for size in range(_SIZES)]  # how an Avro block of one row begins


def build(schema_id: int, block: int, month: int, rows: Sequence[Kept]) -> bytes:
    """One container, a row an Avro block. `rows` all carry `schema_id` in their frame; equal rows give equal bytes."""
    lead = varint(block) + varint(month)
    heads: dict[tuple[str, int], bytes] = {}
    parts: list[bytes] = [header(schema_id)]
    put, tail, sizes = parts.append, _tail, _sizes
    for row in rows:
        place = (row.topic, row.partition)
        head = heads.get(place)
        if head is None:
            head = heads[place] = lead + text(row.topic) + varint(row.partition)
        places = head + tail(row.offset) + tail(row.timestamp)
        size = len(places) + len(row.value) + BEHIND
        put(sizes[size] if size < _SIZES else ONE + varint(size))
        put(places)
        put(row.value[FRAME:])
        put(TRAILING)
    return b"".join(parts)
