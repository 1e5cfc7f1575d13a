"""What every process of the platform does alike: logs, metrics and health on loopback, readiness, ending on SIGTERM.

A process's module exposes `async def serve(process: Process) -> None` (or a plain `def` where a library owns the loop, as Faust does).
It calls `process.ready(...)` once it serves, runs till `process.stop` is set, drains and returns. An exception that leaves it ends
the process with exit code 1; the supervisor restarts it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from services import logs
from streams.engine.failpoints import Failpoints, for_process

if TYPE_CHECKING:
    from services.settings import Settings

Health = Callable[[], dict[str, Any]]


class Process:
    """`name` as in the process table: gateway, dashboard, warehouse, notifier, relay, analytics, case-live, alarm-live, …, simulation."""

    def __init__(self, settings: Settings, name: str, registry: CollectorRegistry = REGISTRY) -> None:
        self.settings = settings
        self.name = name
        self.registry = registry
        self.failpoints: Failpoints = for_process(name, settings.failpoint)
        self.log: structlog.stdlib.BoundLogger = structlog.get_logger(name)
        self.stop = asyncio.Event()
        self.metrics_port = 0
        self._ready = False
        self._health: Health = dict
        self._server: ThreadingWSGIServer | None = None
        self._limit: threading.Timer | None = None

    def ready(self, port: int | None = None, **more: Any) -> None:
        """Says that this process serves: writes <data dir>/run/NAME.json. `port`: the one its users call, if any."""
        self._ready = True
        note: dict[str, Any] = {"name": self.name, "pid": os.getpid(), "ready": True, "metrics_port": self.metrics_port, **more}
        if port is not None:
            note["port"] = port
        write_private(self.settings.run_dir / f"{self.name}.json", json.dumps(note))
        self.log.info("ready", port=port, metrics_port=self.metrics_port)

    def health(self, probe: Health) -> None:
        """`probe` answers facts for /health; an exception of it, or a fact "ok" that is False, makes the answer 503."""
        self._health = probe

    def serve_metrics(self) -> int:
        """Starts /metrics and /health on a free loopback port, in a thread of its own, so that they answer while the loop is busy."""
        self._server = make_server("127.0.0.1", 0, self._wsgi(), ThreadingWSGIServer, handler_class=_Quiet)
        self._server.daemon_threads = True
        self.metrics_port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        return self.metrics_port

    def request_stop(self) -> None:
        """Sets `stop`, and a time limit on the drain: then the process ends hard, whatever hangs."""
        if self.stop.is_set():
            return
        self.log.info("stopping")
        self.stop.set()
        self._limit = threading.Timer(self.settings.stop_seconds, self._overdue)
        self._limit.daemon = True
        self._limit.start()

    def close(self) -> None:
        """Takes back readiness, stops the metrics server and the time limit."""
        if self._limit:
            self._limit.cancel()
        note = self.settings.run_dir / f"{self.name}.json"
        note.unlink(missing_ok=True)
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def _overdue(self) -> None:
        self.log.error("drain took too long", seconds=self.settings.stop_seconds)
        os._exit(3)

    def _wsgi(self) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
        metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(self.registry)

        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            if environ["PATH_INFO"] != "/health":
                return metrics(environ, start)
            try:
                facts = self._health()
            except Exception as error:  # the answer itself is the report
                facts = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            well = self._ready and not self.stop.is_set() and facts.get("ok", True)
            start("200 OK" if well else "503 Service Unavailable", [("Content-Type", "application/json")])
            return [json.dumps({"name": self.name, "ready": self._ready} | facts | {"ok": bool(well)}).encode()]

        return answer


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are not worth a log line."""


def run(process: Process, serve: Callable[[Process], Awaitable[None] | None]) -> int:
    """Runs `serve` to its end and answers the exit code: 0 after a drain, 1 after an unexpected error."""
    logs.configure(process.name)
    process.settings.run_dir.mkdir(parents=True, exist_ok=True)
    process.serve_metrics()
    try:
        from services.adapters.uvloop_repair import repair

        repair()
        if inspect.iscoroutinefunction(serve):
            import uvloop

            uvloop.run(_with_signals(process, serve))
        else:
            serve(process)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except Exception:
        process.log.exception("unexpected error")
        return 1
    finally:
        process.close()
        sys.stdout.flush()
    return 0


async def _with_signals(process: Process, serve: Callable[[Process], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.request_stop)
    await serve(process)


def write_private(path: Path, text: str) -> None:
    """Writes a file of mode 0600 at once: a reader sees the old text or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
