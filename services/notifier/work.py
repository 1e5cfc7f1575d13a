"""The work on one notification: decided at once and in the order of reading, then carried out beside the others.

Deciding does no input or output, so one that hangs at its gateway never holds up the next one's decision or message; only the records of
results keep the order of their partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.duty_event.event import DutyEvent
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.notification.event import Notification
from schemas.avro.page.event import Page
from schemas.ids import derived_id, duty_event_id
from schemas.page_windows import PageWindows
from schemas.people.records import Channel
from schemas.realms import Realm
from services.notifier import metrics, words
from services.notifier.decide import Plan, Sending, Tried, decide, instead, page_of, page_of_nothing
from services.notifier.throttle import BUNDLE_FAILED, BUNDLE_SENT, BUNDLED, FAILED, SENT, Throttle, Waiting, Way
from services.notifier.who import contacts, nobody_notified
from services.ports import Contact, Directory, Message, Pager
from streams.domain.core import Source

NO_ADAPTER = "no adapter for this kind of channel"


class Result(NamedTuple):
    """What is to be written, in this order: first the command, so that no page stands for one that never came."""

    command: IncidentCommand | AlarmCommand | None
    page: Page


class Work:
    """`link`: template of where people look, with {realm} and {case}. `clock`: UTC milliseconds."""

    def __init__(
        self,
        directory: Directory,
        pagers: Mapping[str, Pager],
        throttle: Throttle,
        windows: PageWindows,
        link: str,
        clock: Callable[[], int],
    ) -> None:
        self.throttle = throttle
        self._directory = directory
        self._pagers = pagers
        self._windows = windows
        self._link = link
        self._clock = clock

    def begin(self, asked: Notification, source: Source, notified_at: int) -> Coroutine[Any, Any, Result]:
        """Decides now; what is answered carries it out. `notified_at`: append time of the notification."""
        now = self.throttle.moment(self._clock())
        page_id = derived_id(*source, 0, notified_at)
        people = contacts(self._directory, asked.target_kind, asked.target, now)
        plan = decide(asked, page_id, notified_at, people, self.throttle, self._windows, now)
        return self._carry_out(asked, page_id, source, notified_at, plan)

    async def unreadable(self, source: Source, notified_at: int, realm: str, key: bytes) -> Result:
        """A notification whose bytes are none is answered too: nobody was told, and an alert says so."""
        page_id = derived_id(*source, 0, notified_at)
        return Result(None, page_of_nothing(page_id, source, notified_at, realm, key, self.throttle.moment(self._clock())))

    async def _carry_out(self, asked: Notification, page_id: str, source: Source, notified_at: int, plan: Plan) -> Result:
        message = words.single(asked, page_id, plan.at, self._link)
        ways = await asyncio.gather(*(self._tell(sending, message, plan.at) for sending in plan.sendings))
        tried = [one for each, _ in ways for one in each]
        page = page_of(asked, page_id, source, notified_at, plan, tried, max((told for _, told in ways), default=0))
        if not plan.spared:
            metrics.PAGE_SECONDS.labels(asked.kind).observe((self._clock() - notified_at) / 1000)
        return Result(nobody_notified(asked, page), page)

    async def _tell(self, sending: Sending, message: Message, at: int) -> tuple[list[Tried], int]:
        """One person, over one channel after the other until one works; urgent messages have them all under way already. Answers the ways
        tried, and how much was told besides."""
        tried: list[Tried] = []
        now: Sending | None = sending
        while now is not None:
            whole = words.with_others(message, now.bundle)
            if await self._send(now.contact, now.channel, whole):
                tried.append(Tried(*now.way, BUNDLED if now.bundle else SENT))
                return tried, len(now.bundle)
            tried.append(Tried(*now.way, FAILED))
            now = instead(now, self.throttle, at) if not now.alone else None
        return tried, 0

    async def _send(self, contact: Contact, channel: Channel, message: Message) -> bool:
        pager = self._pagers.get(channel.kind)
        why = await pager.send(contact, channel, message) if pager else NO_ADAPTER
        metrics.MESSAGES.labels(channel.kind, FAILED if why else SENT).inc()
        self.throttle.ended(Way(contact.person, channel.kind), well=not why)
        return not why

    # --- bundles ---

    def bundles(self) -> list[Coroutine[Any, Any, DutyEvent | None]]:
        """Bundles that may go now, each booked; what is awaited sends it."""
        now = self.throttle.moment(self._clock())
        found = []
        for way in self.throttle.due(now):
            self.throttle.take(way, now)
            found.append(self._bundle(way, self.throttle.clear(way, now), now))
        return found

    async def _bundle(self, way: Way, waited: Sequence[Waiting], now: int) -> DutyEvent | None:
        """None: it failed and waits on."""
        first = waited[0]
        key = duty_event_id(Realm.LIVE, BUNDLE_SENT, "/".join(way), first.page_id)
        people = contacts(self._directory, first.target_kind, first.target, first.at)
        to = next(((one, channel) for one in people for channel in one.channels if Way(one.person, channel.kind) == way), None)
        well = to is not None and await self._send(*to, words.bundle(waited, key, Realm.LIVE.value, self._link))
        metrics.BUNDLES.labels(SENT if well else FAILED).inc()
        if not well:
            self.throttle.ended(way, well=False)
            if now - first.at < self._windows.give_up_ms:
                self.throttle.put_back(way, tuple(waited))
                return None
        kind = BUNDLE_SENT if well else BUNDLE_FAILED
        return DutyEvent(
            duty_event_id=key if well else duty_event_id(Realm.LIVE, kind, "/".join(way), first.page_id),
            type=kind,
            realm=Realm.LIVE.value,
            desk="",
            person=way.person,
            channel=way.channel,
            starts_at=first.at,
            ends_at=now,
            count=len(waited),
            case_number=first.case_number,
            at=now,
        )
