"""Records the sink cannot store go to dead letters with their original bytes; nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer

from schemas import codec, topics
from schemas.avro.dead_letter.event import DeadLetter
from schemas.errors import InvalidPayload, Reason, UnknownSchema
from schemas.headers import COPIED, derived
from schemas.registry import struct
from schemas.topics import realm_of
from services.sink import metrics
from services.sink.marks import header
from services.sink.plan import Record
from services.sink.streams import DEAD_LETTERS, Stream

LANE = "sink"
AT_CUT, AT_INSERT = "@sink", "@sink-insert"
"""After the topic in `src`. A mark counts on one writer who goes forward: analytics writes letters about the same events, and what only the
engine finds unreadable is found later than what lies behind it."""
LETTER_BYTES = 256 << 20  # before compression; what one record of any topic may hold
KEY_BYTES = 200  # of a letter's own key; the original key stands whole in the letter


def undecodable(stream: Stream, records: Iterable[Record]) -> list[Record]:
    """Those whose bytes are not what their frame says; slow, asked only after the engine refused a block."""
    return [record for record in records if _fault(stream, record) is not None]


def _fault(stream: Stream, record: Record) -> InvalidPayload | None:
    try:
        codec.codec(struct(stream.type)).decode(record.value)
    except InvalidPayload as error:
        return error
    return None


def of_a_later_release(stream: Stream, records: Iterable[Record]) -> str:
    """Where a record of ours stands whose version this release does not know, or "". One from outside is just unreadable."""
    for record in records:
        if isinstance(_fault(stream, record), UnknownSchema) and derived(record.headers):
            return f"{record.topic}-{record.partition} at {record.offset} is of a version that this release cannot read"
    return ""


def _is_copy(record: Record) -> bool:
    return any(name == COPIED for name, _ in record.headers)


class Letters:
    """A producer that is opened with the first letter."""

    def __init__(self, bootstrap: str, stream: Stream) -> None:
        self._bootstrap = bootstrap
        self._stream = stream
        self._producer: AIOKafkaProducer | None = None
        self._codec = codec.codec(DeadLetter)
        self._log: Any = structlog.get_logger("sink").bind(stream=stream.name)

    async def send(self, records: Sequence[Record], found: str = AT_CUT) -> None:
        """Returns when Kafka has them. A repeat after a stop carries the same `src`. Letters about letters are only logged, and so are
        copies of a repartitioning: their letters were copied with them."""
        for record in records:
            fault = _fault(self._stream, record) or InvalidPayload(Reason.BAD_VALUE, "src header not in our form")
            metrics.DEAD_LETTERS.labels(fault.reason.value).inc()
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            self._log.error("unreadable record", reason=fault.reason.value, detail=fault.detail, **place)
            if self._stream is not DEAD_LETTERS and not _is_copy(record):
                await self._send(record, fault, record.topic + found)

    async def _send(self, record: Record, fault: InvalidPayload, source: str) -> None:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                max_request_size=LETTER_BYTES,
            )
            await self._producer.start()
        realm = realm_of(record.topic)
        letter = DeadLetter(
            topic=record.topic, partition=record.partition, offset=record.offset, realm=realm.value, key=record.key, value=record.value,
            reason=fault.reason.value, detail=fault.detail, code_version="1", lane=LANE, received_at=record.timestamp,
            src_topic=source, src_partition=record.partition, src_offset=record.offset, src_position=0,
        )  # fmt: skip
        await self._producer.send_and_wait(
            topics.DEAD_LETTERS.in_realm(realm), self._codec.encode(letter), key=(record.key or b"")[:KEY_BYTES],
            headers=[header(source, record.partition, record.offset, 0)],
        )  # fmt: skip

    async def close(self) -> None:
        if self._producer:
            await self._producer.stop()
