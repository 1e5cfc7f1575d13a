"""Creating the topics of `schemas.topics` on a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, NotControllerError, TopicAlreadyExistsError, for_code

from schemas.realms import Realm
from schemas.topics import TOPICS


class TopicError(Exception):
    """A topic can't be created, or exists with another number of partitions (fixed for life)."""


async def ensure_topics(
    bootstrap: str,
    realms: Iterable[Realm | str],
    partitions: int,
    departments: Iterable[str] = ("demo",),
    *,
    replication_factor: int = 1,
    seconds: float = 60.0,
) -> None:
    """Creates every missing topic of `realms`, those per department for `departments`; leaves those that are there as they are.

    With `replication_factor` 3 or more a write counts once two copies have it, so that one broker may be lost. Raises TopicError.
    """
    copies = {"min.insync.replicas": "2"} if replication_factor >= 3 else {}
    wanted = {
        topic.in_realm(realm, department): topic.config(realm) | copies
        for realm in map(Realm, realms)
        for topic in TOPICS
        for department in (departments if topic.per_department else ("",))
    }
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            await admin.start()
            break
        except KafkaConnectionError:
            if asyncio.get_running_loop().time() > deadline:
                await admin.close()
                raise
            await asyncio.sleep(0.1)
    try:
        existing = set(await admin.list_topics())
        missing = [name for name in wanted if name not in existing]
        while missing:
            missing = await _create(admin, {name: wanted[name] for name in missing}, partitions, replication_factor)
            if missing and asyncio.get_running_loop().time() > deadline:
                raise TopicError(f"the broker's controller is not ready after {seconds:g} s; topics missing: {', '.join(missing)}")
            if missing:
                await asyncio.sleep(0.1)
        await _await_leaders(admin, list(wanted), partitions, deadline)
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, wanted: dict[str, dict[str, str]], partitions: int, replication_factor: int) -> list[str]:
    """Names still missing because the controller is not ready yet."""
    new = [NewTopic(name, partitions, replication_factor, topic_configs=config) for name, config in wanted.items()]
    answer = await admin.create_topics(new)
    again = []
    for name, code, *rest in answer.topic_errors:
        error = for_code(code)
        if error is NotControllerError or getattr(error, "retriable", False):
            again.append(name)
        elif code and error is not TopicAlreadyExistsError:
            raise TopicError(f"can't create topic {name}: {error.__name__} {rest[0] if rest else ''}")
    return again


async def _await_leaders(admin: AIOKafkaAdminClient, names: list[str], partitions: int, deadline: float) -> None:
    """Waits until every partition has a leader, so that the first producer meets no "unknown topic"."""
    while True:
        described = {topic["topic"]: topic for topic in await admin.describe_topics(names)}
        waiting = []
        for name in names:
            topic = described.get(name)
            if topic is None or topic["error_code"] or any(p["error_code"] or p["leader"] < 0 for p in topic["partitions"]):
                waiting.append(name)
            elif len(topic["partitions"]) != partitions:
                raise TopicError(f"topic {name} has {len(topic['partitions'])} partitions, not {partitions}: the number is fixed for life.")
        if not waiting:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise TopicError(f"no leaders yet for {', '.join(waiting)}")
        await asyncio.sleep(0.05)
