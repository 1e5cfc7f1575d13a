"""One suite for the way from the keeper to a register: the fake feed of the unit tests, and topic `people` on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.people.checks import take
from schemas.realms import Realm
from services.adapters.kafka import KafkaProducer
from services.adapters.keyfile import KeyFile, KeyFileView
from services.embedded.broker import Broker
from services.people.directory import PeopleDirectory
from services.people.keeper import Keeper
from services.people.passwords import Passwords
from services.people.register import Register
from services.people.topic import PeopleTopic
from services.ports import Record
from tests.fakes import FakeProducer
from tests.people import SAMPLE, FakeFeed
from tests.principals import ADMIN

NOW = 1_795_311_000_000


@dataclass
class Store:
    keeper: Keeper
    register: Register
    vault: KeyFile
    again: Callable[[], Register]  # a second reader that begins now
    garbage: Callable[[], object]  # an awaitable that writes what nobody can read


@pytest.fixture(params=["fake", pytest.param("kafka", marks=pytest.mark.broker)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    vault, register, passwords = KeyFile(tmp_path / "people.bin"), Register(), Passwords(tmp_path / "passwords.json", cost=1 << 6)
    junk = [Record(b"user/x", b"\0\0\0\0\x01junk"), Record(b"\xff", b"junk")]
    tasks: list[asyncio.Task[None]] = []
    if request.param == "fake":
        fake = FakeProducer()

        def second() -> Register:
            made = Register()
            tasks.append(asyncio.create_task(_feed(FakeFeed(fake, made))))
            return made

        yield Store(Keeper(fake, vault, register, FakeFeed(fake, register), passwords, lambda: NOW), register, vault, second, lambda: None)
    else:
        broker: Broker = request.getfixturevalue("broker")
        topics: Callable[..., None] = request.getfixturevalue("topics")
        await asyncio.to_thread(topics, Realm.LIVE)
        producer = KafkaProducer(broker.bootstrap, "people-contract")
        topic = PeopleTopic(broker.bootstrap, register, "people-contract")
        tasks.append(asyncio.create_task(topic.run()))

        def follow() -> Register:
            made = Register()
            tasks.append(asyncio.create_task(PeopleTopic(broker.bootstrap, made, "people-second").run()))
            return made

        yield Store(
            Keeper(producer, vault, register, topic, passwords, lambda: NOW), register, vault, follow, lambda: producer.send("people", junk)
        )
        await producer.close()
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    vault.close()


async def _feed(feed: FakeFeed) -> None:
    while True:
        await feed.reached([], 0)
        await asyncio.sleep(0.02)


async def knows(register: Register, what: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not (register.ready and what()):
            await asyncio.sleep(0.02)


async def test_what_was_put_is_known_here_at_once_and_to_a_reader_that_begins_later(store: Store, tmp_path: Path) -> None:
    found = take(SAMPLE, ())
    await store.keeper.put(found, ADMIN)
    await knows(store.register, lambda: len(store.register.rosters) == 1)
    assert set(store.register.users) == {user.id for user in found.users}
    second = store.again()
    await knows(second, lambda: len(second.rosters) == 1)
    assert (second.users, second.posts, second.rosters) == (store.register.users, store.register.posts, store.register.rosters)
    assert tuple(second.posts[post.id] for post in found.posts) == found.posts
    assert second.rosters["440305-desk"] == found.rosters[0]
    view = KeyFileView(tmp_path / "people.bin")
    (contact,) = PeopleDirectory(second, view).on_duty("440305-desk", NOW)
    assert (contact.person, contact.name, contact.channels[0].address) == ("off-01", "李雷", "13800000001")
    await store.keeper.delete_user("off-01")
    await knows(second, lambda: "off-01" not in second.users)
    assert "ns-1" not in store.register.posts
    assert PeopleDirectory(second, view).on_duty("440305-desk", NOW) == ()
    view.close()


async def test_a_record_that_nobody_can_read_stops_nothing(store: Store) -> None:
    written = store.garbage()
    if written is not None:
        await written  # type: ignore[misc]
    await store.keeper.put(take(SAMPLE, ()), ADMIN)
    await knows(store.register, lambda: "off-02" in store.register.users)
    assert "x" not in store.register.users
