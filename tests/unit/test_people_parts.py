"""Parts of people: the key file as another process sees it, passwords, the register's indices."""

from __future__ import annotations

import stat
import uuid
from pathlib import Path

import pytest

from schemas.avro.people_record.event import PeopleRecord, SealedUser
from schemas.people.records import Layer, Post, Roster, Turn
from services.adapters.keyfile import KeyFile, KeyFileError, KeyFileView
from services.people.passwords import Passwords, WeakPassword
from services.people.register import Register
from streams.domain.people.roster import Stretch

FIRST, SECOND = (str(uuid.UUID(int=number)) for number in (1, 2))
GOOD = "a-good-long-one"


async def test_a_view_sees_keys_as_they_are_made_and_erased_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "people.bin"
    view = KeyFileView(path)
    assert view.find(FIRST) is None
    with pytest.raises(KeyFileError, match="not there"):
        view.fingerprint(b"x")
    vault = KeyFile(path)
    keys = await vault.ensure([FIRST])
    assert view.find(FIRST) == keys[FIRST] is not None
    assert view.find(SECOND) is None
    assert (await vault.ensure([SECOND]))[SECOND] == view.find(SECOND)
    assert view.fingerprint(b"x") == vault.fingerprint(b"x")
    assert await vault.erase(FIRST)
    assert view.find(FIRST) is None
    assert view.find(SECOND) is not None
    vault.close()
    view.close()


async def test_a_view_waits_for_a_record_that_is_half_written_and_refuses_a_file_of_others(tmp_path: Path) -> None:
    path = tmp_path / "people.bin"
    vault = KeyFile(path)
    await vault.ensure([FIRST])
    whole = path.read_bytes()
    vault.close()
    for torn in (whole[:10], whole[:-1], whole[:-40] + bytes(40)):
        path.write_bytes(torn)
        view = KeyFileView(path)
        assert view.find(FIRST) is None
        path.write_bytes(whole)
        assert view.find(FIRST) is not None
        view.close()
    path.write_bytes(b"x" * 64)
    with pytest.raises(KeyFileError, match="not a key file"):
        KeyFileView(path).find(FIRST)


def test_passwords_are_salted_hashes_that_another_process_notices(tmp_path: Path) -> None:
    mine, other = Passwords(tmp_path / "passwords.json", cost=1 << 6), Passwords(tmp_path / "passwords.json")
    assert not other.check("a", GOOD)
    for user in ("a", "b"):
        mine.set(user, GOOD, 5)
    assert other.check("a", GOOD)
    assert not other.check("a", GOOD + " ")
    assert not other.check("c", GOOD)
    assert other.set_at("a") == 5
    text = (tmp_path / "passwords.json").read_text()
    assert GOOD not in text
    entries = mine._entries.values()
    assert len({entry.hash for entry in entries}) == len({entry.salt for entry in entries}) == 2
    assert stat.S_IMODE((tmp_path / "passwords.json").stat().st_mode) == 0o600
    assert other.forget("a")
    assert not mine.check("a", GOOD)
    assert not mine.forget("a")


def test_a_password_is_the_same_however_a_keyboard_composes_it(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path / "passwords.json", cost=1 << 6)
    passwords.set("a", "café-résumé-1", 1)
    assert passwords.check("a", "cafe\u0301-re\u0301sume\u0301-1")


@pytest.mark.parametrize("weak", ["short", "x" * 201, "about-user-7", "aaaaaaabbbbbbb"])
def test_a_weak_password_is_refused_and_changes_nothing(tmp_path: Path, weak: str) -> None:
    passwords = Passwords(tmp_path / "passwords.json", cost=1 << 6)
    with pytest.raises(WeakPassword):
        passwords.set("user-7", weak, 1)
    assert not (tmp_path / "passwords.json").exists()


def test_the_real_cost_is_that_of_a_slow_hash(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path / "passwords.json")
    passwords.set("a", GOOD, 1)
    assert passwords._entries == {} or next(iter(passwords._entries.values())).n == 1 << 15
    assert passwords.check("a", GOOD)


def entry(key: str, user: SealedUser | None = None, post: Post | None = None, roster: Roster | None = None) -> tuple[str, PeopleRecord]:
    return key, PeopleRecord(key, user, post, roster, None, "admin", "", 1)


def user(name: str, active: bool = True) -> tuple[str, PeopleRecord]:
    return entry(f"user/{name}", user=SealedUser(name, "x", active, 0, FIRST, b"", b""))


def post(name: str, of: str, since: int = 0, until: int = 0, role: str = "officer") -> tuple[str, PeopleRecord]:
    return entry(f"post/{name}", post=Post(name, of, "440305-desk", role, "county", "440305", since, until))


def test_a_person_is_away_between_and_after_posts_and_never_when_no_post_was_told() -> None:
    register = Register()
    roster = Roster("440305-desk", (Layer("x", (Turn(("a", "b")),), 60, 0),))
    for told in (user("a"), user("b"), entry("roster/440305-desk", roster=roster), post("1", "a", 100, 200), post("2", "a", 300, 400)):
        register.apply(*told)
    assert [register.on_duty("440305-desk", at) for at in (50, 150, 250, 350, 450)] == [("b",), ("a", "b"), ("b",), ("a", "b"), ("b",)]
    register.apply(*user("b", active=False))
    assert register.gaps("440305-desk", 0, 500) == (Stretch(0, 100), Stretch(200, 300), Stretch(400, 500))
    register.apply("post/2", None)
    assert register.gaps("440305-desk", 0, 500) == (Stretch(0, 100), Stretch(200, 500))
    register.apply("user/a", None)
    assert register.gaps("440305-desk", 0, 500) == (Stretch(0, 500),)
    register.apply("roster/440305-desk", None)
    assert register.next_change("440305-desk", 0) is None


def test_heads_follow_their_posts() -> None:
    register = Register()
    for told in (user("a"), user("b"), post("1", "a", role="head"), post("2", "b", 100, 200, "head")):
        register.apply(*told)
    assert register.heads("440305-desk", 150) == ("a", "b")
    assert register.heads("440305-desk", 250) == ("a",)
    register.apply(*post("1", "a"))
    register.apply(*user("b", active=False))
    assert register.heads("440305-desk", 150) == ()
    assert register.heads("440300-desk", 150) == ()


def test_what_a_later_release_tells_means_nothing_here() -> None:
    register = Register()
    register.apply(*entry("badge/1"))
    register.apply(*entry("user/a"))
    assert (register.users, register.posts, register.rosters) == ({}, {}, {})
