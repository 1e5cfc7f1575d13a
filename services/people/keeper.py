"""Writing people: sealing, the topic, the vault. One gateway process of a data directory does it (it holds the vault)."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from schemas.avro.people_record.event import PeopleRecord, SealedUser, Session
from schemas.people.checks import Checked
from schemas.people.records import Post, Roster, User
from schemas.principals import Principal
from schemas.realms import Realm
from schemas.topics import PEOPLE
from services.people.directory import REALM, Personal
from services.people.passwords import Passwords
from services.people.register import Register
from services.people.topic import CODEC
from services.ports import Acked, KeyVault, Producer, Record, Unavailable
from services.sealing import seal

SEEN_SECONDS = 5.0
RUN = 200


class Follows(Protocol):
    """Who feeds the register."""

    async def reached(self, fates: Iterable[Acked], seconds: float) -> bool:
        """Waits till what was written there is known here; False when that took longer."""


class PeopleAway(Exception):
    """Kafka did not take all of it; the same again is harmless."""


class Keeper:
    """`topic`: by which the register is fed."""

    def __init__(
        self, producer: Producer, vault: KeyVault, register: Register, topic: Follows, passwords: Passwords, clock: Callable[[], int]
    ) -> None:
        self._producer, self._vault, self._register, self._topic = producer, vault, register, topic
        self._passwords, self._clock = passwords, clock

    async def put(self, found: Checked, by: Principal) -> None:
        """Users before posts before rosters, so that no reader knows a roster without its persons. What stays as it is is not written
        again. A user who is no longer active gets a new epoch: every session of theirs has ended. Raises PeopleAway, KeyFileError."""
        users = await self._sealed(found.users)
        await self._send([self._record(f"user/{user.id}", by, user=user) for user in users if self._register.users.get(user.id) != user])
        known = self._register
        await self._send([self._record(f"post/{p.id}", by, post=p) for p in found.posts if known.posts.get(p.id) != p])
        await self._send([self._record(f"roster/{r.desk}", by, roster=r) for r in found.rosters if known.rosters.get(r.desk) != r])

    async def end_sessions(self, user: str, by: Principal) -> None:
        """Every session of the user ends, by a new epoch. Raises PeopleAway; KeyError for no such user."""
        kept = self._register.users[user]
        await self._send([self._record(f"user/{user}", by, user=msgspec.structs.replace(kept, epoch=kept.epoch + 1))])

    async def delete_user(self, user: str) -> None:
        """Erases name, channels and password, then takes user and posts away. Rosters keep the bare id, which nobody is any more.
        Raises PeopleAway, KeyFileError; KeyError for no such user."""
        key = self._register.users[user].key
        await self._vault.erase(key)
        await asyncio.to_thread(self._passwords.forget, user)
        posts = [f"post/{post.id}" for post in self._register.posts_of(user)]
        await self._send([Record(name.encode(), None) for name in (*posts, f"user/{user}")])

    async def delete(self, kind: str, name: str) -> None:
        """A post or a roster. Raises PeopleAway."""
        await self._send([Record(f"{kind}/{name}".encode(), None)])

    async def put_session(self, session: Session, by: Principal) -> None:
        """Raises PeopleAway."""
        await self._send([self._record(f"session/{session.id}", by, session=session)])

    async def forget_sessions(self) -> int:
        """Takes away what is known of sessions that have expired; answers how many. Raises PeopleAway."""
        now = self._clock()
        gone = [name for name, session in self._register.sessions.items() if session.expires_at <= now]
        await self._send([Record(f"session/{name}".encode(), None) for name in gone])
        return len(gone)

    async def _sealed(self, users: Sequence[User]) -> list[SealedUser]:
        keys = [self._key_of(user.id) for user in users]
        found = await self._vault.ensure(keys)
        done = []
        for user, key in zip(users, keys, strict=True):
            done.append(self._seal(user, key, found[key]))
            if len(done) % RUN == 0:
                await asyncio.sleep(0)  # an import of thousands lets others in between
        return done

    def _key_of(self, user: str) -> str:
        """A user who comes again after being deleted gets another key: an erased one never comes back."""
        kept = self._register.users.get(user)
        return kept.key if kept else str(uuid.UUID(bytes=secrets.token_bytes(16)))

    def _seal(self, user: User, key: str, secret: bytes | None) -> SealedUser:
        if secret is None:  # erased a moment ago: a tombstone is on its way
            raise PeopleAway(f"user {user.id} is being deleted; repeat it")
        kept = self._register.users.get(user.id)
        epoch = kept.epoch + (kept.active and not user.active) if kept else 0
        plain = msgspec.json.encode(Personal(user.name, user.channels))
        done = seal(secret, plain, sealed_id=key, case_id=user.id, realm=REALM, division="", now=0)
        return SealedUser(user.id, user.org, user.active, epoch, key, done.nonce, done.ciphertext)

    def _record(
        self,
        key: str,
        by: Principal,
        user: SealedUser | None = None,
        post: Post | None = None,
        roster: Roster | None = None,
        session: Session | None = None,
    ) -> Record:
        made = PeopleRecord(key, user, post, roster, session, by.id, by.person, self._clock())
        return Record(key.encode(), CODEC.encode(made))

    async def _send(self, records: Sequence[Record]) -> None:
        """Answers when all are acknowledged, and known here (or after `SEEN_SECONDS`: Kafka has them, and they will be)."""
        fates = await self._producer.send(PEOPLE.in_realm(Realm.LIVE), records)
        lost = [fate for fate in fates if isinstance(fate, Unavailable)]
        if lost:
            raise PeopleAway(f"Kafka acknowledged {len(fates) - len(lost)} of {len(fates)} records; repeat it ({lost[0].detail})")
        await self._topic.reached([fate for fate in fates if isinstance(fate, Acked)], SEEN_SECONDS)
