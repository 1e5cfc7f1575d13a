"""Which cases a person's token stands in: a file beside the key file, never in Kafka, so that erasing erases bytes.

Written behind the answers, many at once; so a crash may lose the last ones, and the file says so: what was not closed in order is filled
anew from `incident.sealed` when the gateway starts (search_fill.py). Overwriting is left to SQLite: `secure_delete` zeroes what is deleted,
and the rollback journal, which holds old pages, is emptied with every commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import structlog

from services.gateway.search_tokens import tokens_of
from services.ports import KeyVault

log = structlog.get_logger(__name__)
T = TypeVar("T")
SCHEMA = """
CREATE TABLE IF NOT EXISTS found (token BLOB, at INTEGER, case_id BLOB, PRIMARY KEY (token, at, case_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_case ON found (case_id);
CREATE TABLE IF NOT EXISTS whole (one INTEGER PRIMARY KEY CHECK (one = 1));
"""
MOST_WAITING = 100_000  # sealed records that are not written yet: then the file is no longer whole
MOST_FOUND = 200


class Told(NamedTuple):
    """One sealed record, as its command came with it."""

    case_id: str
    realm: str
    division: str
    personal: bytes
    at: int  # UTC milliseconds


class PersonIndex:
    """One gateway process holds the file; every call to SQLite is in its one thread."""

    def __init__(self, path: Path, vault: KeyVault) -> None:
        """Opens or makes the file (mode 0600)."""
        self._vault = vault
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._waiting: list[Told] = []
        self._writing: asyncio.Task[None] | None = None
        path.touch(mode=0o600)
        self._file: sqlite3.Connection
        self.whole = self._thread.submit(self._open, path).result()
        """Whether every sealed record is in it: not so for a new file, nor after a crash, till it is filled from Kafka."""

    def add(self, told: Iterable[Told]) -> None:
        """Returns at once; the file is written behind."""
        self._waiting += told
        if len(self._waiting) > MOST_WAITING:
            self._lost("too many records wait")
        elif self._waiting and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write_behind())

    async def find(self, tokens: Sequence[bytes]) -> list[str]:
        """Cases under any of these tokens, the newest first, at most MOST_FOUND. What was added before is seen."""
        await self.settled()
        return await self._run(lambda: self._find(tokens))

    async def erase(self, case_id: str) -> None:
        """Gone from the file when this returns, whatever was still to be written. The case's key must be erased first."""
        await self.settled()
        await self._run(lambda: self._delete(case_id))

    async def put(self, told: Sequence[Told]) -> None:
        """Writes these and waits: for filling."""
        await self._run(lambda: self._insert(told))

    async def settled(self) -> None:
        """When everything that was added is written."""
        while self._writing is not None and not self._writing.done():
            await self._writing

    async def begin(self) -> None:
        """Empties it, to be filled anew."""
        self.whole = False
        await self.settled()
        await self._run(self._empty)

    async def close(self) -> None:
        """Writes what waits, and that the file is whole."""
        await self.settled()
        await self._run(self._close)
        self._thread.shutdown()

    async def _write_behind(self) -> None:
        """Group commit: what comes while one batch is written is the next one."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await self.put(batch)
            except sqlite3.Error as error:
                self._lost(type(error).__name__)

    def _lost(self, why: str) -> None:
        self._waiting = []
        if self.whole:
            log.warning("search by person is incomplete till the gateway starts anew", why=why)
        self.whole = False

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # --- in the thread ---

    def _open(self, path: Path) -> bool:
        """Whether it was closed whole; from now on it is not, till it is closed."""
        self._file = sqlite3.connect(path)
        for pragma in ("journal_mode = TRUNCATE", "secure_delete = ON", "synchronous = FULL", "temp_store = MEMORY"):
            self._file.execute(f"PRAGMA {pragma}")
        self._file.executescript(SCHEMA)
        with self._file:
            return bool(self._file.execute("DELETE FROM whole").rowcount)

    def _insert(self, told: Sequence[Told]) -> None:
        """Whose key is erased by now stays out: the answer to an erasure must hold."""
        rows = [
            (token, one.at, uuid.UUID(one.case_id).bytes)
            for one in told
            if self._vault.find(one.case_id) is not None
            for token in tokens_of(one.personal, self._vault.fingerprint, one.realm, one.division)
        ]
        with self._file:
            self._file.executemany("INSERT OR IGNORE INTO found VALUES (?, ?, ?)", rows)

    def _find(self, tokens: Sequence[bytes]) -> list[str]:
        marks = ", ".join("?" * len(tokens))
        asked = f"SELECT case_id FROM found WHERE token IN ({marks}) GROUP BY case_id ORDER BY max(at) DESC, case_id LIMIT {MOST_FOUND}"
        return [str(uuid.UUID(bytes=row[0])) for row in self._file.execute(asked, tokens)]

    def _delete(self, case_id: str) -> None:
        with self._file:
            self._file.execute("DELETE FROM found WHERE case_id = ?", (uuid.UUID(case_id).bytes,))

    def _empty(self) -> None:
        with self._file:
            self._file.execute("DELETE FROM found")

    def _close(self) -> None:
        if self.whole:
            with self._file:
                self._file.execute("INSERT INTO whole VALUES (1)")
        self._file.close()
