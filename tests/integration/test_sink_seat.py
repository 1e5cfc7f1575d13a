"""A seat in a consumer group: whoever sits down last may commit, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from services.embedded.broker import Broker
from services.sink.seat import Occupant, Seat, SeatLost

pytestmark = pytest.mark.broker


async def test_who_sits_down_last_may_commit_and_the_one_before_may_not(broker: Broker, new_topic: Callable[..., Awaitable[str]]) -> None:
    topic = await new_topic("seat", partitions=2)
    places = [(topic, 0), (topic, 1)]
    first, second = (Seat(broker.bootstrap, f"seats-{topic}", places, Occupant(name, "here")) for name in ("first", "second"))
    assert await first.taken_by() is None
    await first.take()
    await first.commit(dict.fromkeys(places, (5, "first")))
    assert await second.taken_by() == Occupant("first", "here")
    await second.take()  # at once: nobody waits for a session to end
    with pytest.raises(SeatLost):
        await first.commit(dict.fromkeys(places, (9, "late")))
    with pytest.raises(SeatLost):
        await asyncio.wait_for(first.hold(), 10)
    await second.commit({(topic, 0): (7, "second")})
    assert await second.taken_by() == Occupant("second", "here")
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    found = await admin.list_consumer_group_offsets(f"seats-{topic}")
    await admin.close()
    assert {tp.partition: (meta.offset, meta.metadata) for tp, meta in found.items()} == {0: (7, "second"), 1: (5, "first")}
    await first.leave()
    assert await second.taken_by() == Occupant("second", "here"), "a lost seat is not given up for another"
    await second.leave()
    third = Seat(broker.bootstrap, f"seats-{topic}", places, Occupant("third"))
    assert await third.taken_by() is None
    await third.leave()
