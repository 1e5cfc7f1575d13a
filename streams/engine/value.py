"""How a table value is laid out: version, flags, state, outbox; and when its key is to be woken.

    int64 version | uint8 flags | uint32 n | int64 due, only with flag TIMED | n bytes of state | outbox

`version` is the offset of the input that wrote the value: on restore the highest wins, so a zombie's late write cannot
bring back an older state. The outbox holds what the inputs of not yet shipped chunks emitted, so that a replay after a
crash sends the same bytes again even under new code. `due` (UTC milliseconds; engine/wheel.py) stands in the header, so that
timers are found without decoding a state; a value without one is laid out as before there were timers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

HEAD = struct.Struct("<qBI")
TIMED_HEAD = struct.Struct("<qBIq")
ENTRY = struct.Struct("<qqHIIH")  # source offset, timestamp, lengths of topic, key, value; number of headers
HEADER = struct.Struct("<HH")
QUARANTINED = 1
TIMED = 2  # of the layout only: `Value.flags` never has it

Headers = list[tuple[str, bytes]]
Part = dict[bytes, bytes]  # the table of one partition


class Output(msgspec.Struct, frozen=True):
    """One record to send."""

    offset: int  # of the input that caused it
    timestamp: int  # of that input; counts in realms on log time, elsewhere the broker stamps
    topic: str
    key: bytes | None
    value: bytes
    headers: Headers


class Value(NamedTuple):
    version: int
    flags: int
    state: bytes  # b"" when there is none
    outbox: bytes
    due: int = 0  # UTC milliseconds; 0: no timer


NOTHING = Value(-1, 0, b"", b"")


def pack(version: int, flags: int, state: bytes, outbox: bytes, due: int = 0) -> bytes:
    if due:
        return TIMED_HEAD.pack(version, flags | TIMED, len(state), due) + state + outbox
    return HEAD.pack(version, flags, len(state)) + state + outbox


def unpack(raw: bytes | None) -> Value:
    if raw is None:
        return NOTHING
    version, flags, length = HEAD.unpack_from(raw)
    start, due = (TIMED_HEAD.size, due_of(raw)) if flags & TIMED else (HEAD.size, 0)
    end = start + length
    return Value(version, flags & ~TIMED, raw[start:end], raw[end:], due)


def version_of(raw: bytes) -> int:
    return int.from_bytes(raw[:8], "little", signed=True)


def due_of(raw: bytes) -> int:
    """0: no timer."""
    return int.from_bytes(raw[HEAD.size : TIMED_HEAD.size], "little") if raw[8] & TIMED else 0


def outbox_at(raw: bytes) -> int:
    """Where the outbox begins."""
    length: int = HEAD.unpack_from(raw)[2]
    return length + (TIMED_HEAD.size if raw[8] & TIMED else HEAD.size)


def without_outbox(raw: bytes) -> bytes:
    """The value once its outputs are acknowledged."""
    end = outbox_at(raw)
    return raw[:end] if len(raw) > end else raw


def pack_output(output: Output) -> bytes:
    topic, key = output.topic.encode(), output.key or b""
    head = ENTRY.pack(output.offset, output.timestamp, len(topic), len(key), len(output.value), len(output.headers))
    parts = [head, topic, key, output.value]
    for name, content in output.headers:
        parts += (HEADER.pack(len(name), len(content)), name.encode(), content)
    return b"".join(parts)


def unpack_outputs(outbox: bytes) -> Iterator[Output]:
    at = 0
    while at < len(outbox):
        offset, timestamp, topic_length, key_length, value_length, count = ENTRY.unpack_from(outbox, at)
        at += ENTRY.size
        topic = outbox[at : (at := at + topic_length)].decode()
        key = outbox[at : (at := at + key_length)]
        value = outbox[at : (at := at + value_length)]
        headers: Headers = []
        for _ in range(count):
            name_length, content_length = HEADER.unpack_from(outbox, at)
            at += HEADER.size
            name = outbox[at : (at := at + name_length)].decode()
            headers.append((name, outbox[at : (at := at + content_length)]))
        yield Output(offset, timestamp, topic, key or None, value, headers)
