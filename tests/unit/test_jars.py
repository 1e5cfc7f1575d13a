"""Kafka's jars: only the locked bytes are used."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.embedded import jars
from services.embedded.jars import LOCK, WANTED, JarError, ensure_jars, read_lock

CONTENT = b"not really a jar"
COORDINATE = "org.example:thing:1.0"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "jars.lock"
    file.write_text(f"# comment\n{COORDINATE} {len(CONTENT)} {hashlib.sha256(CONTENT).hexdigest()}\n", encoding="utf-8")
    return file


def put(cache: Path, content: bytes) -> Path:
    path = cache / "kafka/repository/org/example/thing/1.0/thing-1.0.jar"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


class Repository:
    """Stands for the far end: writes the given bytes where jgo would."""

    def __init__(self, cache: Path, content: bytes) -> None:
        self.cache, self.content, self.asked = cache, content, 0

    def resolve(self, _context: object, _jar: jars.Jar) -> Path:
        self.asked += 1
        return put(self.cache, self.content)


def test_a_jar_that_is_there_and_right_is_not_fetched(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = Repository(tmp_path, CONTENT)
    monkeypatch.setattr(jars, "_resolve", far.resolve)
    path = put(tmp_path, CONTENT)
    assert ensure_jars(tmp_path, lock) == [path]
    assert ensure_jars(tmp_path, lock) == [path]
    assert far.asked == 0


@pytest.mark.parametrize("damaged", [b"", b"not really a ja!", CONTENT + b"more"])
def test_a_damaged_jar_is_fetched_again(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch, damaged: bytes) -> None:
    far = Repository(tmp_path, CONTENT)
    monkeypatch.setattr(jars, "_resolve", far.resolve)
    path = put(tmp_path, CONTENT)
    ensure_jars(tmp_path, lock)
    put(tmp_path, damaged)
    assert ensure_jars(tmp_path, lock)[0].read_bytes() == CONTENT
    assert far.asked == 1
    assert path.exists()


def test_a_jar_that_is_not_the_locked_one_is_refused(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_resolve", Repository(tmp_path, b"something else").resolve)
    with pytest.raises(JarError, match="not the locked jar"):
        ensure_jars(tmp_path, lock)
    assert not list(tmp_path.rglob("thing-1.0.jar"))


def test_the_committed_lock_holds_what_we_ask_for_and_no_address() -> None:
    locked = read_lock()
    assert set(WANTED) <= {jar.coordinate for jar in locked}
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in locked)
    assert "//" not in LOCK.read_text(encoding="utf-8")
