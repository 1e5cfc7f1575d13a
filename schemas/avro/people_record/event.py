"""people_record: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec

from schemas.people.records import Post, Roster


class SealedUser(msgspec.Struct, frozen=True):
    """A user without name and channels: those are sealed with a key of the user's own, and erasing it erases them."""

    id: str
    org: str
    active: bool
    epoch: int
    key: str
    nonce: bytes
    ciphertext: bytes


class Session(msgspec.Struct, frozen=True):
    """A login. `ended_at` 0: until it expires."""

    id: str
    user: str
    post: str
    issued_at: int
    expires_at: int
    ended_at: int


class PeopleRecord(msgspec.Struct, frozen=True):
    """One user, post, roster or session as it stands; its key names it, and a tombstone takes it away."""

    key: str
    user: SealedUser | None
    post: Post | None
    roster: Roster | None
    session: Session | None
    by: str
    by_person: str
    at: int
