"""How often each person was told over each channel, and what waits for the next bundle. Pure: time is an argument.

State in memory, and nothing else: it is a fold of what the notifier itself has written. Each page says which ways were tried and which
wait, each `bundle_sent` which waiting ones were told. So a restart reads the last hours of two topics (`restore.py`) and goes
on where it was, and no table can differ from what was recorded.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.avro.duty_event.event import DutyEvent
from schemas.avro.page.event import Page
from schemas.page_windows import PageWindows

SENT, BUNDLED, FAILED, WAITING = "sent", "bundled", "failed", "waiting"  # what became of a way
TRIED = frozenset({SENT, BUNDLED, FAILED})  # a message that failed may have arrived all the same
BUNDLE_SENT, BUNDLE_FAILED = "bundle_sent", "bundle_failed"


class Way(NamedTuple):
    """One person over one kind of channel: what a window is kept for."""

    person: str
    channel: str


class Waiting(NamedTuple):
    """A page that is to be told by the next bundle. `at`: when that was decided, UTC milliseconds; whom `target` meant then is told."""

    page_id: str
    case_number: str
    title: str
    target_kind: str
    target: str
    at: int


@dataclass(slots=True)
class _Book:
    times: list[int] = field(default_factory=list)  # of messages, ascending
    waiting: list[Waiting] = field(default_factory=list)  # by time
    broken: bool = False  # the last message failed


class Throttle:
    """Windows of every way, counted by the times of decisions."""

    def __init__(self, windows: PageWindows) -> None:
        self._windows = windows
        self._books: dict[Way, _Book] = {}
        self.last = 0  # the newest time in the state

    def moment(self, clock: int) -> int:
        """Now, for the next decision: later than the one before, so that what was decided is in one order."""
        self.last = max(self.last + 1, clock)
        return self.last

    def free_at(self, way: Way, now: int) -> int:
        """The earliest time from `now` on at which another message may go."""
        book = self._books.get(way)
        if book is None:
            return now
        free = now
        for limit in self._windows.of(way.channel):
            if len(book.times) >= limit.most:
                free = max(free, book.times[-limit.most] + limit.ms)
        return free

    def take(self, way: Way, at: int) -> None:
        """A message goes."""
        times = self._book(way).times
        insort(times, at)
        del times[: bisect_right(times, at - self._windows.longest_ms)]

    def ended(self, way: Way, *, well: bool) -> None:
        """How a message over it ended."""
        self._book(way).broken = not well

    def broken(self, way: Way) -> bool:
        """Whether the last message over it failed: nobody is told that something waits for this way."""
        return way in self._books and self._books[way].broken

    def wait(self, way: Way, what: Waiting) -> None:
        self._book(way).waiting.append(what)

    def waiting(self, way: Way) -> tuple[Waiting, ...]:
        book = self._books.get(way)
        return tuple(book.waiting) if book else ()

    def clear(self, way: Way, until: int) -> tuple[Waiting, ...]:
        """What was decided up to `until` no longer waits; answers it."""
        waiting = self._book(way).waiting
        gone = tuple(one for one in waiting if one.at <= until)
        waiting[:] = [one for one in waiting if one.at > until]
        return gone

    def put_back(self, way: Way, whats: tuple[Waiting, ...]) -> None:
        """What a message that failed should have told waits again."""
        book = self._book(way)
        book.waiting = sorted([*whats, *book.waiting], key=lambda one: one.at)

    def due(self, now: int) -> Iterator[Way]:
        """Ways whose bundle may go."""
        for way, book in list(self._books.items()):
            if book.waiting and self.free_at(way, now) <= now:
                yield way

    def counts(self) -> tuple[int, int]:
        """Ways with something that waits, and how much."""
        lengths = [len(book.waiting) for book in self._books.values() if book.waiting]
        return len(lengths), sum(lengths)

    def forget(self, now: int) -> None:
        """Lets go of ways that nothing has gone over for so long that it no longer counts."""
        oldest = now - self._windows.longest_ms
        for way, book in list(self._books.items()):
            if not book.waiting and (not book.times or book.times[-1] <= oldest):
                del self._books[way]

    def fold_page(self, page: Page) -> None:
        """What a page of an earlier life did to the state. Pages and events in the order of their `at`."""
        self.last = max(self.last, page.at)
        bundled = {person for person, result in zip(page.persons, page.results, strict=True) if result == BUNDLED}
        for person, channel, result in zip(page.persons, page.channels, page.results, strict=True):
            way = Way(person, channel)
            if person in bundled:  # a bundle that failed on one of them went over to the next
                self.clear(way, page.at)
            if result in TRIED:
                self.take(way, page.at)
                self.ended(way, well=result != FAILED)
            elif result == WAITING:
                self.wait(way, Waiting(page.page_id, page.case_number, page.title, page.target_kind, page.target, page.at))

    def fold_event(self, event: DutyEvent) -> None:
        """The same of a bundle."""
        self.last = max(self.last, event.at)
        if event.type in (BUNDLE_SENT, BUNDLE_FAILED):
            way = Way(event.person, event.channel)
            self.clear(way, event.ends_at)
            if event.type == BUNDLE_SENT:
                self.take(way, event.ends_at)
            self.ended(way, well=event.type == BUNDLE_SENT)

    def _book(self, way: Way) -> _Book:
        book = self._books.get(way)
        if book is None:
            book = self._books[way] = _Book()
        return book
