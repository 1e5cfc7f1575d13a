"""The tools of the fault tests do what their names say: a test that breaks nothing proves nothing."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.embedded.topics import ensure_topics
from tests.chaos import disk
from tests.chaos.cluster import Cluster
from tests.chaos.proxy import Proxy
from tests.helpers import until

COMMANDS = "incident.commands"
pytestmark = pytest.mark.chaos


@dataclass
class Echo:
    """A server that answers what it was sent, and remembers it."""

    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    heard: bytes = b""
    ends: int = 0  # connections that came to an end here

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            while data := connection.recv(65_536):
                self.heard += data
                connection.sendall(data)
        except OSError:
            pass
        self.ends += 1
        connection.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    threading.Thread(target=server.serve, daemon=True).start()
    yield server
    server.listener.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    made = Proxy(echo.port).start()
    yield made
    made.stop()


def client(proxy: Proxy, seconds: float = 5.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=seconds)


def asked(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return connection.recv(65_536)


def silent(connection: socket.socket, text: bytes) -> None:
    connection.sendall(text)
    connection.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(5)


def test_a_proxy_passes_both_ways_and_an_end_passes_too(proxy: Proxy, echo: Echo) -> None:
    with client(proxy) as connection:
        assert asked(connection, b"one") == b"one"
        assert (proxy.connections, proxy.bytes) == (1, 6)
    until(lambda: echo.ends == 1 and proxy.connections == 0, "the end came through")


def test_dropped_replies_lose_the_answer_and_not_the_request(proxy: Proxy, echo: Echo) -> None:
    with client(proxy) as connection:
        assert asked(connection, b"one") == b"one"
        proxy.drop_replies()
        silent(connection, b"two")
        assert echo.heard == b"onetwo"
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with client(proxy) as connection:
        assert asked(connection, b"three") == b"three"


def test_a_black_hole_takes_everything_and_new_connections(proxy: Proxy, echo: Echo) -> None:
    with client(proxy) as before:
        assert asked(before, b"one") == b"one"
        proxy.black_hole()
        with client(proxy) as during:
            silent(before, b"two")
            silent(during, b"three")
            assert echo.heard == b"one"
            proxy.heal()
            for connection in (before, during):
                with pytest.raises(ConnectionResetError):
                    connection.recv(1)


def test_a_heal_leaves_whole_connections_alone(proxy: Proxy) -> None:
    with client(proxy) as connection:
        assert asked(connection, b"one") == b"one"
        proxy.delay(0.05)
        assert asked(connection, b"two") == b"two"
        proxy.heal()
        assert asked(connection, b"three") == b"three"


def test_delays_come_each_way_and_keep_the_order(proxy: Proxy, echo: Echo) -> None:
    proxy.delay(0.1, jitter=0.1, seed=7)
    with client(proxy) as connection:
        began = time.monotonic()
        assert asked(connection, b"one") == b"one"
        assert 0.2 <= time.monotonic() - began < 2
        wanted = b"".join(b"%03d" % number for number in range(100))
        for start in range(0, len(wanted), 3):
            connection.sendall(wanted[start : start + 3])
        got = b""
        while len(got) < len(wanted):
            got += connection.recv(65_536)
        assert got == wanted


def test_a_throttle_passes_no_more_than_it_says(proxy: Proxy) -> None:
    proxy.throttle(100_000)
    with client(proxy) as connection:
        began = time.monotonic()
        connection.sendall(b"x" * 50_000)
        got = 0
        while got < 50_000:
            got += len(connection.recv(65_536))
        assert time.monotonic() - began > 0.3


def test_a_reset_hits_what_is_open_and_later_connections_pass(proxy: Proxy, echo: Echo) -> None:
    with client(proxy) as connection:
        assert asked(connection, b"one") == b"one"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    until(lambda: echo.ends == 1, "the target's end was reset too")
    with client(proxy) as connection:
        assert asked(connection, b"two") == b"two"


def test_a_half_close_ends_the_client_and_leaves_the_target_in_the_dark(proxy: Proxy, echo: Echo) -> None:
    connection = client(proxy)
    assert asked(connection, b"one") == b"one"
    proxy.half_close()
    assert connection.recv(1) == b""
    connection.close()
    with client(proxy) as later:
        assert asked(later, b"two") == b"two"
        assert echo.ends == 0
        proxy.heal()
        until(lambda: echo.ends == 1, "the target's end was reset by the heal")
        assert asked(later, b"three") == b"three"


def test_refused_is_refused_and_the_same_port_comes_back(proxy: Proxy) -> None:
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        client(proxy)
    proxy.heal()
    assert proxy.port == port
    with client(proxy) as connection:
        assert asked(connection, b"one") == b"one"


@pytest.mark.skipif(not disk.available(), reason=disk.WHY_NOT)
def test_a_small_disk_is_full_when_filled_and_writable_when_freed(tmp_path: Path) -> None:
    with disk.small_disk(tmp_path / "small", 4) as place:
        disk.fill(place)
        with pytest.raises(OSError, match="No space left"):
            (place / "more").write_bytes(b"x" * 8192)
        disk.free(place)
        (place / "more").write_bytes(b"x" * 8192)
    assert not (tmp_path / "small" / "more").exists()


async def _config(cluster: Cluster, name: str) -> str:
    """A setting of the topic of commands."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.direct)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, COMMANDS)])
        return next(str(entry[1]) for entry in answer.resources[0][4] if entry[0] == name)
    finally:
        await admin.close()


@pytest.mark.broker
async def test_a_cluster_of_three_fails_over_and_its_proxies_lose_acknowledgements(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 3, proxied=True).start()
    try:
        await ensure_topics(cluster.bootstrap, ("live",), 1, replication_factor=3)
        first = cluster.leader(COMMANDS, 0)
        assert await _config(cluster, "min.insync.replicas") == "2"
        producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", enable_idempotence=True)
        await producer.start()
        assert (await producer.send_and_wait(COMMANDS, b"one", partition=0)).offset == 0
        assert first.proxy is not None
        first.proxy.drop_replies()
        unanswered = await producer.send(COMMANDS, b"two", partition=0)
        consumer = AIOKafkaConsumer(COMMANDS, bootstrap_servers=cluster.direct, auto_offset_reset="earliest")
        await consumer.start()
        assert [(await consumer.getone()).value for _ in range(2)] == [b"one", b"two"]
        assert not unanswered.done(), "written and not acknowledged"
        first.proxy.heal()
        assert (await asyncio.wait_for(unanswered, 30)).offset == 1, "said again, written once"
        first.kill9()
        second = cluster.leader(COMMANDS, 0)
        assert second is not first
        assert (await producer.send_and_wait(COMMANDS, b"three", partition=0)).offset == 2
        await asyncio.gather(producer.stop(), consumer.stop())
        assert cluster.heal().controller().running
    finally:
        cluster.stop()
