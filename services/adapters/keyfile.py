"""The key vault as one file: a header, then records of 64 bytes, one a case. Never copied into Kafka or a backup of it.

header (64 bytes): magic, secret of the fingerprints
record (64 bytes): case id 16, state 1 (1 in use, 2 erased), CRC-32 of id, state and key 4, key 32, zeros
A record is on the disk before its key is used, so a torn one (wrong CRC) at the end was never used. Erasing overwrites the
record in place with a zero key: the case id stays, so that a department's repeat can't bring the erased data back.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import hmac
import os
import struct
import uuid
import zlib
from collections.abc import Iterable
from pathlib import Path

MAGIC = b"LDKEYS1\n"
SIZE = 64
RECORD = struct.Struct("<16sBI32s11x")
HEADER = struct.Struct("<8s32s24x")
IN_USE, ERASED = 1, 2
NO_KEY = bytes(32)


class KeyFileError(Exception):
    """The file is not ours, is in use by another process, or can't be written."""


class KeyFile:
    """Fulfils ports.KeyVault. One process holds the file; index in memory, about 250 bytes a case."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file (mode 0600). Raises KeyFileError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise KeyFileError(f"{path} is in use by another process") from error
        self._slots: dict[str, int] = {}
        self._keys: dict[str, bytes] = {}  # in use and on the disk
        self._waiting: dict[str, bytes] = {}  # made, not yet on the disk
        self._lock = asyncio.Lock()
        self._secret = self._read(path)

    def find(self, case_id: str) -> bytes | None:
        return self._keys.get(case_id)

    async def ensure(self, cases: Iterable[str]) -> dict[str, bytes | None]:
        """Group commit: whoever holds the lock writes the keys of all who wait. Raises KeyFileError."""
        wanted = dict.fromkeys(cases)
        for case_id in wanted:
            if case_id not in self._slots and case_id not in self._waiting:
                self._waiting[case_id] = os.urandom(32)
        while any(case_id in self._waiting for case_id in wanted):
            async with self._lock:
                if self._waiting:
                    await self._commit(dict(self._waiting))
        return {case_id: self._keys.get(case_id) for case_id in wanted}

    async def erase(self, case_id: str) -> bool:
        async with self._lock:
            if case_id not in self._keys:
                return False
            del self._keys[case_id]
            await asyncio.to_thread(self._write, self._slots[case_id], _pack(case_id, ERASED, NO_KEY))
        return True

    def fingerprint(self, data: bytes) -> str:
        return hmac.new(self._secret, data, hashlib.sha256).hexdigest()[:32]

    def close(self) -> None:
        os.close(self._file)

    async def _commit(self, batch: dict[str, bytes]) -> None:
        first = self._end
        data = b"".join(_pack(case_id, IN_USE, key) for case_id, key in batch.items())
        await asyncio.to_thread(self._write, first, data)
        self._end += len(batch)
        for place, (case_id, key) in enumerate(batch.items()):
            self._slots[case_id] = first + place
            self._keys[case_id] = key
            del self._waiting[case_id]

    def _write(self, slot: int, data: bytes) -> None:
        try:
            written = os.pwrite(self._file, data, SIZE * (1 + slot))
            os.fsync(self._file)
        except OSError as error:
            raise KeyFileError(f"the key file can't be written: {error}") from error
        if written != len(data):
            raise KeyFileError("the key file can't be written: the disk is full")

    def _read(self, path: Path) -> bytes:
        """Fills the index; answers the secret."""
        content = path.read_bytes()
        if len(content) < SIZE:
            secret = os.urandom(32)
            self._end = 0
            os.pwrite(self._file, HEADER.pack(MAGIC, secret), 0)
            os.fsync(self._file)
            return secret
        magic, secret = HEADER.unpack_from(content)
        if magic != MAGIC:
            raise KeyFileError(f"{path} is not a key file")
        self._end = (len(content) - SIZE) // SIZE
        for slot in range(self._end):
            raw, state, crc, key = RECORD.unpack_from(content, SIZE * (1 + slot))
            case_id = str(uuid.UUID(bytes=raw))
            if crc == _crc(raw, state, key):
                self._slots[case_id] = slot
                if state == IN_USE:
                    self._keys[case_id] = key
        return bytes(secret)


class KeyFileView:
    """Reads the file while another process holds it: keys made or erased there are so here at once. It may not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._secret = b""
        self._slots: dict[str, int] = {}
        self._read = 0  # slots

    def find(self, key_id: str) -> bytes | None:
        """None: erased, or never made. Raises KeyFileError for a file that is none of ours."""
        if key_id not in self._slots:
            self._scan()
        slot = self._slots.get(key_id)
        return None if slot is None else self._key(slot)

    def fingerprint(self, data: bytes) -> str:
        """As KeyFile's. Raises KeyFileError when there is no file yet."""
        if not self._open():
            raise KeyFileError(f"{self._path} is not there")
        return hmac.new(self._secret, data, hashlib.sha256).hexdigest()[:32]

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> bool:
        if self._secret:
            return True
        if self._file < 0:
            try:
                self._file = os.open(self._path, os.O_RDONLY)
            except FileNotFoundError:
                return False
        head = os.pread(self._file, SIZE, 0)
        if len(head) < SIZE:
            return False  # just being made
        magic, secret = HEADER.unpack_from(head)
        if magic != MAGIC:
            raise KeyFileError(f"{self._path} is not a key file")
        self._secret = bytes(secret)
        return True

    def _scan(self) -> None:
        """The records that came since; one that is not whole yet is read the next time."""
        if not self._open():
            return
        content = os.pread(self._file, os.fstat(self._file).st_size, SIZE * (1 + self._read))
        for start in range(0, len(content) - SIZE + 1, SIZE):
            raw, state, crc, key = RECORD.unpack_from(content, start)
            if crc != _crc(raw, state, key):
                return
            self._slots[str(uuid.UUID(bytes=raw))] = self._read
            self._read += 1

    def _key(self, slot: int) -> bytes | None:
        raw, state, crc, key = RECORD.unpack(os.pread(self._file, SIZE, SIZE * (1 + slot)))
        return key if state == IN_USE and crc == _crc(raw, state, key) else None


def _crc(raw: bytes, state: int, key: bytes) -> int:
    return zlib.crc32(raw + bytes([state]) + key)


def _pack(case_id: str, state: int, key: bytes) -> bytes:
    raw = uuid.UUID(case_id).bytes
    return RECORD.pack(raw, state, _crc(raw, state, key), key)
