"""Passwords of users: scrypt with a salt each, in D/passwords.json (mode 0600). They are nowhere else, not in Kafka either."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from services.process import write_private

COST, R, P = 1 << 15, 8, 1  # 32 MiB and about a tenth of a second
MEMORY = 64 << 20  # OpenSSL's own limit is the 32 MiB that this takes, and a little
SHORTEST, LONGEST = 10, 200
SHORTEST_ID = 4  # of a user, for a password to be called by it


class WeakPassword(Exception):
    """Why it is not taken."""


class _Entry(msgspec.Struct, frozen=True):
    salt: str  # base64
    hash: str  # base64
    n: int
    r: int
    p: int
    at: int  # when it was set, UTC milliseconds: older sessions have ended


class Passwords:
    """Readers notice a changed file by themselves, also in other processes."""

    def __init__(self, path: Path, cost: int = COST) -> None:
        """`cost`: scrypt's n, of passwords set from now on."""
        self._path = path
        self._cost = cost
        self._seen: tuple[int, int, int] | None = None
        self._entries: dict[str, _Entry] = {}

    def check(self, user: str, password: str) -> bool:
        """Takes as long for a user that has none. Blocks for a tenth of a second: call it in a thread."""
        self._reload()
        entry = self._entries.get(user)
        kept = entry or _Entry(base64.b64encode(bytes(16)).decode(), "", self._cost, R, P, 0)
        found = _hash(password, base64.b64decode(kept.salt), kept.n, kept.r, kept.p)
        return hmac.compare_digest(base64.b64decode(kept.hash), found) and entry is not None

    def set(self, user: str, password: str, now: int) -> None:
        """Raises WeakPassword."""
        check_strength(user, password)
        salt = os.urandom(16)
        hashed = _hash(password, salt, self._cost, R, P)
        entry = _Entry(base64.b64encode(salt).decode(), base64.b64encode(hashed).decode(), self._cost, R, P, now)
        with self._writing():
            self._entries[user] = entry

    def forget(self, user: str) -> bool:
        """Whether there was one."""
        with self._writing():
            return self._entries.pop(user, None) is not None

    def set_at(self, user: str) -> int:
        """When the user's password was set; 0: there is none."""
        self._reload()
        entry = self._entries.get(user)
        return entry.at if entry else 0

    def _reload(self) -> None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._entries, self._seen = {}, None
            return
        now = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if now != self._seen:
            self._entries = msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Entry])
            self._seen = now

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Reads, lets the caller change `_entries`, writes: one writer at a time across processes."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._seen = None
            self._reload()
            yield
            write_private(self._path, json.dumps(msgspec.to_builtins(self._entries), indent=1))
            self._seen = None


def check_strength(user: str, password: str) -> None:
    """Length, and not the user's own id; no rules of composition (they make passwords worse). Raises WeakPassword."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise WeakPassword(f"a password has {SHORTEST} to {LONGEST} characters")
    if len(user) >= SHORTEST_ID and user.casefold() in password.casefold():
        raise WeakPassword("a password does not hold the user's id")
    if len(set(password)) < 4:
        raise WeakPassword("a password has at least four different characters")


def _hash(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    """The same for the same text however a keyboard composes it."""
    text = unicodedata.normalize("NFKC", password).encode()
    return hashlib.scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=MEMORY, dklen=32)
