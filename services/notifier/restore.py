"""What the notifier knew before a stop, read from what it wrote: results since the last commit, and the last hours of messages.

Chosen instead of a table of its own or of memory alone: with memory alone a restart would give everybody fresh windows, just when a backlog
waits; a table would be a second truth beside the pages. The pages of a day are read in seconds, those of a quiet one in no time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from schemas.avro.duty_event.event import DutyEvent
from schemas.avro.page.event import Page
from schemas.codec import codec
from schemas.errors import InvalidPayload
from schemas.realms import Realm
from schemas.topics import DUTY_EVENTS, PAGES, realm_of
from services.adapters.topic_log import Log, Take
from services.notifier.gaps import Gaps
from services.notifier.throttle import Throttle
from services.sink.plan import Place

log = structlog.get_logger("notifier")
_pages = codec(Page)
_events = codec(DutyEvent)


@dataclass(slots=True)
class Restored:
    """`answered`: the highest offset of each partition of notifications whose result is in the log; `pages`, `events`: how many were
    read."""

    answered: dict[Place, int] = field(default_factory=dict)
    pages: int = 0
    events: int = 0


async def restore(bootstrap: str, results: Mapping[Place, int], since: int, throttle: Throttle, gaps: Gaps) -> Restored:
    """Fills `throttle` and `gaps`. `results`: by partition of notifications, where results that no commit covers may begin in its partition
    of pages; `since`: UTC milliseconds, from where messages still count."""
    found = Restored()
    said: list[Page | DutyEvent] = []
    starts: dict[Realm, dict[int, int]] = defaultdict(dict)  # by partition of pages
    for (topic, partition), offset in results.items():
        starts[realm_of(topic)][partition] = offset

    def pages(_partition: int, records: Sequence[Any]) -> None:
        for page in _decoded(_pages, records):
            found.pages += 1
            place = (page.src_topic, page.src_partition)
            found.answered[place] = max(found.answered.get(place, -1), page.src_offset)
            if page.realm == Realm.LIVE and page.at >= since:
                said.append(page)

    def events(_partition: int, records: Sequence[Any]) -> None:
        for event in _decoded(_events, records):
            found.events += 1
            said.append(event)

    for realm, places in starts.items():
        await _read(bootstrap, PAGES.in_realm(realm), places, pages, since if realm is Realm.LIVE else None)
    if live := starts.get(Realm.LIVE):
        await _read(bootstrap, DUTY_EVENTS.in_realm(Realm.LIVE), dict.fromkeys(live, 0), events)
    fold(said, throttle, gaps)
    return found


def fold(said: Iterable[Page | DutyEvent], throttle: Throttle, gaps: Gaps) -> None:
    """In the order in which it was decided; a page that was written twice counts once."""
    seen: set[str] = set()
    for one in sorted(said, key=lambda one: one.at):
        name = one.page_id if isinstance(one, Page) else ""
        if name in seen:
            continue
        if isinstance(one, Page):
            seen.add(name)
            throttle.fold_page(one)
        else:
            throttle.fold_event(one)
            if one.desk:
                gaps.fold(one)


def _decoded(reader: Any, records: Iterable[Any]) -> Iterable[Any]:
    for record in records:
        try:
            yield reader.decode(record.value)
        except InvalidPayload as error:  # the sink keeps its bytes
            log.error("unreadable result", topic=record.topic, partition=record.partition, offset=record.offset, reason=error.reason.value)


async def _read(bootstrap: str, topic: str, starts: Mapping[int, int], take: Take, since: int | None = None) -> None:
    """Every record from `starts`, or from an earlier one that was appended at `since`, to what is the end now."""
    reader = await Log(bootstrap, topic).open()
    try:
        ends = await reader.ends()
        early = await reader.since(since) if since is not None else {}
        reader.skip_to({partition: min(offset, early.get(partition, offset)) for partition, offset in starts.items()})
        await reader.read_to({partition: ends[partition] for partition in starts}, take)
    finally:
        await reader.close()
