"""Who is told now, over which channel; who waits; who is spared. Pure: what is known comes in, what is to be done comes out.

contacts ── none ───────────────────────────────▶ no_one_notified
   │ each person, channels in the order he wants them
   ├─ urgency 1: all of them at once, never throttled
   ├─ else the first with room in its window ────▶ a message; with it whatever waited there: a bundle
   └─ none has room ─────────────────────────────▶ waits for the next bundle on the first; not if what went there last failed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.avro.notification.event import Notification
from schemas.avro.page.event import Page
from schemas.page_windows import PageWindows
from schemas.people.records import Channel
from schemas.realms import Realm
from services.notifier.throttle import BUNDLED, FAILED, SENT, WAITING, Throttle, Waiting, Way
from services.ports import Contact
from streams.domain.core import Source

KEY_CHARACTERS = 200
URGENT = 1  # life in danger, or nobody knows
THROTTLED, SUPPRESSED, NO_ONE = "throttled", "suppressed", "no_one_notified"  # statuses, beside SENT and BUNDLED
NO_CHANNEL, BROKEN = "no_channel", "broken"
NOBODY_ON_DUTY, CHANNELS_FAILED, UNREADABLE = "nobody_on_duty", "channels_failed", "unreadable"
NOT_LIVE, TOO_OLD = "not_live", "too_old"


class Tried(NamedTuple):
    """What became of one way."""

    person: str
    channel: str
    result: str


class Sending(NamedTuple):
    """A message to be sent now. `bundle`: what waited on this way and is told with it. `alone`: the person's other channels have
    messages of their own."""

    contact: Contact
    channel: Channel
    bundle: tuple[Waiting, ...] = ()
    alone: bool = False

    @property
    def way(self) -> Way:
        return Way(self.contact.person, self.channel.kind)


@dataclass(frozen=True, slots=True)
class Plan:
    """`settled`: the ways nothing is sent over; `spared`: why nobody is told at all, "" when that is not so."""

    at: int
    sendings: tuple[Sending, ...] = ()
    settled: tuple[Tried, ...] = ()
    spared: str = ""


def decide(
    asked: Notification, page_id: str, notified_at: int, contacts: Sequence[Contact], throttle: Throttle, windows: PageWindows, now: int
) -> Plan:
    """Books in `throttle` what it decides, so that the next decision knows it. `now`: of `throttle.moment`."""
    spared = NOT_LIVE if asked.realm != Realm.LIVE else TOO_OLD if now - notified_at > windows.stale_ms else ""
    if spared:
        return Plan(now, settled=tuple(_spared(contact) for contact in contacts), spared=spared)
    sendings: list[Sending] = []
    settled: list[Tried] = []
    for contact in contacts:
        if not contact.channels:
            settled.append(Tried(contact.person, "", NO_CHANNEL))
        elif asked.urgency == URGENT:
            for channel in contact.channels:
                throttle.take(Way(contact.person, channel.kind), now)
                sendings.append(Sending(contact, channel, alone=True))
        else:
            sending = _sending(contact, contact.channels, throttle, now)
            if sending:
                sendings.append(sending)
            else:
                settled.append(
                    _waits(contact, Waiting(page_id, asked.case_number, asked.title, asked.target_kind, asked.target, now), throttle)
                )
    return Plan(now, tuple(sendings), tuple(settled))


def instead(failed: Sending, throttle: Throttle, at: int) -> Sending | None:
    """The person's next channel with room, after one that failed; it takes over the bundle. None: there is none, and the bundle waits
    again where it was. `at`: of the plan."""
    throttle.ended(failed.way, well=False)
    rest = failed.contact.channels[failed.contact.channels.index(failed.channel) + 1 :]
    sending = _sending(failed.contact, rest, throttle, at)
    if sending is None:
        throttle.put_back(failed.way, failed.bundle)
        return None
    return sending._replace(bundle=(*failed.bundle, *sending.bundle))


def page_of(
    asked: Notification, page_id: str, source: Source, notified_at: int, plan: Plan, tried: Sequence[Tried] = (), told: int = 0
) -> Page:
    """The result of a notification, once all its messages have gone or failed. `source`: its place; `told`: how much a message told
    besides."""
    ways = [*tried, *plan.settled]
    status, reason = _status(plan, ways)
    return Page(
        page_id=page_id,
        notification_id=asked.notification_id,
        case_id=asked.case_id,
        kind=asked.kind,
        realm=asked.realm,
        cause=asked.cause,
        target_kind=asked.target_kind,
        target=asked.target,
        target_level=asked.target_level,
        step=asked.step,
        urgency=asked.urgency,
        division=asked.division,
        county=asked.county,
        case_number=asked.case_number,
        title=asked.title,
        case_seq=asked.case_seq,
        round=asked.round,
        clock=asked.clock,
        status=status,
        reason=reason,
        persons=tuple(one.person for one in ways),
        channels=tuple(one.channel for one in ways),
        results=tuple(one.result for one in ways),
        told=told,
        notified_at=notified_at,
        at=plan.at,
        src_topic=source.topic,
        src_partition=source.partition,
        src_offset=source.offset,
        src_position=0,
    )


def page_of_nothing(page_id: str, source: Source, notified_at: int, realm: str, key: bytes, at: int) -> Page:
    """The result of a notification that nobody can read. `key`: of its record, as far as it may stand in a page."""
    return Page(
        page_id=page_id, notification_id="", case_id=key.decode("utf-8", "replace")[:KEY_CHARACTERS], kind="", realm=realm, cause="",
        target_kind="", target="", target_level="", step=0, urgency=0, division="", county="", case_number="", title="", case_seq=0,
        round=0, clock="", status=NO_ONE if realm == Realm.LIVE else SUPPRESSED, reason=UNREADABLE, persons=(), channels=(), results=(),
        told=0, notified_at=notified_at, at=at,
        src_topic=source.topic, src_partition=source.partition, src_offset=source.offset, src_position=0,
    )  # fmt: skip


def _status(plan: Plan, ways: Sequence[Tried]) -> tuple[str, str]:
    results = {one.result for one in ways}
    if plan.spared:
        return SUPPRESSED, plan.spared
    for result, status in ((SENT, SENT), (BUNDLED, BUNDLED), (WAITING, THROTTLED)):
        if result in results:
            return status, ""
    return NO_ONE, CHANNELS_FAILED if results & {FAILED, BROKEN} else NO_CHANNEL if results else NOBODY_ON_DUTY


def _sending(contact: Contact, channels: Sequence[Channel], throttle: Throttle, now: int) -> Sending | None:
    """A message over the first channel with room, and what waits there; None: no channel has room."""
    for channel in channels:
        way = Way(contact.person, channel.kind)
        if throttle.free_at(way, now) <= now:
            throttle.take(way, now)
            return Sending(contact, channel, throttle.clear(way, now))
    return None


def _waits(contact: Contact, what: Waiting, throttle: Throttle) -> Tried:
    """Nobody may rely on a bundle over a way that is broken: then the person counts as not told, and whoever comes next is."""
    way = Way(contact.person, contact.channels[0].kind)
    if throttle.broken(way):
        return Tried(*way, BROKEN)
    throttle.wait(way, what)
    return Tried(*way, WAITING)


def _spared(contact: Contact) -> Tried:
    return Tried(contact.person, contact.channels[0].kind if contact.channels else "", SUPPRESSED)
