"""What the notifier knew before a stop, read from what it wrote: results since the last commit, and the last hours of messages.

Chosen instead of a table of its own or of memory alone: with memory alone a restart would give everybody fresh windows, just when a backlog
waits; a table would be a second truth beside the pages. The pages of a day are read in seconds, those of a quiet one in no time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.avro.duty_event.event import DutyEvent
from schemas.avro.page.event import Page
from schemas.codec import codec
from schemas.errors import InvalidPayload
from schemas.realms import Realm
from schemas.topics import DUTY_EVENTS, PAGES, realm_of
from services.notifier.gaps import Gaps
from services.notifier.throttle import Throttle
from services.sink.plan import Place

Positions = dict[TopicPartition, int]
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
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        starts: Positions = {}
        for (topic, partition), offset in results.items():
            starts[TopicPartition(PAGES.in_realm(realm_of(topic)), partition)] = offset
        live = [tp for tp in starts if realm_of(tp.topic) is Realm.LIVE]
        for tp, offset in (await _at(consumer, live, since)).items():
            starts[tp] = min(starts[tp], offset)
        async for record in _read(consumer, starts):
            page = _decoded(_pages, record)
            if page is None:
                continue
            found.pages += 1
            place = (page.src_topic, page.src_partition)
            found.answered[place] = max(found.answered.get(place, -1), page.src_offset)
            if page.realm == Realm.LIVE and page.at >= since:
                said.append(page)
        duty = [TopicPartition(DUTY_EVENTS.in_realm(Realm.LIVE), tp.partition) for tp in live]
        async for record in _read(consumer, dict.fromkeys(duty, 0)):
            event = _decoded(_events, record)
            if event is not None:
                found.events += 1
                said.append(event)
    finally:
        await consumer.stop()
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


def _decoded(reader: Any, record: Any) -> Any:
    try:
        return reader.decode(record.value)
    except InvalidPayload as error:  # the sink keeps its bytes
        log.error("unreadable result", topic=record.topic, partition=record.partition, offset=record.offset, reason=error.reason.value)
        return None


async def _at(consumer: AIOKafkaConsumer, places: list[TopicPartition], since: int) -> Positions:
    """The first record of each partition appended at or after `since`; the end where there is none."""
    if not places:
        return {}
    ends = await consumer.end_offsets(places)
    found = await consumer.offsets_for_times(dict.fromkeys(places, max(0, since)))
    return {tp: found[tp].offset if found.get(tp) else ends[tp] for tp in places}


async def _read(consumer: AIOKafkaConsumer, starts: Positions) -> AsyncIterator[Any]:
    """Every record from `starts` to what is the end now; what retention took is passed over."""
    if not starts:
        return
    begin, end = await consumer.beginning_offsets(list(starts)), await consumer.end_offsets(list(starts))
    left = {tp for tp, offset in starts.items() if max(offset, begin[tp]) < end[tp]}
    consumer.assign(list(left))
    for tp in left:
        consumer.seek(tp, max(starts[tp], begin[tp]))
    while left:
        batches: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=1000, max_records=5000)
        for tp, records in batches.items():
            for record in records:
                if tp in left and record.offset < end[tp]:
                    yield record
            if tp in left and await consumer.position(tp) >= end[tp]:
                left.discard(tp)
                consumer.pause(tp)
