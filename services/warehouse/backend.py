"""The warehouse as the rest of the code sees it: one port, two engines behind it.

`open_warehouse` gives a `Warehouse` over the embedded engine (chDB: one engine per process and directory) or over a ClickHouse server's
HTTP port. Both go through clickhouse-connect, so statements, types and errors are the same.
"""

from __future__ import annotations

import contextlib
import queue
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError, DataError, Error

SQL_FILES = Path(__file__).parents[2] / "schemas" / "clickhouse"
DATABASE = "liandong"
ENGINE_MACRO = re.compile(r"\{engine:(\w*MergeTree)(?:\(([^)]*)\))?\}")
# One insert is one part in every target: blocks stay whole, nothing is deferred, nothing is dropped as a "duplicate".
INSERT_SETTINGS: dict[str, Any] = {
    "async_insert": 0,
    "insert_deduplicate": 0,
    "deduplicate_blocks_in_dependent_materialized_views": 0,
    "max_block_size": 200_000,
    "max_insert_block_size": 1_048_449,
    "min_insert_block_size_rows": 1_048_449,
    "min_insert_block_size_bytes": 1 << 30,
    "max_insert_threads": 1,
    "materialized_views_ignore_errors": 0,
}
SETTINGS_CLAUSE = ", ".join(f"{name} = {value}" for name, value in INSERT_SETTINGS.items())
FENCED = "fenced: another sink owns this stream"
END, ENDING = "_end", 0x4C69616E646F6E67  # the last field of a row in a container and its value: what is left over behind a datum shifts it
TORN = "a row does not end where its bytes end"
BROKEN_INPUT = frozenset({6, 27, 33, 53, 117, 376, 748, 1001})  # the engine could not read the rows themselves: a repeat cannot help

Row = dict[str, Any]


class WarehouseError(Exception):
    """The engine refused or could not be reached. `code` is ClickHouse's, 0 when it never answered."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code

    @property
    def broken_input(self) -> bool:
        """Whether the rows themselves are unreadable."""
        return self.code in BROKEN_INPUT or TORN in str(self)


class Fenced(WarehouseError):
    """The engine refused an insert because a newer sink owns the stream: nothing of it was stored."""


class Handle(Protocol):
    """One connection. Calls on one handle wait for each other: the sink has its own, readers take one from a pool.

    `guard`: a condition in SQL that the engine evaluates with every insert of this handle, or ""; Fenced when it throws.
    """

    guard: str

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Rows of a SELECT as dictionaries. Parameters are bound by the engine: {name:Type}."""

    def run(self, sql: str) -> None:
        """A statement without rows."""

    def insert_avro(self, table: str, container: bytes, query_id: str = "") -> None:
        """Inserts an Avro container, whose rows end with END, as one block. After an error it may be wholly, partly or not there; with one
        that is `broken_input` nothing of it is."""

    def insert_select(self, table: str, columns: Sequence[str], select: str, query_id: str = "") -> None:
        """Inserts the rows of a SELECT as one block."""

    def truncate(self, table: str) -> None:
        """Empties a table. The guard is asked just before, not with it."""

    def close(self) -> None: ...


class Warehouse(Protocol):
    """An engine and its handles. `shared`: other processes may write to its tables too."""

    replicated: bool
    shared: bool

    def handle(self) -> Handle:
        """A new handle of the caller's own."""

    def reader(self) -> contextlib.AbstractContextManager[Handle]:
        """A handle from the pool; waits when all are out."""

    def close(self) -> None: ...


def scalar(handle: Handle, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """First column of the first row; None when there is no row."""
    rows = handle.rows(sql, parameters)
    return next(iter(rows[0].values())) if rows else None


def expand_engines(sql: str, replicated: bool) -> str:
    """{engine:ReplacingMergeTree(x)} for this warehouse: replicated on a cluster, plain elsewhere."""

    def engine(match: re.Match[str]) -> str:
        name, arguments = match[1], match[2] or ""
        if not replicated:
            return f"{name}({arguments})" if arguments else name
        keeper = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
        return f"Replicated{name}({keeper}{', ' + arguments if arguments else ''})"

    return ENGINE_MACRO.sub(engine, sql)


class ConnectHandle:
    """A clickhouse-connect client as a `Handle`. Columns come from a table once, so a column that a newer release adds changes nothing."""

    def __init__(self, client: Any) -> None:
        self.guard = ""
        self._client = client
        self._columns: dict[str, list[Row]] = {}

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        with _translated():
            result = self._client.query(sql, parameters=dict(parameters or {}))
            names = result.column_names
            return [dict(zip(names, row, strict=True)) for row in result.result_rows]

    def run(self, sql: str) -> None:
        with _translated():
            self._client.command(sql)

    def insert_avro(self, table: str, container: bytes, query_id: str = "") -> None:
        if table not in self._columns:
            where = "database = currentDatabase() AND table = {table:String} AND default_kind IN ('', 'DEFAULT')"
            self._columns[table] = self.rows(f"SELECT name, type FROM system.columns WHERE {where} ORDER BY position", {"table": table})
        columns = self._columns[table]
        names = ", ".join(f"`{column['name']}`" for column in columns)
        shape = ", ".join(f"`{column['name']}` {column['type']}" for column in [*columns, {"name": END, "type": "Int64"}])
        whole = f"throwIf({END} != {ENDING}, '{TORN}') = 0"
        condition = f"{self.guard} AND {whole}" if self.guard else whole
        with _translated(), self._rows_of(container, shape.replace("'", "\\'")) as (source, body):
            self._insert(f"INSERT INTO {table} ({names}) SELECT {names} FROM {source} WHERE {condition}", query_id, body)

    @contextlib.contextmanager
    def _rows_of(self, container: bytes, shape: str) -> Iterator[tuple[str, bytes | None]]:
        """The container as a table function, and the body of the statement if there is one. Here: a file, for an engine in this process."""
        with tempfile.NamedTemporaryFile(prefix="liandong-block-", suffix=".avro") as file:
            file.write(container)
            file.flush()
            yield f"file('{file.name}', 'Avro', '{shape}')", None

    def insert_select(self, table: str, columns: Sequence[str], select: str, query_id: str = "") -> None:
        guarded = f"SELECT * FROM ({select}) WHERE {self.guard}" if self.guard else select
        with _translated():
            self._insert(f"INSERT INTO {table} ({', '.join(columns)}) {guarded}", query_id)

    def _insert(self, sql: str, query_id: str, body: bytes | None = None) -> None:
        """With the settings in the statement: the client would set and reset each of them by a query of its own, 18 ms of CPU an insert.
        Nobody else works in this engine, so no one asks for the query's id."""
        self._client.command(f"{sql} SETTINGS {SETTINGS_CLAUSE}")

    def truncate(self, table: str) -> None:
        if self.guard:
            self.rows(f"SELECT {self.guard} AS ours")
        self.run(f"TRUNCATE TABLE {table} SYNC")

    def close(self) -> None:
        self._client.close()


class ServerHandle(ConnectHandle):
    """A client of a server: rows come with the statement."""

    @contextlib.contextmanager
    def _rows_of(self, container: bytes, shape: str) -> Iterator[tuple[str, bytes | None]]:
        yield f"input('{shape}')", container

    def _insert(self, sql: str, query_id: str, body: bytes | None = None) -> None:
        """As a command, also with a body: the client repeats a raw insert by itself when the connection closes before the answer, and the
        rows would be there twice."""
        settings = INSERT_SETTINGS | ({"query_id": query_id} if query_id else {})
        self._client.command(f"{sql} FORMAT Avro" if body else sql, data=body, settings=settings)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise (Fenced if FENCED in str(error) else WarehouseError)(str(error), _code(error)) from error
    except (Error, DataError, OSError) as error:
        raise WarehouseError(f"{type(error).__name__}: {error}") from error


def _code(error: Exception) -> int:
    found = getattr(error, "code", None)
    if isinstance(found, int):
        return found
    match = re.search(r"Code: (\d+)", str(error)) or re.search(r"code (\d+)", str(error))
    return int(match[1]) if match else 0


class Pool:
    """Shared part of both engines: the readers' pool."""

    replicated = False
    shared = False
    handles: type[ConnectHandle] = ConnectHandle

    def __init__(self, readers: int) -> None:
        self._idle: queue.LifoQueue[Handle | None] = queue.LifoQueue()
        for _ in range(readers):
            self._idle.put(None)
        self._open: list[Handle] = []
        self._lock = threading.Lock()

    def _client(self) -> Any:
        raise NotImplementedError

    def handle(self) -> Handle:
        with _translated():
            made = self.handles(self._client())
        with self._lock:
            self._open.append(made)
        return made

    @contextlib.contextmanager
    def reader(self) -> Iterator[Handle]:
        taken = self._idle.get()
        try:
            taken = taken or self.handle()
            yield taken
        finally:
            self._idle.put(taken)

    def close(self) -> None:
        with self._lock:
            for made in self._open:
                made.close()
            self._open.clear()


class EmbeddedWarehouse(Pool):
    """chDB in this process. The directory belongs to this process alone while it is open."""

    def __init__(self, directory: Path, readers: int = 4, max_memory_bytes: int = 0) -> None:
        super().__init__(readers)
        directory.mkdir(parents=True, exist_ok=True)
        self._path = str(directory)
        self._settings: dict[str, Any] = {"max_memory_usage": max_memory_bytes} if max_memory_bytes else {}
        first = clickhouse_connect.get_client(interface="chdb", path=self._path)
        first.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        first.close()

    def _client(self) -> Any:
        return clickhouse_connect.get_client(interface="chdb", path=self._path, database=DATABASE, settings=self._settings)


class ServerWarehouse(Pool):
    """A ClickHouse server by URL: http(s)://user:password@host:port. `?replicated=1` in the URL makes replicated tables."""

    shared = True
    handles = ServerHandle

    def __init__(self, url: str, readers: int = 8) -> None:
        super().__init__(readers)
        self._dsn, _, query = url.partition("?")
        self.replicated = "replicated=1" in query
        with _translated():
            first = clickhouse_connect.get_client(dsn=self._dsn, autogenerate_session_id=False)
            first.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
            first.close()

    def _client(self) -> Any:
        return clickhouse_connect.get_client(dsn=self._dsn, database=DATABASE, autogenerate_session_id=False, send_receive_timeout=120)


def open_warehouse(directory: Path, url: str = "", readers: int = 4) -> Warehouse:
    """The embedded engine in `directory`, or the server at `url` when one is given. WarehouseError when it does not answer."""
    return ServerWarehouse(url, max(readers, 8)) if url else EmbeddedWarehouse(directory, readers)
