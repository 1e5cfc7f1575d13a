"""A gateway without an idempotent producer, for the negative control: a batch whose acknowledgement was lost is written twice."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer

from services.adapters import kafka
from services.cli import main


def _unguarded(*, enable_idempotence: bool, **given: object) -> AIOKafkaProducer:
    return AIOKafkaProducer(enable_idempotence=False, **given)


vars(kafka)["AIOKafkaProducer"] = _unguarded

if __name__ == "__main__":
    main()
