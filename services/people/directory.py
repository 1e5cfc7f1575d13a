"""Persons to be told: the register with names and channels unsealed, one person at a time and only when asked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec
import structlog

from schemas.avro.people_record.event import SealedUser
from schemas.people.records import Channel
from services.adapters.keyfile import KeyFileView
from services.people.register import Register
from services.people.topic import PeopleTopic
from services.ports import Contact
from services.sealing import BrokenSeal, unseal
from services.settings import Settings
from streams.domain.people.roster import Stretch

log = structlog.get_logger(__name__)
REALM = "people"  # users are the same in every realm


class Finds(Protocol):
    """The part of a key vault that reading needs."""

    def find(self, key_id: str, /) -> bytes | None: ...


class Personal(msgspec.Struct, frozen=True):
    """What is sealed of a user."""

    name: str
    channels: tuple[Channel, ...] = ()


class PeopleDirectory:
    """Fulfils ports.Directory."""

    def __init__(self, register: Register, keys: Finds) -> None:
        self.register = register
        self._keys = keys

    def desks(self) -> Collection[str]:
        return self.register.rosters.keys()

    def on_duty(self, desk: str, at: int) -> tuple[Contact, ...]:
        return tuple(self.contact(person) for person in self.register.on_duty(desk, at))

    def head(self, desk: str, at: int) -> tuple[Contact, ...]:
        return tuple(self.contact(person) for person in self.register.heads(desk, at))

    def gaps(self, desk: str, since: int, until: int) -> tuple[Stretch, ...]:
        return self.register.gaps(desk, since, until)

    def contact(self, person: str) -> Contact:
        """Without channels, and called by the id, where nothing is known or its key was erased."""
        user = self.register.users.get(person)
        personal = self.personal(user) if user else None
        return Contact(person, personal.name, personal.channels) if personal else Contact(person, person, ())

    def personal(self, user: SealedUser) -> Personal | None:
        """None when the key was erased, or is not this user's."""
        key = self._keys.find(user.key)
        if key is None:
            return None
        try:
            return msgspec.json.decode(unseal(key, user.nonce, user.ciphertext, case_id=user.id, realm=REALM), type=Personal)
        except (BrokenSeal, msgspec.DecodeError):
            log.error("broken_seal_of_user", user=user.id)
            return None


def following(settings: Settings, client: str) -> tuple[PeopleDirectory, PeopleTopic]:
    """For a process that only reads: run the topic as a task; the directory knows all once `register.ready`."""
    register = Register()
    return PeopleDirectory(register, KeyFileView(settings.people_keys_file)), PeopleTopic(settings.bootstrap, register, client)
