"""Keys and the principals they stand for. A file of hashes; plaintext is shown once, when a key is made."""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.divisions import PROVINCE
from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.process import write_private

PREFIX = "ld_"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    id: str  # first characters of the hash; what `revoke` takes
    principal: Principal


class KeyStore:
    """The keys of one platform in `path` (D/keys.json). Readers notice a changed file by themselves, also in other processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._keys: dict[str, Principal] = {}

    def find(self, key: str) -> Principal | None:
        """Whose key it is; None for an unknown or revoked one."""
        self._reload()
        return self._keys.get(_hash(key))

    def list(self) -> list[KeyEntry]:
        self._reload()
        return [KeyEntry(hashed[:12], principal) for hashed, principal in self._keys.items()]

    def add(self, principal: Principal) -> str:
        """Makes a new key for `principal`; the only time its plaintext is seen."""
        key = PREFIX + secrets.token_urlsafe(24)
        self.put(key, principal)
        return key

    def put(self, key: str, principal: Principal) -> None:
        """Registers a known plaintext, replacing what it stood for."""
        with self._writing():
            self._keys[_hash(key)] = principal

    def revoke(self, id: str) -> int:
        """Forgets the key of this id, or every key of the principal of this id; answers how many."""
        with self._writing():
            gone = [hashed for hashed, principal in self._keys.items() if hashed[:12] == id or principal.id == id]
            for hashed in gone:
                del self._keys[hashed]
        return len(gone)

    def _reload(self) -> None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._keys, self._seen = {}, None
            return
        if (stat.st_ino, stat.st_mtime_ns) != self._seen:
            rows = json.loads(self._path.read_text(encoding="utf-8"))["keys"]
            self._keys = {row["sha256"]: _principal(row["principal"]) for row in rows}
            self._seen = (stat.st_ino, stat.st_mtime_ns)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Reads, lets the caller change `_keys`, writes: one writer at a time across processes."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._reload()
            yield
            rows = [{"sha256": hashed, "principal": asdict(principal)} for hashed, principal in self._keys.items()]
            write_private(self._path, json.dumps({"keys": rows}, ensure_ascii=False, indent=1))
            self._seen = None


def default_principals(realms: Iterable[Realm]) -> dict[str, Principal]:
    """The four with which a fresh platform can be tried."""
    served = tuple(realms)
    return {
        "producer": Principal("demo-producer", Kind.PRODUCER, "", "demo", "department", "province", PROVINCE, served),
        "desk": Principal("demo-desk", Kind.DESK, "demo-desk", "440305-desk", "officer", "county", "440305", served),
        "screen": Principal("demo-screen", Kind.SCREEN, "", "440000-screen", "viewer", "province", PROVINCE, served),
        "admin": Principal("demo-admin", Kind.ADMIN, "demo-admin", "440000-desk", "admin", "province", PROVINCE, served),
    }


def ensure_default_keys(keys_file: Path, secrets_file: Path, realms: Iterable[Realm]) -> dict[str, str]:
    """Plaintext of the default keys by name, made on first use; their principals serve the realms of now. A revoked one stays out."""
    kept: dict[str, Any] = json.loads(secrets_file.read_text(encoding="utf-8")) if secrets_file.exists() else {}
    keys: dict[str, str] = kept.setdefault("keys", {})
    store = KeyStore(keys_file)
    valid: dict[str, str] = {}
    for name, principal in default_principals(realms).items():
        revoked = name in keys and store.find(keys[name]) is None
        if not revoked:
            valid[name] = keys.setdefault(name, PREFIX + secrets.token_urlsafe(24))
            store.put(valid[name], principal)
    write_private(secrets_file, json.dumps(kept, indent=1))
    return valid


def _principal(row: dict[str, Any]) -> Principal:
    return Principal(**(row | {"kind": Kind(row["kind"]), "realms": tuple(Realm(name) for name in row["realms"])}))


def _hash(key: str) -> str:
    """Keys are 192 random bits, so a plain hash is enough: there is nothing to guess."""
    return hashlib.sha256(key.encode()).hexdigest()
