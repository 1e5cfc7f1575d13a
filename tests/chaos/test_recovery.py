"""Restoring the tables while the log is compacted under it, lost, cut off or full; nothing is begun anew in silence."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from services.embedded.topics import ensure_topics
from streams.engine.exits import Exit
from tests.chaos import disk
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import MINE
from tests.chaos.results import Account
from tests.chaos.rig import CASE_GROUP, CHANGELOG, COMMANDS, OUTCOMES, PARTITIONS, Rig
from tests.chaos.standing import rig_on
from tests.helpers import until

pytestmark = [pytest.mark.chaos, pytest.mark.broker]
SLOW = 60_000  # bytes a second: a restore of some seconds


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One broker behind a proxy, with a cleaner that looks all the time."""
    made = Cluster(tmp_path_factory.mktemp("brokers"), 1, proxied=True, properties={"log.cleaner.backoff.ms": 100})
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def rig(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rig_on(cluster, tmp_path, request.node.stash.get(MINE, None)) as made:
        yield made


def worked(rig: Rig) -> None:
    """Four steps of 500 cases are done, and nobody runs."""
    rig.start("case-live")
    rig.ready("case-live")
    rig.send(cases=500, steps=4, pause=0.03)  # chunk by chunk
    rig.drained()
    rig.stop_workers()


def restoring(rig: Rig, cluster: Cluster, *controls: str) -> str:
    """A kept worker that restores slowly, partly done; answers its key."""
    (proxy,) = cluster.proxies
    proxy.throttle(SLOW)
    before = proxy.bytes
    key = rig.keep("case-live", *controls, tag="second")
    until(lambda: proxy.bytes > before + SLOW, "the restore is under way", 40)
    return key


def finished(rig: Rig, bound: float = 40) -> None:
    """The other three steps, settled and judged."""
    rig.send(cases=500, steps=3, from_step=4)
    rig.settled(bound)
    rig.judged()
    rig.account.held()


def told(rig: Rig, key: str, text: str) -> bool:
    return text in (rig.home / f"{key}.log").read_text()


@pytest.mark.scenario("F11", "the changelog is compacted while a worker restores from it")
def test_compaction_under_a_restore_changes_nothing(cluster: Cluster, rig: Rig, account: Account) -> None:
    cluster.configure(CHANGELOG, segment_ms=20, min_compaction_lag_ms=3_600_000, cleanup_policy="compact")
    worked(rig)
    written = rig.read(CHANGELOG)
    key = restoring(rig, cluster)
    assert not told(rig, key, "restored")
    cluster.configure(CHANGELOG, segment_ms=20, min_compaction_lag_ms=0, min_cleanable_dirty_ratio=0.001, cleanup_policy="compact")
    until(lambda: len(rig.read(CHANGELOG)) < len(written) / 2, "the changelog is compacted", 90, every=0.5)
    assert not told(rig, key, "restored"), "the restore was over before the compaction"
    assert all(record.value is not None for record in written), "a tombstone would be dropped, and what it deleted come back"
    account.figure("records before", len(written))
    account.figure("after", len(rig.read(CHANGELOG)))
    (proxy,) = cluster.proxies
    proxy.heal()
    finished(rig)


def without_changelog(rig: Rig, cluster: Cluster) -> None:
    """The topic of state is deleted and made anew, empty, as `liandong up` would; the commits stay."""
    cluster.wipe(CHANGELOG)
    asyncio.run(ensure_topics(cluster.direct, ("live",), PARTITIONS, replication_factor=rig.replication))


@pytest.mark.scenario("F11", "the changelog is lost, the commits are not")
def test_a_lost_changelog_ends_the_worker_by_name_and_a_rebuild_from_the_commands_is_exact(
    cluster: Cluster, rig: Rig, account: Account
) -> None:
    worked(rig)
    answered = len(rig.read(OUTCOMES))
    without_changelog(rig, cluster)
    rig.start("case-live", tag="second")
    rig.send(cases=500, steps=1, from_step=4)
    assert rig.ended("case-livesecond") == Exit.CHANGELOG_LOST
    assert len(rig.read(OUTCOMES)) == answered, "nothing was decided on cases that were forgotten"
    asyncio.run(_commit(rig, 0))  # as deploy/runbooks/ProcessRestarts.md says
    rig.keep("case-live", tag="third")
    finished(rig)


async def _commit(rig: Rig, offset: int) -> None:
    """Commits for the group of case workers, as `kafka-consumer-groups --reset-offsets` does."""
    consumer = AIOKafkaConsumer(bootstrap_servers=rig.direct, group_id=CASE_GROUP, enable_auto_commit=False)
    await consumer.start()
    places = [TopicPartition(COMMANDS, number) for number in range(PARTITIONS)]
    consumer.assign(places)
    async with asyncio.timeout(30):
        while True:
            try:
                await consumer.commit(dict.fromkeys(places, offset))
                break
            except CommitFailedError:  # a worker that has ended is a member till its session is over
                await asyncio.sleep(0.5)
    await consumer.stop()


@pytest.mark.control("F11", "restore from a lost changelog without asking how long it was")
def test_without_the_check_a_lost_changelog_makes_cases_begin_anew(cluster: Cluster, rig: Rig, account: Account) -> None:
    worked(rig)
    without_changelog(rig, cluster)
    rig.keep("case-live", "any_changelog", tag="second")
    rig.send(cases=500, steps=3, from_step=4)
    rig.settled()
    rig.judged()
    account.red("I1", "I4")


@pytest.mark.scenario("F11", "the input ends below its commit")
def test_a_commit_above_the_end_of_its_input_ends_the_worker_by_name(cluster: Cluster, rig: Rig, account: Account) -> None:
    worked(rig)
    rig.watch.stop()  # what comes now is no commit of a worker's
    asyncio.run(_commit(rig, 1_000_000))
    rig.start("case-live", tag="second")
    assert rig.ended("case-livesecond") == Exit.INPUT_LOST
    asyncio.run(_commit(rig, 0))
    rig.keep("case-live", tag="third")
    finished(rig)


@pytest.mark.scenario("F11", "kill -9 in the midst of a restore")
def test_a_worker_killed_during_its_restore_restores_again(cluster: Cluster, rig: Rig, account: Account) -> None:
    worked(rig)
    rig.start("case-live", failpoint="in_restore@2", tag="second")
    assert rig.ended("case-livesecond") == -signal.SIGKILL
    account.window("killed in restore")
    rig.keep("case-live", tag="third")
    finished(rig)


@pytest.mark.scenario("F11", "a restore that gets nothing")
def test_the_watchdog_ends_a_restore_that_stands_still(cluster: Cluster, rig: Rig, account: Account) -> None:
    worked(rig)
    (proxy,) = cluster.proxies
    key = restoring(rig, cluster, "impatient")
    assert not told(rig, key, "restored")
    proxy.black_hole()
    until(lambda: told(rig, key, "in their recovery, and nothing has come"), "the watchdog ends the restore", 40)
    until(lambda: rig.exits[Exit.STANDSTILL], "the worker ended")
    proxy.heal()
    finished(rig)


@pytest.mark.skipif(not disk.available(), reason=disk.WHY_NOT)
@pytest.mark.scenario("F11", "the broker's disk full under load, and freed")
def test_a_broker_whose_disk_is_full_comes_back_with_all_it_acknowledged(tmp_path: Path, account: Account) -> None:
    with disk.small_disk(tmp_path / "brokers", 256) as home:
        cluster = Cluster(home, 1)
        rig = Rig(cluster.start(), tmp_path, account)
        try:
            rig.keep("case-live")
            rig.ready("case-live")
            load = rig.load(per_second=150)
            until(lambda: len(rig.ledger.acked) > 300, "load under way")
            disk.fill(home)
            full = until(lambda: standing_still(rig), "nothing is acknowledged any more", 60)
            account.window("broker ended by itself" if not cluster.nodes[0].running else "broker refused")
            disk.free(home)
            cluster.restart()
            back = time.monotonic()
            until(lambda: len(rig.ledger.acked) > full + 300, "load goes on", 60)
            load.stop()
            rig.settled(bound=60, since=back)
            rig.judged()
        finally:
            rig.stop()
            cluster.stop()
    account.held()


def standing_still(rig: Rig) -> int:
    """How many commands are acknowledged, if none was for two seconds; else 0."""
    before = len(rig.ledger.acked)
    time.sleep(2)
    return before if len(rig.ledger.acked) == before else 0
