"""Serving an ASGI application on a loopback port inside a process of the platform."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from services.process import Process


def listen(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A bound socket; `port` 0 takes a free one. OSError if it is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    bound.set_inheritable(False)
    return bound


async def serve_http(process: Process, app: Any, port: int, **config: Any) -> None:
    """Serves `app` till `process.stop` is set, then lets requests in flight finish; calls `process.ready` once it accepts."""
    bound = listen(port)
    server = _Server(
        uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5, backlog=2048, **config)
    )
    server.on_accepting = lambda: process.ready(port=bound.getsockname()[1])
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    stopping = asyncio.create_task(process.stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        bound.close()


class _Server(uvicorn.Server):
    """Leaves signals to the process, which may have more to drain than HTTP; tells when it accepts."""

    on_accepting: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_accepting()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
