"""Writing what the notifier found out: commands, pages, duty events. Kafka has acknowledged each before its notification counts as done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.duty_event.event import DutyEvent
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.page.event import Page
from schemas.codec import codec
from schemas.headers import TRACE
from schemas.realms import Realm
from schemas.topics import ALARM_COMMANDS, DUTY_EVENTS, INCIDENT_COMMANDS, PAGES
from services.notifier.work import Result
from services.ports import Acked, Header, Producer, Record
from services.sink.marks import header

PAUSE_SECONDS = 0.2
COMMAND_POSITION = 1  # of what a notification causes; its page has 0
log = structlog.get_logger("notifier")


class Writer:
    """Waits for Kafka as long as it takes: a result that is said twice is dropped by its mark, one that is not said is lost."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._pages, self._events = codec(Page), codec(DutyEvent)
        self._incidents, self._alarms = codec(IncidentCommand), codec(AlarmCommand)

    async def results(self, realm: Realm, results: Sequence[tuple[Result, bytes, int, Sequence[Header]]]) -> Acked | None:
        """Results of one partition of notifications in their order, each with key, record time and headers of its notification. The place
        of the last page, None without one."""
        incidents: list[Record] = []
        alarms: list[Record] = []
        for result, _, _, headers in results:
            command, page = result.command, result.page
            if command is None:
                continue
            is_alarm = isinstance(command, AlarmCommand)
            value = self._alarms.encode(command) if isinstance(command, AlarmCommand) else self._incidents.encode(command)
            named = _headers("alarm_command" if is_alarm else "incident_command", page, COMMAND_POSITION)
            record = Record(command.case_id.encode(), value, [*named, *_trace(headers)], _time(realm, page.notified_at))
            (alarms if is_alarm else incidents).append(record)
        for topic, made in ((ALARM_COMMANDS, alarms), (INCIDENT_COMMANDS, incidents)):
            if made:
                await self._until_acked(topic.in_realm(realm), made)
        pages = [
            Record(key, self._pages.encode(result.page), [*_headers("page", result.page, 0), *_trace(headers)], _time(realm, time))
            for result, key, time, headers in results
        ]
        return await self._until_acked(PAGES.in_realm(realm), pages)

    async def event(self, event: DutyEvent) -> None:
        cloud = _cloud("duty_event", event.duty_event_id.encode())
        record = Record((event.desk or event.person).encode(), self._events.encode(event), cloud)
        await self._until_acked(DUTY_EVENTS.in_realm(Realm(event.realm)), [record])

    async def _until_acked(self, topic: str, records: list[Record]) -> Acked | None:
        last = None
        while records:
            fates = await self._producer.send(topic, records)
            done = next((index for index, fate in enumerate(fates) if not isinstance(fate, Acked)), len(fates))
            last = next((fate for fate in reversed(fates[:done]) if isinstance(fate, Acked)), last)
            records = records[done:]
            if records:
                log.warning("results wait for Kafka", topic=topic, records=len(records))
                await asyncio.sleep(PAUSE_SECONDS)
        return last


def _headers(name: str, page: Page, position: int) -> list[Header]:
    src = header(page.src_topic, page.src_partition, page.src_offset, position)
    return [src, *_cloud(name, src[1])]


def _cloud(name: str, id_: bytes) -> list[Header]:
    """CloudEvents attributes."""
    kind = f"liandong.{name}".encode()
    return [("ce_id", id_), ("ce_specversion", b"1.0"), ("ce_type", kind), ("ce_source", b"/liandong/notifier")]


def _trace(headers: Sequence[Header]) -> list[Header]:
    return [one for one in headers if one[0] == TRACE][:1]


def _time(realm: Realm, time: int) -> int | None:
    """History keeps its own record times."""
    return time if realm.time_source == "log" else None
