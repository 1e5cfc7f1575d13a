"""Who is asking: a principal comes from a key or a session, never from a body."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.divisions import is_within
from schemas.realms import Realm


class Kind(StrEnum):
    PRODUCER = "producer"  # an integrating department: sends facts, reads what it sent
    DESK = "desk"  # works on cases of its subtree
    SCREEN = "screen"  # reads aggregates and case rows of its subtree, without sealed data
    DEVICE = "device"
    CITIZEN = "citizen"
    ADMIN = "admin"  # runs the platform


@dataclass(frozen=True, slots=True)
class Principal:
    id: str  # stable; the `producer` of what it sends
    kind: Kind
    person: str
    org: str
    role: str
    level: str
    division: str  # subtree it may act in and read
    realms: tuple[Realm, ...]

    def covers(self, division: str) -> bool:
        """Whether `division` lies in this principal's subtree."""
        return is_within(division, self.division)

    def may_send(self, division: str) -> bool:
        return self.kind in (Kind.PRODUCER, Kind.DESK, Kind.ADMIN) and self.covers(division)

    def may_press(self, division: str) -> bool:
        """Raise an alarm: terminals by their platform's key, call-takers at a desk."""
        return self.kind in (Kind.DEVICE, Kind.DESK, Kind.ADMIN) and self.covers(division)

    def may_read_case(self, division: str, producer: str) -> bool:
        """Case rows and timelines: the subtree's desks and screens; a producer or device reads what it sent itself."""
        if self.kind in (Kind.PRODUCER, Kind.DEVICE):
            return producer == self.id
        return self.kind in (Kind.DESK, Kind.SCREEN, Kind.ADMIN) and self.covers(division)

    def may_read_sealed(self, division: str, holder_level: str) -> bool:
        """Persons and free text: only a desk of the handling level in the case's subtree (and its reason is logged)."""
        return self.kind is Kind.DESK and self.covers(division) and self.level == holder_level

    def may_command(self, division: str) -> bool:
        return self.kind in (Kind.DESK, Kind.ADMIN) and self.covers(division)

    def may_use(self, realm: Realm) -> bool:
        return realm in self.realms
