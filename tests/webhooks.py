"""A webhook's receiver for tests: a real HTTP server on loopback that keeps what it gets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """`answers`: statuses of the next requests, then 200; -1: the connection is closed without an answer."""

    url: str
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)  # path, headers in small letters, body
    answers: list[int] = field(default_factory=list)
    hang: threading.Event | None = None  # requests wait for it

    @property
    def keys(self) -> list[str]:
        return [headers["idempotency-key"] for _, headers, _ in self.got]

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.got]


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            found.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            if found.hang:
                found.hang.wait(30)
            status = found.answers.pop(0) if found.answers else 200
            if status == -1:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Receiver(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        if found.hang:
            found.hang.set()
        server.shutdown()
        server.server_close()
