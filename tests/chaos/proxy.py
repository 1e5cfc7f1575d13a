"""A TCP proxy on loopback that fails on demand, in a thread and loop of its own; the test's thread gives the orders.

An order is in force when its call returns. What a fault broke (bytes swallowed, half closed) is reset by `heal`: a stream with a
hole in it would say things that nobody sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from services.embedded.ports import free_port

T = TypeVar("T")
CHUNK = 65_536
RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST


@dataclass
class Faults:
    """What is wrong at present; all off is transparent."""

    delay: float = 0.0  # s, each way
    jitter: float = 0.0  # s, added at random between 0 and this, each way
    bytes_per_second: float = 0.0  # 0: no limit
    swallow_requests: bool = False
    swallow_replies: bool = False


@dataclass(eq=False)
class Link:
    """One client's connection and ours to the target; None while a black hole took it without one."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    broken: bool = False  # bytes are missing or one side is closed: only a reset is honest
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def reset(self) -> None:
        for task in self.tasks:
            task.cancel()
        for side in (self.client, self.server):
            if side and (raw := side.get_extra_info("socket")) is not None:
                with contextlib.suppress(OSError):  # that end has closed already
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
                side.transport.abort()


class Proxy:
    """Passes `.port` on to `target_port` of `host`. A target that refuses gives the client a reset."""

    def __init__(self, target_port: int, host: str = "127.0.0.1") -> None:
        self.port = free_port()
        self.bytes = 0
        self.held = 0  # bytes taken and not yet due, while a delay is on
        self._host, self._target = host, target_port
        self._faults = Faults()
        self._random = random.Random(0)
        self._links: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._listener: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True)

    @property
    def connections(self) -> int:
        """Client connections open now."""
        return len(self._links)

    def start(self) -> Proxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def stop(self) -> None:
        """Resets what is open and ends the thread; a second call does nothing."""
        if not self._thread.is_alive():
            return
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # -- orders

    def delay(self, seconds: float, jitter: float = 0.0, seed: int = 0) -> None:
        """Every chunk of bytes, each way, comes `seconds` plus up to `jitter` later; order is kept, throughput too."""
        self._order(lambda: self._set(delay=seconds, jitter=jitter, seed=seed))

    def throttle(self, bytes_per_second: float) -> None:
        """Each way of each connection passes at most this much."""
        self._order(lambda: self._set(bytes_per_second=bytes_per_second))

    def black_hole(self) -> None:
        """Connections stay open and new ones are taken; nothing passes, either way."""
        self._order(lambda: self._set(swallow_requests=True, swallow_replies=True))

    def drop_replies(self) -> None:
        """Requests pass and are carried out, their answers are lost."""
        self._order(lambda: self._set(swallow_requests=False, swallow_replies=True))

    def reset(self) -> None:
        """RST to both ends of every open connection; later ones pass."""
        self._order(self._reset_all)

    def half_close(self) -> None:
        """FIN to the client of every open connection; the target still holds its end open, till `heal`."""
        self._order(self._half_close)

    def refuse(self) -> None:
        """Connections are refused, those open are reset: as a host that is there with nothing running on it."""

        async def closed() -> None:
            if self._listener:
                self._listener.close()
            self._reset_all()

        asyncio.run_coroutine_threadsafe(closed(), self._loop).result(10)

    def heal(self) -> None:
        """Transparent again; connections that a fault broke are reset."""

        async def healed() -> None:
            self._faults = Faults()
            for link in [link for link in self._links if link.broken]:
                self._forget(link)
            if self._listener is None or not self._listener.is_serving():
                await self._listen()

        asyncio.run_coroutine_threadsafe(healed(), self._loop).result(10)

    def _order(self, call: Callable[[], None]) -> None:
        async def in_loop() -> None:
            call()

        asyncio.run_coroutine_threadsafe(in_loop(), self._loop).result(10)

    # -- in the loop

    def _set(self, seed: int = 0, **given: float) -> None:
        for name, value in given.items():
            setattr(self._faults, name, value)
        self._random = random.Random(seed)

    def _reset_all(self) -> None:
        for link in list(self._links):
            self._forget(link)

    def _forget(self, link: Link) -> None:
        self._links.discard(link)
        link.reset()

    def _half_close(self) -> None:
        for link in self._links:
            link.broken = True
            if not link.client.is_closing():
                link.client.write_eof()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port, reuse_address=True)

    async def _accept(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        link = Link(client)
        self._links.add(link)
        if self._faults.swallow_requests:
            link.broken = True
            link.tasks = [asyncio.ensure_future(self._pass(link, client_reader, client, requests=True))]
            return
        try:
            server_reader, link.server = await asyncio.open_connection(self._host, self._target)
        except OSError:
            self._forget(link)
            return
        if link not in self._links:  # reset while we connected
            link.reset()
            return
        link.tasks = [
            asyncio.ensure_future(self._pass(link, client_reader, link.server, requests=True)),
            asyncio.ensure_future(self._pass(link, server_reader, client, requests=False)),
        ]

    async def _pass(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: bool) -> None:
        """One way of one connection: a reader that stamps when each chunk is due, and a writer that waits for it."""
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1000)
        delivery = asyncio.ensure_future(self._deliver(link, due, writer, requests))
        link.tasks.append(delivery)
        try:
            while data := await reader.read(CHUNK):
                faults = self._faults
                self.held += len(data)
                await due.put((self._loop.time() + faults.delay + self._random.uniform(0, faults.jitter), data))
            await due.put((self._loop.time() + self._faults.delay, b""))
            await delivery
        except OSError:
            self._forget(link)  # one end was reset: so is the other

    async def _deliver(self, link: Link, due: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, requests: bool) -> None:
        while True:
            when, data = await due.get()
            await asyncio.sleep(max(0.0, when - self._loop.time()))
            self.held -= len(data)
            swallowed = self._faults.swallow_requests if requests else self._faults.swallow_replies
            if swallowed:
                link.broken = True
            if not data:
                break
            if swallowed or (link.broken and link.server is None) or writer.is_closing():
                continue
            try:
                await self._write(writer, data)
            except OSError:
                self._forget(link)
                return
        if not link.broken:  # an end of stream passes on; a broken link keeps the other end in the dark
            self._forget_politely(link)
        elif requests and link.server is None:
            self._forget(link)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        rate = self._faults.bytes_per_second
        size = max(1, int(rate / 20)) if rate else len(data)  # twenty pieces a second
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            if rate:
                await asyncio.sleep(len(piece) / rate)
            self.bytes += len(piece)
            writer.write(piece)
            await writer.drain()

    def _forget_politely(self, link: Link) -> None:
        """FIN to both ends. Neither side of Kafka or HTTP sends on after the other has closed."""
        self._links.discard(link)
        for side in (link.client, link.server):
            if side and not side.is_closing():
                side.close()
