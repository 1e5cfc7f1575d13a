"""Bytes and records: Confluent framing (byte 0, four-byte schema id, Avro datum), frozen structs on our side."""

from __future__ import annotations

import io
import struct as binary
from collections.abc import Callable
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin

import fastavro
import msgspec

from schemas import registry
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
        self._schema = written.parsed
        self._head = HEADER.pack(0, written.id)
        self._writers = {v.id: v.parsed for v in registry.versions() if v.name == name}
        self._reader = max((v for v in registry.versions() if v.name == name), key=lambda v: v.version).parsed
        self._inner = _inner(cls)

    def encode(self, record: T) -> bytes:
        """Framed bytes. Equal records give equal bytes."""
        out = io.BytesIO()
        out.write(self._head)
        fields = msgspec.structs.asdict(record)
        for field, lower, _ in self._inner:
            if fields[field]:
                fields[field] = lower(fields[field])
        fastavro.schemaless_writer(out, self._schema, fields)
        return out.getvalue()

    def decode(self, value: bytes | None) -> T:
        """The record, or InvalidPayload with the reason."""
        if value is None or len(value) < 5 or value[0] != 0:
            raise InvalidPayload(Reason.BAD_FRAME, "not in Confluent framing (byte 0, four-byte schema id)")
        schema_id = int.from_bytes(value[1:5], "big")
        writer = self._writers.get(schema_id)
        if writer is None:
            known = registry.by_id().get(schema_id)
            if known is None:
                raise UnknownSchema(schema_id)
            raise InvalidPayload(Reason.WRONG_TYPE, f"expected {self.name}, found {known.name}")
        body = io.BytesIO(value)
        body.seek(5)
        try:
            fields: dict[str, Any] = fastavro.schemaless_reader(body, writer, None if writer is self._reader else self._reader)  # type: ignore[assignment]
            for field, _, raise_ in self._inner:
                fields[field] = raise_(fields[field])
            record = self.cls(**fields)
        except Exception as error:
            raise InvalidPayload(Reason.BAD_AVRO, f"{type(error).__name__}: {error}"[:200]) from error
        if body.tell() != len(value):
            raise InvalidPayload(Reason.BAD_AVRO, f"{len(value) - body.tell()} bytes after the record")
        return record


def _inner(cls: type[msgspec.Struct]) -> list[tuple[str, Turn, Turn]]:
    """Fields that hold structs or lists: name, how it becomes what fastavro writes, and back. Empty for a flat type, which pays nothing."""
    found = [(field.name, *_turns(field.type)) for field in msgspec.structs.fields(cls)]
    return [(name, lower, raise_) for name, lower, raise_ in found if lower is not None and raise_ is not None]


def _turns(kind: Any) -> tuple[Turn | None, Turn | None]:
    """`kind`: a field's type. (None, None) for one that Avro's writer takes as it is."""
    if get_origin(kind) in (Union, UnionType):
        lower, turn = _turns(next(part for part in get_args(kind) if part is not type(None)))
        return lower, _unless_none(turn) if turn else None
    if get_origin(kind) is tuple:
        lower, raise_ = _turns(get_args(kind)[0])
        if lower is None or raise_ is None:
            return list, tuple
        return lambda many: [lower(one) for one in many], lambda many: tuple([raise_(one) for one in many])
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct_turns(kind)
    return None, None


def _unless_none(turn: Turn) -> Turn:
    return lambda value: None if value is None else turn(value)


def _struct_turns(cls: type[msgspec.Struct]) -> tuple[Turn, Turn]:
    inner = _inner(cls)
    asdict = msgspec.structs.asdict
    if not inner:
        return asdict, lambda fields: cls(**fields)

    def lower(record: Any) -> Any:
        fields = asdict(record)
        for name, turn, _ in inner:
            if fields[name]:
                fields[name] = turn(fields[name])
        return fields

    def raise_(fields: Any) -> Any:
        for name, _, turn in inner:
            fields[name] = turn(fields[name])
        return cls(**fields)

    return lower, raise_


def codec(cls: type[T]) -> Codec[T]:
    """The codec of a struct class, found by its module (schemas.avro.<name>.event)."""
    return Codec(cls, cls.__module__.split(".")[-2])
