"""The gateway when its network or its disk fails: what it promised is in Kafka and in its ledger, all else it refused in time."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from services.acks import AckReader
from services.embedded.topics import ensure_topics
from tests.chaos import disk
from tests.chaos.cluster import Cluster
from tests.chaos.proxy import Proxy
from tests.chaos.results import Account
from tests.gateways import SERVED, Gateway, gateway
from tests.helpers import until

pytestmark = [pytest.mark.chaos, pytest.mark.broker]
PARTITIONS = 4
BODY = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-01T08:30:00+08:00"}
TELLING = 8.0  # seconds within which a sender is told


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One broker behind a proxy."""
    made = Cluster(tmp_path_factory.mktemp("brokers"), 1, proxied=True)
    try:
        made.start()
        asyncio.run(ensure_topics(made.direct, SERVED, PARTITIONS))
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for every fault of its network: the later ones meet it as the earlier ones left it."""
    with gateway(cluster.bootstrap, tmp_path_factory.mktemp("gateway")) as running:
        yield running


class Senders:
    """Senders that post single incidents all the time, and what they were told."""

    def __init__(self, served: Gateway, name: str, count: int = 4) -> None:
        self.promised: set[str] = set()
        self.refused = 0
        self.slowest = 0.0  # s
        self._done = threading.Event()
        self._name = name
        self._url, self._headers = served.url, {"Authorization": f"Bearer {served.keys['producer']}"}
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=30) as http:
            turn = 0
            while not self._done.is_set():
                turn += 1
                began = time.monotonic()
                body = {**BODY, "event_id": f"{self._name}-{number}-{turn}", "note": "路面积水" if turn % 5 == 0 else None}
                answer = http.post("/v1/incidents", json=body)
                self.slowest = max(self.slowest, time.monotonic() - began)
                if answer.status_code == 202:
                    self.promised.add(answer.json()["command_id"])
                else:
                    assert answer.status_code == 503, answer.text
                    self.refused += 1
                time.sleep(0.01)  # the pace of a department

    def more(self, what: Callable[[], int], count: int, told: str, seconds: float = 40) -> None:
        before = what()
        until(lambda: what() >= before + count, told, seconds)

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a sender was never told"


def kept(cluster: Cluster) -> dict[tuple[int, int], str]:
    """Command ids in Kafka by (partition, offset)."""

    async def read() -> dict[tuple[int, int], str]:
        found: dict[tuple[int, int], str] = {}
        consumer = AIOKafkaConsumer(bootstrap_servers=cluster.direct, auto_offset_reset="earliest")
        await consumer.start()
        places = [TopicPartition("incident.commands", number) for number in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            while await consumer.position(place) < ends[place]:
                record = await consumer.getone(place)
                found[place.partition, record.offset] = codec(IncidentCommand).decode(record.value).command_id
        await consumer.stop()
        return found

    return asyncio.run(read())


def judged(cluster: Cluster, data: Path, account: Account, senders: Senders) -> None:
    """Every promise is in Kafka, once, and in the ledger, which tells nothing that Kafka does not hold."""
    log = kept(cluster)
    ours = [command for command in log.values() if command in senders.promised]
    ledger = list(AckReader(data / "acks"))
    missing = len(senders.promised - set(ours)) + len(senders.promised - {ack.command_id for ack in ledger})
    wrong = sum(log.get((ack.partition, ack.offset)) != ack.command_id for ack in ledger)
    doubled = len(ours) - len(set(ours))
    account.figure("promised", len(senders.promised))
    account.figure("refused", senders.refused)
    account.figure("slowest answer s", senders.slowest)
    account.verdict({"I1": missing + wrong + doubled}, {"missing": missing, "wrong places": wrong, "doubled": doubled})
    assert senders.slowest < TELLING


def _for_a_second(proxy: Proxy) -> None:
    """Less than the deadline: what hangs is sent again."""
    proxy.drop_replies()
    time.sleep(1)
    proxy.heal()


FAULTS: dict[str, Callable[[Proxy], None]] = {
    "acknowledgements lost": lambda proxy: proxy.drop_replies(),
    "acknowledgements lost for a second": _for_a_second,
    "black hole": lambda proxy: proxy.black_hole(),
    "half-open sockets": lambda proxy: proxy.half_close(),
    "reset": lambda proxy: proxy.reset(),
    "500 ms of jitter": lambda proxy: proxy.delay(0.0, jitter=0.5),
}
REFUSES = {"acknowledgements lost", "black hole"}  # for as long as they last


@pytest.mark.scenario("F6", "the gateway's network")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_gateway_promises_what_is_in_kafka_or_refuses(cluster: Cluster, served: Gateway, account: Account, fault: str) -> None:
    (proxy,) = cluster.proxies
    senders = Senders(served, fault)
    senders.more(lambda: len(senders.promised), 50, "promises before")
    FAULTS[fault](proxy)
    if fault in REFUSES:
        senders.more(lambda: senders.refused, 12, "senders are told")
    else:
        senders.more(lambda: len(senders.promised), 20, "promises under the fault")
    proxy.heal()
    healed = time.monotonic()
    senders.more(lambda: len(senders.promised), 50, "promises after")
    account.recovered(time.monotonic() - healed, 20)
    senders.stop()
    judged(cluster, served.data_dir, account, senders)
    account.held()


@pytest.mark.control("F6", "a gateway without an idempotent producer, acknowledgements lost")
def test_without_idempotence_a_lost_acknowledgement_writes_twice(cluster: Cluster, tmp_path: Path, account: Account) -> None:
    (proxy,) = cluster.proxies
    with gateway(cluster.bootstrap, tmp_path / "data", module="tests.chaos.unguarded_gateway") as unguarded:
        senders = Senders(unguarded, "unguarded")
        senders.more(lambda: len(senders.promised), 50, "promises before")
        for _ in range(6):  # one request is under way at a time
            _for_a_second(proxy)
            senders.more(lambda: len(senders.promised), 20, "promises after")
        senders.stop()
    judged(cluster, tmp_path / "data", account, senders)
    assert account.entry.details["doubled"]
    account.red("I1")


@pytest.mark.skipif(not disk.available(), reason=disk.WHY_NOT)
@pytest.mark.scenario("F11", "the gateway's disk full, and freed")
def test_a_gateway_whose_disk_is_full_promises_nothing_and_goes_on_when_there_is_space(
    cluster: Cluster, tmp_path: Path, account: Account
) -> None:
    with disk.small_disk(tmp_path / "data", 8) as data:
        with gateway(cluster.bootstrap, data) as served:
            senders = Senders(served, "disk")
            senders.more(lambda: len(senders.promised), 50, "promises before")
            disk.fill(data)
            senders.more(lambda: senders.refused, 20, "senders are told")
            held = len(senders.promised)
            senders.more(lambda: senders.refused, 20, "senders are told")
            assert len(senders.promised) == held, "a promise without a line in the ledger"
            disk.free(data)
            freed = time.monotonic()
            senders.more(lambda: len(senders.promised), 50, "promises after")
            account.recovered(time.monotonic() - freed, 20)
            senders.stop()
        assert json.loads((data / "keys.json").read_text())
        judged(cluster, data, account, senders)
    account.held()
