"""Who there is, what post they hold, and who is on duty when. Times are UTC milliseconds; stretches hold their beginning, not their end.

A roster has layers, overrides and swaps, as GoAlert and Grafana OnCall have them; `streams.domain.people.roster` says what they mean.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.principals import Kind

DESK = "-desk"  # a desk's id: the code of its division, then this
TIME_ZONE = "Asia/Shanghai"
DAY_MINUTES = 24 * 60


class Role(StrEnum):
    """What a post is for."""

    HEAD = "head"  # 负责人: told when its desk is late
    OFFICER = "officer"  # 值班员, 经办
    VIEWER = "viewer"  # sees aggregates and case rows, commands nothing
    ADMIN = "admin"  # keeps people and rosters of its subtree


KIND_OF: dict[Role, Kind] = {Role.HEAD: Kind.DESK, Role.OFFICER: Kind.DESK, Role.VIEWER: Kind.SCREEN, Role.ADMIN: Kind.ADMIN}


class Days(StrEnum):
    """On which days a window opens."""

    EVERY = "every"
    WORKING = "working"  # 工作日, make-up Saturdays among them
    FREE = "free"  # 节假日: weekends and public holidays


class Channel(msgspec.Struct, frozen=True):
    """One way to reach a person. Staff data: never in Kafka in clear."""

    kind: str  # phone, sms, email, webhook, log
    address: str


class User(msgspec.Struct, frozen=True):
    """A person who works here. `id`: a staff number or the like; it stands in events, so it is no name and no phone."""

    id: str
    name: str
    org: str
    active: bool = True
    epoch: int = 0  # grows when every session of the user is to end
    channels: tuple[Channel, ...] = ()


class Post(msgspec.Struct, frozen=True):
    """A user in a role of an organisation, for a time. What a session may do comes from here."""

    id: str
    user: str
    org: str  # a desk's id, or a department
    role: str  # Role
    level: str  # grid, village, town, county, city, province
    division: str
    since: int = 0  # 0: no beginning is set
    until: int = 0  # 0: no end is set
    realms: tuple[str, ...] = ()  # empty: every served one

    def holds(self, at: int) -> bool:
        return self.since <= at and (not self.until or at < self.until)


class Window(msgspec.Struct, frozen=True):
    """Hours of a day in which a layer counts, in minutes of the local day; `until` not after `start`: till the next day."""

    start: int
    until: int
    days: str = Days.EVERY.value
    weekdays: tuple[int, ...] = ()  # 1 Monday to 7 Sunday, of the day on which the window opens; empty: all


class Turn(msgspec.Struct, frozen=True):
    """Who is on duty together 班组: one or several."""

    persons: tuple[str, ...]  # user ids


class Layer(msgspec.Struct, frozen=True):
    """Turns that take each other's place, each for the same length."""

    name: str
    turns: tuple[Turn, ...]
    length: int  # of a turn, minutes
    starts_at: int  # of the first turn; before it the layer is silent
    until: int = 0  # 0: no end is set
    windows: tuple[Window, ...] = ()  # empty: round the clock


class Override(msgspec.Struct, frozen=True):
    """替班: this person instead of all layers. Several at once: all of them."""

    person: str
    start: int
    until: int
    reason: str


class Swap(msgspec.Struct, frozen=True):
    """换班: `by` does what the layers give to `person`. Two who trade have two of these."""

    person: str
    by: str
    start: int
    until: int
    reason: str


class Roster(msgspec.Struct, frozen=True):
    """值班表 of one desk. The first layer is the uppermost."""

    desk: str
    layers: tuple[Layer, ...]
    overrides: tuple[Override, ...] = ()
    swaps: tuple[Swap, ...] = ()
    time_zone: str = TIME_ZONE


def desk_division(desk: str) -> str:
    """The code of a desk's division; "" for what is no desk's id."""
    return desk.removesuffix(DESK) if desk.endswith(DESK) else ""


def persons_of(roster: Roster) -> frozenset[str]:
    """Everyone a roster names."""
    turns = {person for layer in roster.layers for turn in layer.turns for person in turn.persons}
    return frozenset(turns | {one.person for one in roster.overrides} | {who for one in roster.swaps for who in (one.person, one.by)})
