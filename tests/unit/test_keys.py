"""Keys stand for principals; files hold hashes only."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.keys import KeyStore, ensure_default_keys

DESK = Principal("desk-1", Kind.DESK, "p1", "440305-desk", "officer", "county", "440305", (Realm.LIVE,))


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys.json")


def test_a_key_finds_its_principal(store: KeyStore) -> None:
    assert store.find(store.add(DESK)) == DESK


def test_an_unknown_key_finds_nobody(store: KeyStore) -> None:
    store.add(DESK)
    assert store.find("ld_guess") is None
    assert KeyStore(Path("nowhere.json")).find("ld_guess") is None


def test_another_reader_notices_a_new_and_a_revoked_key(store: KeyStore, tmp_path: Path) -> None:
    reader = KeyStore(tmp_path / "keys.json")
    key = store.add(DESK)
    assert reader.find(key) == DESK
    assert store.revoke("desk-1") == 1
    assert reader.find(key) is None


def test_one_of_two_keys_of_a_principal_can_be_revoked(store: KeyStore) -> None:
    first, second = store.add(DESK), store.add(DESK)
    assert store.revoke(store.list()[0].id) == 1
    assert (store.find(first) is None) != (store.find(second) is None)


def test_plaintext_is_not_kept_and_the_file_is_private(store: KeyStore, tmp_path: Path) -> None:
    key = store.add(DESK)
    file = tmp_path / "keys.json"
    assert key.encode() not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


def test_default_keys_stay_the_same_and_follow_the_served_realms(tmp_path: Path) -> None:
    files = tmp_path / "keys.json", tmp_path / "secrets.json"
    first = ensure_default_keys(*files, (Realm.LIVE,))
    again = ensure_default_keys(*files, (Realm.LIVE, Realm.REPLAY))
    assert first == again
    assert set(first) == {"producer", "desk", "screen", "admin"}
    found = KeyStore(files[0]).find(first["desk"])
    assert found is not None
    assert found.may_use(Realm.REPLAY)


def test_a_revoked_default_key_does_not_come_back(tmp_path: Path) -> None:
    files = tmp_path / "keys.json", tmp_path / "secrets.json"
    key = ensure_default_keys(*files, (Realm.LIVE,))["screen"]
    KeyStore(files[0]).revoke("demo-screen")
    assert "screen" not in ensure_default_keys(*files, (Realm.LIVE,))
    assert KeyStore(files[0]).find(key) is None
