"""A worker of the lane of tests/timers.py: `python -m tests.timed_worker BOOTSTRAP REALM PARTITIONS HOME INSTANCE FAILPOINT CONTROL`.

CONTROL "forgetful" is a negative control: a wheel that is not filled from the table after a restore.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from schemas.realms import Realm
from schemas.topics import DEAD_LETTERS, INCIDENT_COMMANDS, OUTCOMES, Topic
from services import worker
from streams.agents import Lane
from streams.app import WorkerSettings, build_app
from streams.engine import table
from streams.engine.failpoints import Failpoints
from streams.engine.metrics import WorkerMetrics
from streams.engine.value import Part
from streams.engine.wheel import Wheel
from tests.timers import Bells

COMMANDS = replace(INCIDENT_COMMANDS, name="bells.commands")
TABLE = Topic("bells-table-changelog", "key", (), ("bells",), ("bells",), -1, compacted=True, dead_letters="")
LANE = Lane("bells", COMMANDS, Bells, TABLE, per_realm=True)
SESSION_SECONDS = 6.0


class Forgetful(Wheel):
    def __init__(self, part: Part) -> None:
        super().__init__({})
        self._part = part


async def make_topics(bootstrap: str, realm: Realm, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topics = {topic.in_realm(realm): topic.config(realm) for topic in (COMMANDS, TABLE, OUTCOMES, DEAD_LETTERS)}
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config) for name, config in topics.items()])
    finally:
        await admin.close()


async def read(bootstrap: str, topic: str, partitions: int) -> list[ConsumerRecord]:
    """Every record of a topic, in order within each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        tps = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        found: list[ConsumerRecord] = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200, max_records=20_000)).values():
                found += records
        return found
    finally:
        await consumer.stop()


async def lag(bootstrap: str, realm: Realm, partitions: int) -> int:
    """Commands that are not committed yet; -1: nobody can say."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        await consumer.start()
        committed = await admin.list_consumer_group_offsets(f"liandong.{realm}.{LANE.name}")
        ends = await consumer.end_offsets([TopicPartition(COMMANDS.in_realm(realm), p) for p in range(partitions)])
        return sum([end - max(0, committed[tp].offset if tp in committed else 0) for tp, end in ends.items()])
    except KafkaError:
        return -1
    finally:
        await consumer.stop()
        await admin.close()


def start(
    bootstrap: str, realm: Realm, partitions: int, home: Path, instance: str = "", failpoint: str = "", control: str = ""
) -> subprocess.Popen[bytes]:
    """`instance`: a static member's name."""
    home.mkdir(exist_ok=True)
    arguments = [sys.executable, "-m", "tests.timed_worker", bootstrap, realm, str(partitions), str(home), instance, failpoint, control]
    with (home / "worker.log").open("ab") as log:
        return subprocess.Popen(arguments, stdout=log, stderr=log)


def end(process: subprocess.Popen[bytes]) -> int:
    """In good order, also when it is frozen."""
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def main() -> None:
    bootstrap, realm, partitions, home, instance, failpoint, control = sys.argv[1:8]
    if control == "forgetful":
        vars(table)["Wheel"] = Forgetful
    os.makedirs(f"{home}/faust", exist_ok=True)
    settings = WorkerSettings(
        bootstrap, int(partitions), (Realm(realm),), (), home, "test", instance,
        session_seconds=SESSION_SECONDS, failpoints=Failpoints(failpoint),
    )  # fmt: skip
    worker.run(build_app(LANE, settings, WorkerMetrics(CollectorRegistry())))


if __name__ == "__main__":
    main()
