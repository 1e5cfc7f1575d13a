"""A worker process of the lane of tests/timers.py: `python -m tests.timed_worker BOOTSTRAP REALM PARTITIONS HOME INSTANCE FAILPOINT`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from prometheus_client import CollectorRegistry

from schemas.realms import Realm
from schemas.topics import DEAD_LETTERS, INCIDENT_COMMANDS, OUTCOMES, Topic
from services import worker
from streams.agents import Lane
from streams.app import WorkerSettings, build_app
from streams.engine.failpoints import Failpoints
from tests.timers import Bells

COMMANDS = replace(INCIDENT_COMMANDS, name="bells.commands")
TABLE = Topic("bells-table-changelog", "key", (), ("bells",), ("bells",), -1, compacted=True, dead_letters="")
LANE = Lane("bells", COMMANDS, Bells, TABLE, per_realm=True)
SESSION_SECONDS = 6.0


async def make_topics(bootstrap: str, realm: Realm, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topics = {topic.in_realm(realm): topic.config(realm) for topic in (COMMANDS, TABLE, OUTCOMES, DEAD_LETTERS)}
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config) for name, config in topics.items()])
    finally:
        await admin.close()


def start(bootstrap: str, realm: Realm, partitions: int, home: Path, instance: str = "", failpoint: str = "") -> subprocess.Popen[bytes]:
    """`instance`: a static member's name."""
    home.mkdir(exist_ok=True)
    arguments = [sys.executable, "-m", "tests.timed_worker", bootstrap, realm, str(partitions), str(home), instance, failpoint]
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
    bootstrap, realm, partitions, home, instance, failpoint = sys.argv[1:7]
    os.makedirs(f"{home}/faust", exist_ok=True)
    settings = WorkerSettings(
        bootstrap, int(partitions), (Realm(realm),), (), home, "test", instance,
        session_seconds=SESSION_SECONDS, failpoints=Failpoints(failpoint),
    )  # fmt: skip
    worker.run(build_app(LANE, settings, CollectorRegistry()))


if __name__ == "__main__":
    main()
