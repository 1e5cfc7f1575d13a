"""Bytes and records: Confluent framing (byte 0, four-byte schema id, Avro datum), frozen structs on our side."""

from __future__ import annotations

import io
import struct as binary
from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin

import fastavro
import msgspec

from schemas import registry
from schemas.decoding import reader
from schemas.encoding import writer
from schemas.errors import InvalidPayload, Reason, UnknownSchema

HEADER = binary.Struct(">bI")
T = TypeVar("T", bound=msgspec.Struct)
Turn = Callable[[Any], Any]


class Codec(Generic[T]):
    """Reads every version of one type into its newest struct; writes the newest that the release before this one reads."""

    def __init__(self, cls: type[T], name: str) -> None:
        written = registry.latest(name)
        self.name = name
        self.cls = cls
        self.schema_id = written.id
        self._head = HEADER.pack(0, written.id)
        self._latest = max((v for v in registry.versions() if v.name == name), key=lambda v: v.version)
        self._read = reader(self._latest.parsed, cls)
        self._writers = {v.id: v.parsed for v in registry.versions() if v.name == name}
        self._inner = _inner(cls)
        self._write = writer(written.parsed)

    def encode(self, record: T) -> bytes:
        """Framed bytes. Equal records give equal bytes."""
        return self._head + self._write(record)

    def decode(self, value: bytes | None) -> T:
        """The record, or InvalidPayload with the reason."""
        if value is None or len(value) < 5 or value[0] != 0:
            raise InvalidPayload(Reason.BAD_FRAME, "not in Confluent framing (byte 0, four-byte schema id)")
        schema_id = int.from_bytes(value[1:5], "big")
        if schema_id == self._latest.id:
            return self._newest(value)
        writer = self._writers.get(schema_id)
        if writer is None:
            known = registry.by_id().get(schema_id)
            if known is None:
                raise UnknownSchema(schema_id)
            raise InvalidPayload(Reason.WRONG_TYPE, f"expected {self.name}, found {known.name}")
        body = io.BytesIO(value)
        body.seek(5)
        try:
            fields: dict[str, Any] = fastavro.schemaless_reader(body, writer, self._latest.parsed)  # type: ignore[assignment]
            for name, turn in self._inner:
                fields[name] = turn(fields[name])
            record = self.cls(**fields)
        except Exception as error:
            raise InvalidPayload(Reason.BAD_AVRO, f"{type(error).__name__}: {error}"[:200]) from error
        if body.tell() != len(value):
            raise InvalidPayload(Reason.BAD_AVRO, f"{len(value) - body.tell()} bytes after the record")
        return record

    def _newest(self, value: bytes) -> T:
        try:
            record, end = self._read(value, 5)
        except Exception as error:
            raise InvalidPayload(Reason.BAD_AVRO, f"{type(error).__name__}: {error}"[:200]) from error
        if end != len(value):
            told = f"{len(value) - end} bytes after the record" if end < len(value) else "it ends too early"
            raise InvalidPayload(Reason.BAD_AVRO, told)
        found: T = record
        return found


def _inner(cls: type[msgspec.Struct]) -> list[tuple[str, Turn]]:
    """Fields that hold structs or lists, and how they come of what fastavro reads. Empty for a flat type, which pays nothing."""
    return [(field.name, turn) for field in msgspec.structs.fields(cls) if (turn := _turn(field.type)) is not None]


def _turn(kind: Any) -> Turn | None:
    """`kind`: a field's type. None for one that is as Avro's reader gives it."""
    if get_origin(kind) in (Union, UnionType):
        turn = _turn(next(part for part in get_args(kind) if part is not type(None)))
        return _unless_none(turn) if turn else None
    if get_origin(kind) is tuple:
        turn = _turn(get_args(kind)[0])
        return tuple if turn is None else _each(turn)
    return _struct(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _unless_none(turn: Turn) -> Turn:
    return lambda value: None if value is None else turn(value)


def _each(turn: Turn) -> Turn:
    return lambda many: tuple([turn(one) for one in many])


def _struct(cls: type[msgspec.Struct]) -> Turn:
    inner = _inner(cls)

    def made(fields: Any) -> Any:
        for name, turn in inner:
            fields[name] = turn(fields[name])
        return cls(**fields)

    return made


@cache
def codec(cls: type[T]) -> Codec[T]:
    """The codec of a struct class, found by its module (schemas.avro.<name>.event). One for each: it takes milliseconds to make."""
    return Codec(cls, cls.__module__.split(".")[-2])
