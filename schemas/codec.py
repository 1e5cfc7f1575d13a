"""Bytes and records: Confluent framing (byte 0, four-byte schema id, Avro datum), frozen structs on our side."""

from __future__ import annotations

import io
import struct as binary
from typing import Any, Generic, TypeVar

import fastavro
import msgspec

from schemas import registry
from schemas.errors import InvalidPayload, Reason, UnknownSchema

HEADER = binary.Struct(">bI")
T = TypeVar("T", bound=msgspec.Struct)


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

    def encode(self, record: T) -> bytes:
        """Framed bytes. Equal records give equal bytes."""
        out = io.BytesIO()
        out.write(self._head)
        fastavro.schemaless_writer(out, self._schema, msgspec.structs.asdict(record))
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
            record = self.cls(**fields)
        except Exception as error:
            raise InvalidPayload(Reason.BAD_AVRO, f"{type(error).__name__}: {error}"[:200]) from error
        if body.tell() != len(value):
            raise InvalidPayload(Reason.BAD_AVRO, f"{len(value) - body.tell()} bytes after the record")
        return record


def codec(cls: type[T]) -> Codec[T]:
    """The codec of a struct class, found by its module (schemas.avro.<name>.event)."""
    return Codec(cls, cls.__module__.split(".")[-2])
