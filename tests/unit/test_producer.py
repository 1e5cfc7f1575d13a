"""What a worker's producer does to the bytes it sends."""

from __future__ import annotations

import json

import aiokafka.codec
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.engine.producer import LZ4_LEVEL

LZ4 = 3  # Kafka's number of it
RECORDS = [json.dumps({"case": f"{number:032x}", "state": "captured", "holder": "440305-desk"}).encode() for number in range(500)]


def test_a_batch_is_compressed_at_our_level_wherever_aiokafka_does_it() -> None:
    batch = BatchBuilder(1 << 20, LZ4)
    for record in RECORDS:
        assert batch.append(key=None, value=record, timestamp=1)
    sent = bytes(batch._build())
    plain = b"".join(RECORDS)
    ours, stock = (aiokafka.codec.lz4_encode(plain, level) for level in (LZ4_LEVEL, 9))
    assert aiokafka.codec.lz4_encode(plain) == ours != stock
    assert aiokafka.codec.lz4_decode(ours) == plain
    body = sent[61:]  # behind the head of a batch
    assert body == aiokafka.codec.lz4_encode(aiokafka.codec.lz4_decode(body), LZ4_LEVEL)
