"""Sealed personal data, and keys that can be erased for good."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from schemas import ids
from services.adapters.keyfile import SIZE, KeyFile, KeyFileError
from services.sealing import BrokenSeal, seal, unseal

CASES = [ids.case_id("live", "p", str(number)) for number in range(50)]
TEXT = '{"reporter":{"name":"某甲"}}'.encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.bin"


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def _seal(key: bytes, text: bytes = TEXT, sealed_id: str = "s-1") -> tuple[bytes, bytes]:
    sealed = seal(key, text, sealed_id=sealed_id, case_id=CASES[0], realm="live", division="440305", now=1)
    return sealed.nonce, sealed.ciphertext


def test_what_is_sealed_opens_with_the_same_key_case_and_realm_only() -> None:
    key = bytes(range(32))
    nonce, ciphertext = _seal(key)
    assert unseal(key, nonce, ciphertext, case_id=CASES[0], realm="live") == TEXT
    for other in ((bytes(32), CASES[0], "live"), (key, CASES[1], "live"), (key, CASES[0], "sandbox")):
        with pytest.raises(BrokenSeal):
            unseal(other[0], nonce, ciphertext, case_id=other[1], realm=other[2])
    with pytest.raises(BrokenSeal):
        unseal(key, nonce, ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]), case_id=CASES[0], realm="live")


def test_a_repeat_seals_to_the_same_bytes_and_another_text_to_another_nonce() -> None:
    key = bytes(range(32))
    assert _seal(key) == _seal(key)
    assert len({_seal(key)[0], _seal(key, TEXT + b" ")[0], _seal(key, TEXT, "s-2")[0]}) == 3
    assert TEXT not in _seal(key)[1]


async def test_a_key_is_on_the_disk_before_it_is_used(path: Path) -> None:
    vault = KeyFile(path)
    keys = await vault.ensure(CASES[:3])
    content = _bytes(path)
    assert all(key is not None and len(key) == 32 and key in content for key in keys.values())
    assert await vault.ensure(CASES[:3]) == keys
    assert len(set(keys.values())) == 3
    assert _mode(path) == 0o600
    vault.close()


async def test_keys_survive_a_restart_and_so_do_fingerprints(path: Path) -> None:
    vault = KeyFile(path)
    keys = await vault.ensure(CASES)
    print_before = vault.fingerprint(b"body")
    vault.close()
    again = KeyFile(path)
    assert await again.ensure(CASES) == keys
    assert again.fingerprint(b"body") == print_before
    assert again.fingerprint(b"body") != again.fingerprint(b"another")
    assert len(_bytes(path)) == SIZE * (1 + len(CASES))
    again.close()


async def test_many_at_once_get_one_key_a_case(path: Path) -> None:
    vault = KeyFile(path)
    answers = await asyncio.gather(*(vault.ensure(CASES[number : number + 10]) for number in range(40) for _ in range(3)))
    found: dict[str, set[bytes | None]] = {}
    for answer in answers:
        for case_id, key in answer.items():
            found.setdefault(case_id, set()).add(key)
    assert all(len(keys) == 1 and None not in keys for keys in found.values())
    assert len(_bytes(path)) == SIZE * (1 + len(found))
    vault.close()


async def test_an_erased_key_is_gone_from_the_disk_and_never_comes_back(path: Path) -> None:
    vault = KeyFile(path)
    key = (await vault.ensure(CASES))[CASES[7]]
    assert key is not None
    assert await vault.erase(CASES[7])
    assert key not in _bytes(path)
    assert vault.find(CASES[7]) is None
    assert (await vault.ensure([CASES[7]]))[CASES[7]] is None
    assert not await vault.erase(CASES[7])
    vault.close()
    again = KeyFile(path)
    assert (await again.ensure([CASES[7], CASES[8]]))[CASES[7]] is None
    assert again.find(CASES[8]) is not None
    again.close()


async def test_a_record_torn_by_a_crash_was_never_used_and_is_left_out(path: Path) -> None:
    vault = KeyFile(path)
    keys = await vault.ensure(CASES[:2])
    vault.close()
    _cut(path, SIZE * 2 + 30)
    again = KeyFile(path)
    assert again.find(CASES[0]) == keys[CASES[0]]
    assert again.find(CASES[1]) is None
    fresh = await again.ensure(CASES[1:3])
    again.close()
    third = KeyFile(path)
    assert {case: third.find(case) for case in CASES[1:3]} == fresh
    third.close()


def test_one_process_holds_the_file_and_foreign_files_are_refused(path: Path, tmp_path: Path) -> None:
    vault = KeyFile(path)
    with pytest.raises(KeyFileError, match="in use"):
        KeyFile(path)
    vault.close()
    foreign = tmp_path / "foreign.bin"
    foreign.write_bytes(b"x" * 200)
    with pytest.raises(KeyFileError, match="not a key file"):
        KeyFile(foreign)


async def test_a_full_disk_gives_no_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = KeyFile(path)
    monkeypatch.setattr("os.pwrite", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(KeyFileError, match="no space left"):
        await vault.ensure(CASES[:1])
    assert vault.find(CASES[0]) is None
    monkeypatch.undo()
    assert (await vault.ensure(CASES[:1]))[CASES[0]] is not None
    vault.close()
