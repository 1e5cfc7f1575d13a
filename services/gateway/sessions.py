"""Sessions: who has logged in, and what that lets them do, looked up anew with every request.

A token is signed and says whose it is; the rights come from the post as it stands. So it ends with its time, when it lay idle, by logging
out (kept on topic `people`, so a restart forgets nothing), and at once when the post ends or the user is made inactive or gets another
password.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from schemas.avro.people_record.event import Session
from schemas.errors import InvalidPayload, Reason
from schemas.people.records import KIND_OF, Post, Role
from schemas.principals import Principal
from schemas.realms import Realm
from services.gateway.limits import Attempts
from services.gateway.problems import Problem, unavailable
from services.people.directory import PeopleDirectory
from services.people.keeper import Keeper, PeopleAway
from services.people.passwords import Passwords
from services.people.tokens import SESSION, SessionToken, Sign, asking_token, csrf_of, read_session, session_token

MINUTE_MS = 60_000
POST = "post:"  # begins the id of a session's principal, so that none is called like a key's
MOST_HASHING = 2  # at once: each takes 32 MiB and a core
MOST_SEEN = 20_000
PEOPLE_AWAY = "people_away"


def ended(detail: str, reason: str = "session_ended") -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, reason, detail, headers={"WWW-Authenticate": 'Bearer realm="liandong"'})


@dataclass(frozen=True, slots=True)
class Login:
    """A session that has begun."""

    token: str
    csrf: str
    expires_at: int  # UTC milliseconds
    principal: Principal


class Sessions:
    def __init__(
        self,
        directory: PeopleDirectory,
        keeper: Keeper,
        passwords: Passwords,
        sign: Sign,
        clock: Callable[[], int],
        served: tuple[Realm, ...],
        *,
        hours: float = 12.0,
        idle_minutes: float = 240.0,
    ) -> None:
        self.directory, self.keeper, self.passwords = directory, keeper, passwords
        self._register, self._sign, self._clock, self._served = directory.register, sign, clock, served
        self._life, self._idle = int(hours * 60) * MINUTE_MS, int(idle_minutes * MINUTE_MS)
        self._seen: dict[str, int] = {}  # session id -> when it last asked; a restart counts as asking
        self._attempts = Attempts()
        self._hashing = asyncio.Semaphore(MOST_HASHING)

    @staticmethod
    def is_session(text: str) -> bool:
        return text.startswith(SESSION)

    async def login(self, user: str, password: str, post: str | None, client: str) -> Login:
        """`client`: the address it comes from. Raises Problem 401 (the same for an unknown user), 422, 429, 503."""
        self._ready()
        self._attempts.check(user, client)
        async with self._hashing:
            right = await asyncio.to_thread(self.passwords.check, user, password)
        if not right or not self._register.is_active(user):
            self._attempts.failed(user, client)
            raise ended("user or password is wrong", "wrong_login")
        now = self._clock()
        chosen = self._choose(user, post, now)
        token = SessionToken(secrets.token_hex(12), user, chosen.id, self._register.users[user].epoch, now, now + self._life)
        principal = self._principal(chosen)
        try:
            await self.keeper.put_session(Session(token.id, user, chosen.id, now, token.expires_at, 0), principal)
        except PeopleAway as error:
            raise unavailable(str(error)) from None
        self._touch(token.id, now)
        return Login(session_token(token, self._sign), csrf_of(token.id, self._sign), token.expires_at, principal)

    def find(self, text: str) -> tuple[Principal, SessionToken]:
        """Who holds this token and what they may do now. Raises Problem 401, or 503 while people are not known yet."""
        token = read_session(text, self._sign)
        if token is None:
            raise ended("this session is unknown")
        self._ready()
        now = self._clock()
        if token.expires_at <= now:
            raise ended("the session has expired: log in again", "session_expired")
        if self._register.has_ended(token.id):
            raise ended("the session was ended: log in again")
        if now - self._seen.get(token.id, now) > self._idle:
            raise ended("the session lay idle too long: log in again", "session_idle")
        user = self._register.users.get(token.user)
        if user is None or not user.active:
            raise ended("the user is not active", "user_inactive")
        if user.epoch != token.epoch or self.passwords.set_at(token.user) > token.issued_at:
            raise ended("the user's sessions were ended: log in again")
        post = self._register.posts.get(token.post)
        if post is None or post.user != token.user or not post.holds(now):
            raise ended("the post has ended", "post_ended")
        self._touch(token.id, now)
        return self._principal(post), token

    def is_csrf(self, token: SessionToken, text: str) -> bool:
        return secrets.compare_digest(csrf_of(token.id, self._sign).encode(), text.encode())

    def csrf(self, token: SessionToken) -> str:
        return csrf_of(token.id, self._sign)

    def asking(self, principal: Principal) -> str:
        """By which the read port knows the principal for a minute."""
        return asking_token(principal, self._clock(), self._sign)

    async def end(self, token: SessionToken, principal: Principal) -> None:
        """Raises Problem 503."""
        session = Session(token.id, token.user, token.post, token.issued_at, token.expires_at, self._clock())
        try:
            await self.keeper.put_session(session, principal)
        except PeopleAway as error:
            raise unavailable(str(error)) from None
        self._register.sessions[token.id] = session
        self._seen.pop(token.id, None)

    async def change_password(self, token: SessionToken, old: str, new: str, client: str) -> None:
        """Every session of the user ends, this one too. Raises Problem 401, 429; WeakPassword."""
        self._attempts.check(token.user, client)
        async with self._hashing:
            if not await asyncio.to_thread(self.passwords.check, token.user, old):
                self._attempts.failed(token.user, client)
                raise ended("the old password is wrong", "wrong_login")
            await asyncio.to_thread(self.passwords.set, token.user, new, self._clock())

    def _choose(self, user: str, wanted: str | None, now: int) -> Post:
        posts = self._register.posts_of(user, now)
        found = [post for post in posts if wanted in (None, post.id)]
        if len(found) == 1:
            return found[0]
        if not posts:
            raise ended("the user holds no post now", "post_ended")
        names = ", ".join(f"{one.id} ({one.role} of {one.org})" for one in posts)
        error = InvalidPayload(Reason.BAD_VALUE, f"say which post: {names}", "/post")
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason.value, error.detail, [error])

    def _principal(self, post: Post) -> Principal:
        realms = tuple(realm for realm in self._served if not post.realms or realm in post.realms)
        role = Role(post.role)
        return Principal(f"{POST}{post.id}", KIND_OF[role], post.user, post.org, role.value, post.level, post.division, realms)

    def _ready(self) -> None:
        if not self._register.ready:
            raise unavailable("people are not read from Kafka yet", PEOPLE_AWAY)

    def _touch(self, session: str, now: int) -> None:
        """Beyond `MOST_SEEN` those that have asked longest ago are forgotten, as by a restart."""
        if session not in self._seen and len(self._seen) >= MOST_SEEN:
            oldest = sorted(self._seen, key=self._seen.__getitem__)[: MOST_SEEN // 10]
            for gone in oldest:
                del self._seen[gone]
        self._seen[session] = now
