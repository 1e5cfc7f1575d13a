"""A small server that speaks ClickHouse's HTTP protocol on top of chDB: `python -m tests.clickhouse_http DIRECTORY PORT`.

Lets the real HTTP client run the same tests as the embedded engine, and be cut off, killed and restarted. It proves the wire path; users,
replication and the server's own insert queue are not verified against a real server. Two things are imitated: rows for `input()` are read
through `file()`, and `KILL QUERY … SYNC` waits for the queries it names instead of ending them.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import chdb
import httpx

from tests.helpers import until

TRANSPORT = {
    "query", "database", "user", "password", "session_id", "session_timeout", "query_id", "compress", "decompress", "wait_end_of_query",
    "client_protocol_version", "default_format", "buffer_size", "enable_http_compression", "send_progress_in_http_headers",
    "http_headers_progress_interval_ms", "quota_key", "role", "session_check",
}  # fmt: skip
FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
INSERT = re.compile(rb"\s*INSERT INTO [^\n]*\bFORMAT\s+\w+[ \t]*\n", re.IGNORECASE)
INPUT = re.compile(r"\binput\('((?:[^'\\]|\\.)*)'\)")
KILL = re.compile(r"\s*KILL QUERY WHERE query_id LIKE '([^']*)%' SYNC", re.IGNORECASE)
CODE = re.compile(r"Code: (\d+)")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    directory = ""
    own = threading.local()
    running: ClassVar[list[str]] = []  # query ids
    ended = threading.Condition()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._answer(200, b"Ok.\n", {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        sql, data = (asked["query"], body) if "query" in asked else _split(body)
        held = self._held(sql)
        tag = asked.get("query_id", "")
        self.running.append(tag)
        try:
            name, payload = self._run(sql, data, asked)
        except Exception as error:  # the engine's error is the answer
            text = str(error)
            code = CODE.search(text)
            self._answer(500, text.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1002"})
            return
        finally:
            with self.ended:
                self.running.remove(tag)
                self.ended.notify_all()
            if held:
                Path(self.directory + ".released").rename(self.directory + ".done")
        headers = {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Summary": '{"written_rows":"0"}'}
        self._answer(200, payload, headers | ({"X-ClickHouse-Format": name} if name else {}))

    def _held(self, sql: str) -> bool:
        """Whether this is the insert that a test wanted to lie in the network for a while; answers when it may go on."""
        with contextlib.suppress(FileNotFoundError):
            if sql.endswith("FORMAT Avro"):
                Path(self.directory + ".hold").rename(self.directory + ".held")
                until(Path(self.directory + ".released").exists, "the held insert may go on", 300)
                return True
        return False

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _run(self, sql: str, data: bytes, asked: dict[str, str]) -> tuple[str, bytes]:
        engine = self._engine()
        if database := asked.get("database"):
            engine.query(f"USE {database}")
        given = {key[6:]: value for key, value in asked.items() if key.startswith("param_")}
        settings = {key: value for key, value in asked.items() if key not in TRANSPORT and not key.startswith("param_")}
        match = FORMAT.search(sql)
        if killed := KILL.match(sql):
            with self.ended:
                self.ended.wait_for(lambda: not any(tag.startswith(killed[1]) for tag in self.running))
            return "", b""
        if data and match:
            self._insert(engine, sql[: match.start()], match[1], data, settings)
            return "", b""
        with _set(engine, settings):
            result = engine.query(sql[: match.start()] if match else sql, match[1] if match else "TabSeparated", params=given)
        returns = bool(re.match(r"\s*(--[^\n]*\n\s*)*(SELECT|SHOW|DESCRIBE|EXISTS|WITH)", sql, re.IGNORECASE))
        return (match[1] if match else "TabSeparated") if returns else "", result.bytes()

    @staticmethod
    def _insert(engine: Any, sql: str, format_: str, data: bytes, settings: dict[str, str]) -> None:
        clause = ", ".join(f"{key} = '{value}'" for key, value in settings.items())
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            clause = f"SETTINGS {clause}" if clause else ""
            if INPUT.search(sql):
                engine.query(INPUT.sub(lambda shape: f"file('{file.name}', '{format_}', '{shape[1]}')", sql, count=1) + clause)
            else:
                engine.query(f"{sql} FROM INFILE '{file.name}' {clause} FORMAT {format_}")

    def _engine(self) -> Any:
        if not hasattr(self.own, "engine"):
            self.own.engine = chdb.connect(self.directory)
        return self.own.engine

    def _answer(self, status: int, payload: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def _split(body: bytes) -> tuple[str, bytes]:
    """An insert may carry its rows after the statement."""
    match = INSERT.match(body)
    return (body[: match.end()].decode(), body[match.end() :]) if match else (body.decode(), b"")


@contextlib.contextmanager
def _set(engine: Any, settings: dict[str, str]) -> Any:
    for key, value in settings.items():
        engine.query(f"SET {key} = '{value}'")
    try:
        yield
    finally:
        for key in settings:
            engine.query(f"SET {key} = DEFAULT")


class ClickHouseServer:
    """The server as a child process; `kill` and `start` again on the same port and directory."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory, self.port = directory, port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> ClickHouseServer:
        self._process = subprocess.Popen([sys.executable, "-m", "tests.clickhouse_http", str(self.directory), str(self.port)])
        until(self._answers, "the ClickHouse test server answers")
        return self

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def hold(self) -> None:
        """The next insert that comes is held before anything of it is done: it lies in the network, so to say."""
        self._mark("hold").touch()

    def holds(self) -> bool:
        return self._mark("held").exists()

    def release(self) -> None:
        """It goes on; answers when it is stored or refused."""
        self._mark("held").rename(self._mark("released"))
        until(self._mark("done").exists, "the held insert has ended", 60)

    def _mark(self, name: str) -> Path:
        return self.directory.with_name(f"{self.directory.name}.{name}")

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/ping").status_code == 200
        return False


def main() -> None:
    Handler.directory = sys.argv[1]
    keep = chdb.connect(sys.argv[1])  # one handle for the life of the process keeps the engine open
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that are cut off are what this server is for
    server.serve_forever()
    keep.close()


if __name__ == "__main__":
    main()
