"""Messages that fail, bundles, and what a restart makes of their records: the cases that chance rarely meets."""

from __future__ import annotations

import asyncio

from schemas.avro.duty_event.event import DutyEvent
from schemas.avro.notification.event import Notification
from schemas.avro.page.event import Page
from services.notifier.gaps import Gaps
from services.notifier.restore import fold
from services.notifier.throttle import Throttle, Way
from services.notifier.work import Work
from streams.domain.core import Source
from tests.fakes import FakeDirectory, FakePager
from tests.pages import DESK, HOUR, MINUTE, SMALL, START, notification, person

SMS, WEBHOOK = Way("a", "sms"), Way("a", "webhook")


class Life:
    """Work with one person on duty, a clock, and what it has said."""

    def __init__(self, *kinds: str) -> None:
        self.now = START
        self.pager = FakePager()
        self.said: list[Page | DutyEvent] = []
        self.throttle = Throttle(SMALL)
        directory = FakeDirectory({DESK: [person("a", *kinds)]})
        self.work = Work(directory, dict.fromkeys(kinds, self.pager), self.throttle, SMALL, "", lambda: self.now)
        self._number = 0

    def tell(self) -> Page:
        self._number += 1
        asked = notification(self._number)
        page = asyncio.run(self._tell(asked))
        self.said.append(page)
        return page

    async def _tell(self, asked: Notification) -> Page:
        source = Source("notifications", 0, self._number)
        return (await self.work.begin(asked, source, self.now)).page

    def bundles(self) -> list[DutyEvent]:
        async def all_of() -> list[DutyEvent | None]:
            return [await one for one in self.work.bundles()]

        events = [event for event in asyncio.run(all_of()) if event]
        self.said += events
        return events

    def restarted(self) -> Throttle:
        """What another life knows, from the records."""
        throttle = Throttle(SMALL)
        fold(self.said, throttle, Gaps())
        return throttle


def ways(page: Page) -> list[tuple[str, str]]:
    return list(zip(page.channels, page.results, strict=True))


def test_a_bundle_that_went_over_to_the_next_channel_waits_nowhere_after_a_restart() -> None:
    one = Life("sms", "webhook")
    for _ in range(4):
        last = one.tell()
    assert (ways(last), len(one.throttle.waiting(SMS))) == ([("sms", "waiting")], 1)
    one.now += MINUTE + 10
    one.pager.broken.add("a@sms")
    assert ways(one.tell()) == [("sms", "failed"), ("webhook", "bundled")]
    (*_, (_, channel, message)) = one.pager.sent
    assert (channel.kind, message.count) == ("webhook", 2)
    for throttle in (one.throttle, one.restarted()):
        assert (throttle.waiting(SMS), throttle.waiting(WEBHOOK)) == ((), ())


def test_a_bundle_fills_the_window_and_does_so_after_a_restart_too() -> None:
    one = Life("sms")
    one.tell()
    one.tell()
    one.now += MINUTE
    (event,) = one.bundles()
    assert (event.type, event.person, event.channel, event.count, event.case_number) == ("bundle_sent", "a", "sms", 1, "C-2")
    assert one.throttle.free_at(SMS, one.now) == one.restarted().free_at(SMS, one.now) == event.at + MINUTE


def test_a_channel_that_works_again_may_be_waited_for_again() -> None:
    one = Life("sms")
    one.pager.broken.add("a@sms")
    assert ways(one.tell()) == [("sms", "failed")]
    assert ways(one.tell()) == [("sms", "broken")]
    one.pager.broken.clear()
    one.now += MINUTE
    assert ways(one.tell()) == [("sms", "sent")]
    assert ways(one.tell()) == [("sms", "waiting")]


def test_a_bundle_that_fails_waits_on_with_all_it_held_and_keeps_its_key() -> None:
    one = Life("sms")
    for _ in range(3):
        one.tell()
    one.now += MINUTE
    one.pager.broken.add("a@sms")
    assert one.bundles() == []
    assert [waiting.case_number for waiting in one.throttle.waiting(SMS)] == ["C-2", "C-3"]
    one.pager.broken.clear()
    one.now += MINUTE
    (event,) = one.bundles()
    assert (event.type, event.count) == ("bundle_sent", 2)
    assert one.pager.sent[-1][2].key == event.duty_event_id
    again = Life("sms")
    for _ in range(3):
        again.tell()
    again.now += 2 * MINUTE
    assert again.bundles()[0].duty_event_id == event.duty_event_id, "whoever sends it, and whenever"


def test_what_could_not_be_told_for_an_hour_is_given_up_on_record() -> None:
    one = Life("sms")
    one.tell()
    one.tell()
    one.pager.broken.add("a@sms")
    one.now += HOUR - MINUTE
    assert one.bundles() == []
    one.now += 15 * MINUTE
    (event,) = one.bundles()
    assert (event.type, event.count) == ("bundle_failed", 1)
    for throttle in (one.throttle, one.restarted()):
        assert throttle.waiting(SMS) == ()
        assert throttle.broken(SMS)


def test_of_urgent_messages_one_channel_that_fails_takes_no_other_with_it() -> None:
    one = Life("sms", "webhook")
    one.pager.broken.add("a@sms")
    page = asyncio.run(one._tell(notification(9, urgency=1)))
    assert (page.status, ways(page)) == ("sent", [("sms", "failed"), ("webhook", "sent")])
    assert [channel.kind for _, channel, _ in one.pager.sent] == ["webhook"], "its own message, and no second one instead"
