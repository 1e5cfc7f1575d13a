"""One open live stream: server-sent events of a realm for one scope, a clock event each second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from schemas.realms import Realm
from services.clock import now_ms
from services.dashboard import metrics
from services.dashboard.live import Hub
from services.dashboard.ring import Cursor
from services.dashboard.vector import as_object, render

CLOCK_SECONDS = 1.0
SEND_SECONDS = 10.0  # a client that takes nothing for so long is dropped; it resumes by its vector
RETRY_MS = 1_000

log = structlog.get_logger(__name__)
_json = msgspec.json.Encoder()


class SlowClient(Exception):
    """The client reads more slowly than the events come."""


class LiveStream(Response):
    """The answer of GET /v1/live. Ends when the client goes, when it is too slow, when its key is revoked, or with the process.

    `allowed` is asked each second whether the key still holds.
    """

    media_type = "text/event-stream"

    def __init__(
        self, hub: Hub, realm: Realm, cursor: Cursor, catching_up: AsyncIterator[list[bytes]], allowed: Callable[[], bool]
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.hub = hub
        self.realm = realm
        self.cursor = cursor
        self.catching_up = catching_up
        self.allowed = allowed

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        clients = metrics.CLIENTS.labels(self.realm)
        clients.inc()
        gone = asyncio.create_task(_until_disconnect(receive))
        sending = asyncio.create_task(self._send_events(send))
        try:
            await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        except (SlowClient, TimeoutError):
            metrics.DROPPED.labels("slow").inc()
            log.info("live.dropped", realm=self.realm, division=self.cursor.scope.division)
        finally:
            clients.dec()
            for task in (gone, sending):
                task.cancel()
            await asyncio.gather(gone, sending, return_exceptions=True)

    async def _send_events(self, send: Send) -> None:
        await _send(send, f"retry: {RETRY_MS}\n\n".encode() + self._clock())
        async for events in self.catching_up:
            await _send(send, b"".join(events))
        loop = asyncio.get_running_loop()
        next_clock = loop.time() + CLOCK_SECONDS
        while not self.hub.closing:
            if self.cursor.behind():
                raise SlowClient
            events = self.cursor.advance()
            if loop.time() >= next_clock:
                if not self.allowed():
                    break
                events.append(self._clock())
                next_clock = max(next_clock + CLOCK_SECONDS, loop.time())
            if events:
                await _send(send, b"".join(events))
            await self.hub.grown(self.realm, self.cursor.number, next_clock - loop.time())
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _clock(self) -> bytes:
        """Says that the stream lives, how far it is, and how old its source is (ms)."""
        data: Mapping[str, object] = {
            "now": now_ms(),
            "realm": self.realm,
            "division": self.cursor.scope.division,
            "offsets": as_object(self.cursor.at),
            "broker_age_ms": self.hub.broker_age_ms(),
            "newest_at": self.hub.newest_ms(self.realm),
        }
        return b"event: clock\nid: " + render(self.cursor.at).encode() + b"\ndata: " + _json.encode(data) + b"\n\n"


async def _send(send: Send, body: bytes) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
