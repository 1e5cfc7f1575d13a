"""What people write about people: the shapes of request bodies and import files, read strictly (unknown fields are refused).

Times are written in Shanghai's local time, or with an offset. `schemas.people.checks` turns drafts into records.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.people.records import TIME_ZONE, Days, Role

UserId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="1 to 64 of A-Z a-z 0-9 . _ -, a staff number or the like: it stands in events",
    ),
]
PostId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="1 to 64 of A-Z a-z 0-9 . _ -")]
Name = Annotated[str, Meta(min_length=1, max_length=100, description="1 to 100 characters")]
Time = Annotated[
    str, Meta(min_length=8, max_length=40, description="2026-11-22, 2026-11-22 08:30 (in Shanghai) or 2026-11-22T08:30:00+08:00")
]
Clock = Annotated[str, Meta(pattern=r"^([01]?\d|2[0-3]):[0-5]\d$|^24:00$", description="08:30 to 24:00")]
Length = Annotated[str, Meta(pattern=r"^[1-9]\d{0,4}[mhdw]$", description="a number of minutes, hours, days or weeks: 30m, 12h, 1d, 1w")]
Weekday = Annotated[int, Meta(ge=1, le=7, description="1 Monday to 7 Sunday")]
Reason = Annotated[str, Meta(max_length=64, pattern=r"^[\w.:\-]*$", description="a code, not a sentence")]


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all share."""


class ChannelDraft(Draft, frozen=True):
    kind: Annotated[str, Meta(pattern="^(phone|sms|email|webhook|log)$", description="phone, sms, email, webhook, log")]
    address: Annotated[str, Meta(min_length=1, max_length=200, description="1 to 200 characters; sealed")]


class UserDraft(Draft, frozen=True):
    """A person who works here. Name and channels are sealed with a key of the user's own."""

    id: UserId
    name: Name
    org: Name
    active: bool = True
    channels: tuple[ChannelDraft, ...] = ()


class PostDraft(Draft, frozen=True):
    """A user in a role, for a time."""

    id: PostId
    user: UserId
    role: Role
    division: Annotated[str, Meta(pattern=r"^\d{6}(\d{3}(\d{3})?)?$", description="a division code of 6, 9 or 12 digits")]
    org: Annotated[Name, Meta(description="a desk's id or a department; the division's desk without it")] | None = None
    level: (
        Annotated[str, Meta(max_length=20, description="the division's level without it; grid for a grid of a town or village")] | None
    ) = None
    since: Annotated[Time, Meta(description="from when it is held; without it no beginning is set")] | None = None
    until: Annotated[Time, Meta(description="the first moment it is held no more")] | None = None
    realms: tuple[Annotated[str, Meta(pattern="^(live|drill|replay|sandbox)$", description="live, drill, replay, sandbox")], ...] = ()


class WindowDraft(Draft, frozen=True):
    """Hours of a day; `until` not after `start`: till the next day."""

    start: Clock
    until: Clock
    days: Days = Days.EVERY
    weekdays: tuple[Weekday, ...] = ()


class LayerDraft(Draft, frozen=True):
    """Turns that take each other's place."""

    name: Name
    turns: Annotated[tuple[tuple[UserId, ...], ...], Meta(description="who is on duty together, turn by turn: [[a, b], [c]]")]
    length: Length
    starts_at: Time
    until: Time | None = None
    windows: tuple[WindowDraft, ...] = ()


class OverrideDraft(Draft, frozen=True):
    """This person instead of all layers."""

    person: UserId
    start: Time
    until: Time
    reason: Reason = ""


class SwapDraft(Draft, frozen=True):
    """`by` does what the layers give to `person`."""

    person: UserId
    by: UserId
    start: Time
    until: Time
    reason: Reason = ""


class RosterDraft(Draft, frozen=True):
    """The duty roster of one desk; the first layer is the uppermost."""

    desk: Annotated[str, Meta(max_length=40, description="<division>-desk")]
    layers: tuple[LayerDraft, ...]
    overrides: tuple[OverrideDraft, ...] = ()
    swaps: tuple[SwapDraft, ...] = ()
    time_zone: Annotated[str, Meta(pattern=f"^{TIME_ZONE}$", description=TIME_ZONE)] = TIME_ZONE


class ChangeDraft(Draft, frozen=True):
    """A row of a file of changes: `by` is on duty at the desk, instead of `person` (换班), or without one instead of all layers (替班)."""

    desk: Annotated[str, Meta(max_length=40, description="<division>-desk, which has a roster")]
    by: UserId
    start: Time
    until: Time
    person: UserId | None = None
    reason: Reason = ""


class Changes(Draft, frozen=True):
    """Changes of rosters that there are: all of them are taken, or none. With `replace` a desk that is named keeps no others."""

    changes: tuple[ChangeDraft, ...]
    replace: bool = False


class People(Draft, frozen=True):
    """An import: all of it is taken, or none."""

    users: tuple[UserDraft, ...] = ()
    posts: tuple[PostDraft, ...] = ()
    rosters: tuple[RosterDraft, ...] = ()
