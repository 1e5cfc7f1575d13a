"""Which topics a cluster has of ours, and making their counterparts on another one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from schemas.realms import Realm
from schemas.topics import TOPICS, Topic, realm_of
from streams.agents import LANES

TABLES = frozenset(lane.table for lane in LANES if lane.table)
"""Not copied record by record: of each key the engine's rule takes the winner. Every other topic is."""
WAIT_SECONDS = 60.0
FOR_EVER = {
    "message.timestamp.type": "CreateTime", "message.timestamp.before.max.ms": "9223372036854775807",
    "message.timestamp.after.max.ms": "9223372036854775807", "retention.ms": "-1", "max.message.bytes": "20971520",
    "cleanup.policy": "delete",
}  # fmt: skip
"""While records are copied: their own times, none deleted or compacted, and room for the labels of the largest."""


@dataclass(frozen=True, slots=True)
class Held:
    """A topic as it stands on a cluster."""

    name: str
    topic: Topic
    realm: Realm
    partitions: int


class CannotRepartition(Exception):
    """Why it does not begin or go on; the text says what to do."""


def row_of(name: str) -> Topic | None:
    """The row of schemas.topics that a broker's topic belongs to; None for a topic that is not ours."""
    realm = realm_of(name)
    for topic in TOPICS:
        if topic.per_department:
            head = topic.in_realm(realm, "")
            if name.startswith(head) and len(name) > len(head):
                return topic
        elif topic.in_realm(realm) == name:
            return topic
    return None


async def admin_of(bootstrap: str) -> AIOKafkaAdminClient:
    """A started admin client; the caller closes it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    return admin


async def held_topics(bootstrap: str) -> tuple[list[Held], list[str]]:
    """All topics of ours on the cluster, and the names of those that are not ours."""
    admin = await admin_of(bootstrap)
    try:
        names = sorted(name for name in await admin.list_topics() if not name.startswith("__"))
        described = await admin.describe_topics(names) if names else []
    finally:
        await admin.close()
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
    ours = [Held(name, row, realm_of(name), counts[name]) for name in names if (row := row_of(name))]
    return ours, sorted(set(names) - {held.name for held in ours})


async def create(bootstrap: str, wanted: Iterable[Held], partitions: int, replication_factor: int) -> None:
    """Makes what is missing, to be copied into; CannotRepartition when one is there with another number of partitions."""
    wanted = list(wanted)
    admin = await admin_of(bootstrap)
    try:
        there = set(await admin.list_topics())
        missing = [held for held in wanted if held.name not in there]
        made = [
            NewTopic(h.name, partitions, replication_factor, topic_configs=own_config(h, replication_factor) | FOR_EVER) for h in missing
        ]
        if made:
            for name, code, *rest in (await admin.create_topics(made)).topic_errors:
                if code:
                    raise CannotRepartition(f"can't create topic {name}: {for_code(code).__name__} {rest[0] if rest else ''}")
        await _await_leaders(admin, [held.name for held in wanted], partitions)
    finally:
        await admin.close()


async def _await_leaders(admin: AIOKafkaAdminClient, names: list[str], partitions: int) -> None:
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        described = await admin.describe_topics(names)
        counts = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
        led = all(p["leader"] >= 0 and not p["error_code"] for topic in described for p in topic["partitions"])
        if len(counts) == len(names) and led:
            break
        if asyncio.get_running_loop().time() > deadline:
            raise CannotRepartition("the new cluster's topics have no leaders yet; try again.")
        await asyncio.sleep(0.1)
    for name, count in counts.items():
        if count != partitions:
            raise CannotRepartition(f"topic {name} is there already, with {count} partitions: take a cluster without our topics.")


async def settle(bootstrap: str, wanted: Iterable[Held], replication_factor: int) -> None:
    """Gives every topic its own configuration: from now on the broker stamps and deletes."""
    admin = await admin_of(bootstrap)
    try:
        changes = [ConfigResource(ConfigResourceType.TOPIC, held.name, configs=own_config(held, replication_factor)) for held in wanted]
        for answer in await admin.alter_configs(changes):
            for code, message, _, name in answer.resources:
                if code:
                    raise CannotRepartition(f"can't configure topic {name}: {for_code(code).__name__} {message or ''}")
    finally:
        await admin.close()


def own_config(held: Held, replication_factor: int) -> dict[str, str]:
    """As `services.embedded.topics` makes it: with three copies or more a write counts once two have it."""
    return held.topic.config(held.realm) | ({"min.insync.replicas": "2"} if replication_factor >= 3 else {})
