"""What the processes need from outside, as protocols: an adapter of services/adapters or a test's fake fulfils them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Protocol

import msgspec

from schemas.people.records import Channel
from schemas.policy.schedule import Schedule
from schemas.principals import Principal
from schemas.realms import Realm
from streams.domain.people.roster import Stretch

Header = tuple[str, bytes]


class Record(msgspec.Struct, frozen=True):
    """What is to be written. `value` None: a tombstone, of a compacted topic. `timestamp`: UTC milliseconds, None: the broker's or the
    sender's clock."""

    key: bytes
    value: bytes | None
    headers: list[Header] = []
    timestamp: int | None = None


class Acked(msgspec.Struct, frozen=True, gc=False):
    """Kafka has the record on all in-sync replicas."""

    partition: int
    offset: int


class Unavailable(msgspec.Struct, frozen=True, gc=False):
    """No acknowledgement in time. The record may still arrive; a repeat carries the same ids and is harmless."""

    detail: str


Fate = Acked | Unavailable
OnAcked = Callable[[Sequence[tuple[int, Acked]]], None]
"""Told of (index of the record, acknowledgement) as soon as Kafka has it, also when nobody waits any more."""


class Producer(Protocol):
    """An idempotent producer with acks=all."""

    @property
    def available(self) -> bool:
        """False while acknowledgements are overdue or the last connection failed."""

    async def enqueue(self, topic: str, records: Sequence[Record], on_acked: OnAcked | None = None) -> Awaitable[list[Fate]]:
        """Returns when the records stand in the send buffer; records of one key keep the order of the calls. The
        awaitable answers one fate for each record within the producer's deadline and never raises for the broker."""

    async def send(self, topic: str, records: Sequence[Record], on_acked: OnAcked | None = None) -> list[Fate]:
        """`enqueue`, and waits."""

    async def close(self) -> None:
        """Sends what is buffered (within the deadline) and disconnects."""


class Keys(Protocol):
    """Who holds which API key."""

    def find(self, key: str) -> Principal | None: ...


class Policies(Protocol):
    """The activations of topic `config`."""

    @property
    def schedule(self) -> Schedule: ...

    @property
    def known(self) -> bool:
        """False until what stood there at the start has been read."""

    async def reached(self, partition: int, offset: int) -> None:
        """Returns once the record at that place has been read."""


class Workers(Protocol):
    """The workers that run now."""

    async def unaware(self, realm: Realm, version: str) -> dict[str, tuple[str, ...]]:
        """Case workers of the realm that do not know a version of the policies, each with the versions it knows."""


class KeyVault(Protocol):
    """One data key per case. An erased key never comes back, and neither does its case's sealed data."""

    async def ensure(self, cases: Iterable[str]) -> dict[str, bytes | None]:
        """32-byte key of each case, made and on disk if it was missing; None: erased."""

    def find(self, case_id: str) -> bytes | None:
        """None: erased, or never made."""

    async def erase(self, case_id: str) -> bool:
        """Gone from the disk when this returns. Whether there was a key."""

    def fingerprint(self, data: bytes) -> str:
        """Keyed hash: says nothing about `data` to who lacks the vault."""


class Contact(msgspec.Struct, frozen=True):
    """A person to be told, and how."""

    person: str  # user id
    name: str
    channels: tuple[Channel, ...]


class Directory(Protocol):
    """Who is on duty and who answers for a desk (`<division>-desk`), as known at this moment. Times are UTC milliseconds."""

    def desks(self) -> Collection[str]:
        """Every desk that has a roster."""

    def on_duty(self, desk: str, at: int) -> tuple[Contact, ...]:
        """Empty: nobody, or no roster."""

    def head(self, desk: str, at: int) -> tuple[Contact, ...]:
        """Who holds a post of role head at the desk. Empty: nobody."""

    def gaps(self, desk: str, since: int, until: int) -> tuple[Stretch, ...]:
        """Stretches of [since, until) with nobody on duty, in order; all of it for a desk without a roster."""


class Message(msgspec.Struct, frozen=True):
    """What one person is told at once. Composed by us: case number, title, time left; nothing about citizens."""

    key: str  # the same for every repeat: whoever carries it drops what it has carried already
    realm: str
    kind: str  # alarm, incident; bundle: several that had waited
    urgency: int  # 1: life in danger or not known, to 3; 0: a bundle
    case_number: str  # of the first case
    title: str
    text: str  # Chinese, as a short message would say it
    text_en: str
    due_at: int  # of the clock that runs late, UTC milliseconds; 0: none
    link: str  # where to look; "" nowhere
    ack: str  # path at the gateway that acknowledges it; "" for a bundle
    count: int  # cases that it tells


class Pager(Protocol):
    """One way out to people: a log line, a webhook, a gateway of short messages."""

    async def send(self, to: Contact, channel: Channel, message: Message) -> str:
        """ "" once whoever carries it has taken it over, else why not, in a few words. Ends within the adapter's bound and raises
        for nothing that lies outside."""
