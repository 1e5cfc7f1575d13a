"""What topic `people` says, in memory: users without their contacts, posts, rosters, sessions."""

from __future__ import annotations

from typing import TypeVar

from schemas.avro.people_record.event import PeopleRecord, SealedUser, Session
from schemas.people.records import Post, Role, Roster, persons_of
from streams.domain.people.roster import Away, Shift, Stretch, gaps, next_change, on_duty, shifts

T = TypeVar("T")
ALWAYS = (Stretch(-(1 << 62), 1 << 62),)


class Register:
    """Fed with records in the order of their keys' partition; a tombstone takes its key away. `ready`: read to the end once."""

    def __init__(self) -> None:
        self.ready = False
        self.users: dict[str, SealedUser] = {}
        self.posts: dict[str, Post] = {}
        self.rosters: dict[str, Roster] = {}
        self.sessions: dict[str, Session] = {}
        self._posts_of: dict[str, set[str]] = {}
        self._heads: dict[str, set[str]] = {}
        self._away: dict[str, Away] = {}

    def apply(self, key: str, record: PeopleRecord | None) -> None:
        """A record of the topic, or its tombstone (None). Unknown kinds are of a later release and mean nothing here."""
        kind, _, name = key.partition("/")
        if kind == "user":
            _put(self.users, name, record.user if record else None)
        elif kind == "post":
            self._file(self.posts.get(name), gone=True)
            _put(self.posts, name, record.post if record else None)
            self._file(self.posts.get(name), gone=False)
        elif kind == "roster":
            _put(self.rosters, name, record.roster if record else None)
        elif kind == "session":
            _put(self.sessions, name, record.session if record else None)
        if kind != "session":
            self._away.clear()

    def posts_of(self, user: str, at: int | None = None) -> list[Post]:
        """By id; with `at` only those held then."""
        posts = [self.posts[name] for name in sorted(self._posts_of.get(user, ()))]
        return posts if at is None else [post for post in posts if post.holds(at)]

    def heads(self, desk: str, at: int) -> tuple[str, ...]:
        """Active users who hold a post of role head at the desk."""
        posts = [self.posts[name] for name in sorted(self._heads.get(desk, ()))]
        return tuple(dict.fromkeys(post.user for post in posts if post.holds(at) and self.is_active(post.user)))

    def is_active(self, user: str) -> bool:
        return user in self.users and self.users[user].active

    def has_ended(self, session: str) -> bool:
        """By logging out; a session that is not known here yet has not."""
        return session in self.sessions and bool(self.sessions[session].ended_at)

    def on_duty(self, desk: str, at: int) -> tuple[str, ...]:
        roster = self.rosters.get(desk)
        return on_duty(roster, at, self.away(roster)) if roster else ()

    def shifts(self, desk: str, since: int, until: int) -> tuple[Shift, ...]:
        """One shift of nobody for a desk without a roster."""
        roster = self.rosters.get(desk)
        return shifts(roster, since, until, self.away(roster)) if roster else (Shift(since, until, ()),)

    def gaps(self, desk: str, since: int, until: int) -> tuple[Stretch, ...]:
        roster = self.rosters.get(desk)
        return gaps(roster, since, until, self.away(roster)) if roster else (Stretch(since, until),)

    def next_change(self, desk: str, at: int) -> int | None:
        roster = self.rosters.get(desk)
        return next_change(roster, at, self.away(roster)) if roster else None

    def away(self, roster: Roster) -> Away:
        """Who of a roster can't come: not active, or without a post then. Somebody of whom no post was ever told can."""
        if roster.desk not in self._away:
            found = {person: self._absence(person) for person in persons_of(roster)}
            self._away[roster.desk] = {person: stretches for person, stretches in found.items() if stretches}
        return self._away[roster.desk]

    def _absence(self, person: str) -> tuple[Stretch, ...]:
        if not self.is_active(person):
            return ALWAYS
        posts = sorted(self.posts_of(person), key=lambda post: post.since)
        if not posts:
            return ()
        absent, free_from = [], ALWAYS[0].start
        for post in posts:
            if post.since > free_from:
                absent.append(Stretch(free_from, post.since))
            free_from = max(free_from, post.until or ALWAYS[0].until)
        if free_from < ALWAYS[0].until:
            absent.append(Stretch(free_from, ALWAYS[0].until))
        return tuple(absent)

    def _file(self, post: Post | None, *, gone: bool) -> None:
        """Keeps the indices by user and desk."""
        if post is None:
            return
        for index, name in ((self._posts_of, post.user), *([(self._heads, post.org)] if post.role == Role.HEAD else [])):
            filed = index.setdefault(name, set())
            (filed.discard if gone else filed.add)(post.id)
            if not filed:
                del index[name]


def _put(kept: dict[str, T], name: str, value: T | None) -> None:
    if value is None:
        kept.pop(name, None)
    else:
        kept[name] = value
