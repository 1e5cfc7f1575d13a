"""Letting the time of a realm on log time run on: what falls due after a partition's last record would wait for the next one for ever.

"Time passed" is a wake-up with a later record time, one for each partition of the case lane's input, of a case that does not exist.
Before it everything due by then is settled, each at its own moment, and it changes nothing itself (streams/engine/logtime.py). It is a
record of the log like any other, so a replay of the log passes the same time at the same place.
"""

from __future__ import annotations

import asyncio
import time

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from schemas.headers import WAKE
from schemas.murmur import partition_of
from schemas.realms import Realm
from schemas.topics import INCIDENT_COMMANDS
from streams.domain.incident.settling import wake_up

GROUP = "liandong.{realm}.case"
POLL_SECONDS = 0.2
Places = dict[int, int]  # offset of the wake-up by partition


async def pass_time(bootstrap: str, realm: Realm, until: int, partitions: int, wait_s: float) -> bool:
    """Up to `until` (UTC milliseconds, not in the future: Kafka refuses that). Whether the case lane has settled it all; it is waited for
    as long as it moves at least once in `wait_s` seconds. KafkaError when the broker is away or refuses the time."""
    places = await _append(bootstrap, realm, until, partitions)
    topic, group = INCIDENT_COMMANDS.in_realm(realm), GROUP.format(realm=realm.value)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        seen, since = -1, time.monotonic()
        while time.monotonic() - since <= wait_s:
            found = await admin.list_consumer_group_offsets(group)
            committed = {tp.partition: meta.offset for tp, meta in found.items() if tp.topic == topic}
            if all(committed.get(partition, 0) > offset for partition, offset in places.items()):
                return True
            if sum(committed.values()) != seen:
                seen, since = sum(committed.values()), time.monotonic()
            await asyncio.sleep(POLL_SECONDS)
        return False
    finally:
        await admin.close()


async def _append(bootstrap: str, realm: Realm, until: int, partitions: int) -> Places:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        waiting = [
            await producer.send(
                INCIDENT_COMMANDS.in_realm(realm), value, key=key, partition=partition, timestamp_ms=until, headers=[(WAKE, b"%d" % until)]
            )
            for partition, (key, value) in time_passed(realm, until, partitions).items()
        ]
        return {done.partition: done.offset for done in await asyncio.gather(*waiting)}
    finally:
        await producer.stop()


def time_passed(realm: Realm, until: int, partitions: int) -> dict[int, tuple[bytes, bytes]]:
    """Key and value of the record of each partition; every key belongs to its partition, and no case has it."""
    found: dict[int, tuple[bytes, bytes]] = {}
    number = 0
    while len(found) < partitions:
        name = f"time-passed-{number}"
        found.setdefault(
            partition_of(name.encode(), partitions), (name.encode(), codec(IncidentCommand).encode(wake_up(name, until, realm.value)))
        )
        number += 1
    return found
