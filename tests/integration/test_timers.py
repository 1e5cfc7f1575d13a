"""Timers on a real broker: workers die, sleep and change places while thousands are due. Each rings once, and never early."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.realms import Realm
from schemas.topics import OUTCOMES
from services.embedded.broker import Broker
from streams.engine.source import src_of
from streams.engine.value import due_of, version_of
from tests import timed_worker
from tests.helpers import until
from tests.timed_worker import COMMANDS, TABLE
from tests.timers import Rung, folded, is_wake_up

pytestmark = pytest.mark.broker
PARTITIONS = 4


class Tower:
    """A broker, workers that are started again when they end, and what the topics hold."""

    def __init__(self, broker: Broker, realm: Realm, home: Path) -> None:
        self.broker, self.realm, self._home = broker, realm, home
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.exits: Counter[int] = Counter()
        asyncio.run(timed_worker.make_topics(broker.bootstrap, realm, PARTITIONS))

    def start(self, name: str, failpoint: str = "", control: str = "") -> None:
        home = self._home / name
        self.workers[name] = timed_worker.start(self.broker.bootstrap, self.realm, PARTITIONS, home, name, failpoint, control)

    def mend(self) -> None:
        """As the supervisor does."""
        for name, process in self.workers.items():
            if process.poll() is not None:
                self.exits[process.returncode] += 1
                self.start(name)

    def stop(self) -> None:
        for process in self.workers.values():
            if process.poll() is None:
                timed_worker.end(process)

    async def send(self, records: Sequence[tuple[bytes, bytes, int | None]]) -> None:
        """(key, words, record time; None: the broker's)."""
        producer = AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap, enable_idempotence=True, linger_ms=5)
        await producer.start()
        try:
            topic = COMMANDS.in_realm(self.realm)
            await asyncio.gather(*[await producer.send(topic, words, key=key, timestamp_ms=at) for key, words, at in records])
        finally:
            await producer.stop()

    def read(self, topic: str) -> list[ConsumerRecord]:
        return asyncio.run(timed_worker.read(self.broker.bootstrap, topic, PARTITIONS))

    def caught_up(self) -> bool:
        return asyncio.run(timed_worker.lag(self.broker.bootstrap, self.realm, PARTITIONS)) == 0

    def drained(self, seconds: float = 60) -> None:
        def done() -> bool:
            self.mend()
            return self.caught_up() and self.open_timers() == 0

        until(done, "every command decided and every timer settled", seconds, every=0.5)

    def open_timers(self) -> int:
        """As the changelog says."""
        newest: dict[bytes, bytes] = {}
        for one in self.read(TABLE.in_realm(self.realm)):
            if one.key not in newest or version_of(one.value) >= version_of(newest[one.key]):
                newest[one.key] = one.value
        return sum(due_of(value) > 0 for value in newest.values())

    def said(self) -> list[tuple[ConsumerRecord, Any]]:
        """Outcomes by the reader's rule."""
        marks: dict[Any, tuple[int, int]] = {}
        found, reader = [], codec(Outcome)
        for one in self.read(OUTCOMES.in_realm(self.realm)):
            src = src_of(one.headers)
            assert src is not None
            line = (one.partition, src.topic, src.partition)
            if (src.offset, src.position) > marks.get(line, (-1, -1)):
                marks[line] = (src.offset, src.position)
                found.append((one, reader.decode(one.value)))
        return found


@pytest.fixture
def tower(own_broker: Broker, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tower]:
    made = Tower(own_broker, request.param, tmp_path)
    yield made
    made.stop()


def rings(said: list[tuple[ConsumerRecord, Any]]) -> list[Rung]:
    return [(one.case_id, one.case_seq, one.received_at) for _, one in said if one.outcome == "rang"]


@pytest.mark.parametrize("tower", [Realm.LIVE], indirect=True)
def test_timers_ring_once_each_and_never_early_while_workers_die_and_sleep(tower: Tower, pytestconfig: pytest.Config) -> None:
    chance = random.Random(pytestconfig.getoption("--seed"))
    tower.start("one", failpoint="after_wake@20")
    tower.start("two", failpoint="before_wake@30")
    began = int(time.time() * 1000)
    armed = []
    for number in range(2_000):
        times = [began + chance.randrange(8_000, 35_000) for _ in range(3)]
        armed.append((b"key-%d" % number, b" ".join([b"at", *(b"%d" % at for at in times)]), None))
    asyncio.run(tower.send(armed))
    faults = [("kill", 6.0), ("kill", 5.0), ("freeze", 5.0), ("kill", 8.0), ("leave", 4.0)]
    for fault, pause in faults:
        time.sleep(pause)
        tower.mend()
        name = chance.choice(sorted(tower.workers))
        if fault == "kill":
            tower.workers[name].kill()
        elif fault == "leave":
            tower.workers[name].terminate()
        else:
            tower.workers[name].send_signal(signal.SIGSTOP)
            time.sleep(timed_worker.SESSION_SECONDS + 2)
            tower.workers[name].send_signal(signal.SIGCONT)
        gone = [b"key-%d" % chance.randrange(2_000) for _ in range(20)]
        asyncio.run(tower.send([(key, b"cancel", None) for key in gone]))
    tower.drained(90)
    log = tower.read(COMMANDS.name)
    by_key: dict[bytes, list[ConsumerRecord]] = defaultdict(list)
    for one in log:
        by_key[one.key].append(one)
    folds = [folded(records) for records in by_key.values()]
    said = tower.said()
    assert sum(tower.exits.values()) >= 3, "the faults struck"
    assert sum(is_wake_up(one) for one in log) > 2_000
    assert [fold.open for fold in folds if fold.open] == []
    assert sorted(rings(said)) == sorted(one for fold in folds for one in fold.rung)
    assert all(record.timestamp >= one.received_at for record, one in said if one.outcome == "rang"), "none before its time"


@pytest.mark.parametrize("tower", [Realm.REPLAY], indirect=True)
def test_history_rings_by_its_own_time_whatever_dies(tower: Tower, pytestconfig: pytest.Config) -> None:
    chance = random.Random(pytestconfig.getoption("--seed"))
    now, history = 1_400_000_000_000, []
    for _ in range(12_000):
        now += chance.randrange(-50, 400)
        words = b"cancel" if chance.random() < 0.1 else b"arm %d %d" % (chance.randrange(20_000), chance.randrange(60_000))
        history.append((b"key-%d" % chance.randrange(300), words, now))
    tower.start("one", failpoint="after_changelog@3")
    asyncio.run(tower.send(history[:4_000]))
    until(lambda: tower.workers["one"].poll() is not None, "the failpoint struck", 60)
    tower.mend()
    asyncio.run(tower.send(history[4_000:8_000]))
    time.sleep(4)
    tower.workers["one"].kill()
    tower.workers["one"].wait()
    tower.mend()
    asyncio.run(tower.send(history[8_000:]))
    until(tower.caught_up, "all history decided", 60, every=0.5)
    said = tower.said()
    log = tower.read(COMMANDS.in_realm(Realm.REPLAY))
    assert not any(is_wake_up(one) for one in log), "nobody wakes history"
    assert tower.exits == {-signal.SIGKILL: 2}
    for partition in range(PARTITIONS):
        fold = folded([one for one in log if one.partition == partition], log_time=True)
        assert len(fold.rung) > 500
        assert rings([one for one in said if one[0].partition == partition]) == fold.rung


@pytest.mark.parametrize("tower", [Realm.LIVE], indirect=True)
def test_a_wheel_that_is_not_filled_after_a_restore_loses_timers_and_this_is_seen(tower: Tower) -> None:
    tower.start("one")
    due = int(time.time() * 1000) + 30_000
    asyncio.run(tower.send([(b"key-%d" % number, b"at %d" % due, None) for number in range(200)]))
    until(tower.caught_up, "all are armed", 60, every=0.2)
    assert int(time.time() * 1000) < due, "too slow a machine: the timers rang before the kill"
    tower.workers["one"].kill()
    tower.workers["one"].wait()
    tower.start("one", control="forgetful")
    time.sleep(max(0.0, due / 1000 + 10 - time.time()))
    assert rings(tower.said()) == []
    assert tower.open_timers() == 200
    timed_worker.end(tower.workers["one"])
    tower.start("one")
    tower.drained(60)
    assert len(rings(tower.said())) == 200, "the next one that looks finds them"
