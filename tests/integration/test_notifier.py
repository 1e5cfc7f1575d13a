"""The notifier as a process, on a real broker, with people who have webhooks: killed between message and result, and after the result."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.avro.duty_event.event import DutyEvent
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.page.event import Page
from schemas.codec import codec
from services.adapters.kafka import KafkaProducer
from services.clock import now_ms
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from services.notifier import decide
from services.notifier.line import CARRIED_OUT, WRITTEN
from services.ports import Acked, Record
from services.sink.marks import header, source_of
from streams.domain.core import Source
from tests.fakes import FakeProducer
from tests.helpers import until
from tests.pages import NOTIFICATIONS, notification
from tests.people import people_stage
from tests.webhooks import Receiver, receiver

pytestmark = pytest.mark.broker

PARTITIONS = 4
DESK, EMPTY = "440305-desk", "440303-desk"
CASES = 12
SAMPLE: dict[str, Any] = {
    "users": [{"id": "off-01", "name": "李雷", "org": DESK}, {"id": "off-02", "name": "韩梅梅", "org": EMPTY}],
    "posts": [
        {"id": "one", "user": "off-01", "role": "officer", "division": "440305"},
        {"id": "two", "user": "off-02", "role": "officer", "division": "440303"},
    ],
    "rosters": [
        {"desk": DESK, "layers": [{"name": "全天", "turns": [["off-01"]], "length": "1d", "starts_at": "2026-11-01"}]},
        {"desk": EMPTY, "layers": [{"name": "以后", "turns": [["off-02"]], "length": "1d", "starts_at": "2090-01-01"}]},
    ],
}


class Stage:
    """A broker's topics, people, and what the notifier wrote."""

    def __init__(self, broker: Broker, home: Path, server: Receiver) -> None:
        self.broker, self.home, self.server = broker, home, server
        self.said = 0

    async def prepare(self) -> None:
        await ensure_topics(self.broker.bootstrap, ["live", "sandbox"], PARTITIONS)
        fake = FakeProducer(PARTITIONS)
        people = people_stage(self.home, fake, now_ms)
        SAMPLE["users"][0]["channels"] = [{"kind": "webhook", "address": f"{self.server.url}/duty"}]
        await people.fill(SAMPLE)
        people.vault.close()
        await self.write("people", fake.records("people"))

    async def write(self, topic: str, records: list[Record]) -> None:
        producer = KafkaProducer(self.broker.bootstrap, "test")
        fates = await producer.send(topic, records)
        await producer.close()
        assert all(isinstance(fate, Acked) for fate in fates)

    async def tell(self, first: int, count: int, realm: str = "live", **given: Any) -> None:
        """Notifications of `count` cases, as a lane writes them."""
        records = []
        for number in range(first, first + count):
            asked = notification(number, realm=realm, **given)
            self.said += 1
            marks = [header("incident.commands", 0, self.said, 17)]
            records.append(Record(asked.case_id.encode(), NOTIFICATIONS.encode(asked), marks))
        await self.write("notifications" if realm == "live" else f"{realm}.notifications", records)

    @contextmanager
    def notifier(self, failpoint: str = "") -> Iterator[subprocess.Popen[bytes]]:
        settings = {"LIANDONG_BOOTSTRAP": self.broker.bootstrap, "LIANDONG_REALMS": "live,sandbox", "LIANDONG_PARTITIONS": str(PARTITIONS)}
        environment = os.environ | settings | {"LIANDONG_FAILPOINT": f"notifier={failpoint}" if failpoint else ""}
        command = [sys.executable, "-m", "services.cli", "run", "notifier", "--data-dir", str(self.home)]
        with (self.home / "notifier.log").open("ab") as log:
            child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield child
        finally:
            child.terminate()
            child.wait(30)

    def read(self, topic: str, kind: Any) -> list[tuple[Any, Any]]:
        """Everything in a topic: header `src`, record."""
        return asyncio.run(self._read(topic, kind))

    async def _read(self, topic: str, kind: Any) -> list[tuple[Any, Any]]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            found = []
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [(source_of(record.headers), codec(kind).decode(record.value)) for record in records]
            return found
        finally:
            await consumer.stop()

    def results(self, topic: str = "pages") -> list[Page]:
        """Pages as every reader counts them: by marks."""
        seen: dict[str, tuple[int, int]] = {}
        kept = []
        for source, page in self.read(topic, Page):
            if source[1] > seen.get(source[0], (-1, -1)):
                seen[source[0]] = source[1]
                kept.append(page)
        return kept

    def dies(self, failpoint: str) -> None:
        with self.notifier(failpoint) as child:
            assert until(child.poll, f"killed at {failpoint}", 60) == -9


@pytest.fixture
def stage(own_broker: Broker, tmp_path: Path) -> Iterator[Stage]:
    with receiver() as server:
        home = tmp_path / "home"
        home.mkdir()
        made = Stage(own_broker, home, server)
        asyncio.run(made.prepare())
        yield made


def test_killed_between_message_and_result_each_notification_has_one_result_and_repeats_carry_the_same_key(stage: Stage) -> None:
    asyncio.run(stage.tell(0, CASES, urgency=1))
    stage.dies(f"{CARRIED_OUT}@1")
    assert stage.server.got
    assert stage.results() == [], "messages have gone, no result is written"
    asyncio.run(stage.tell(CASES, 2, target=EMPTY))
    stage.dies(f"{CARRIED_OUT}@3")
    stage.dies(f"{WRITTEN}@2")
    answered = {page.page_id for page in stage.results()}
    assert answered
    before = Counter(stage.server.keys)
    asyncio.run(stage.tell(CASES, 3, realm="sandbox", urgency=1))
    with stage.notifier():
        until(lambda: len(stage.results()) == CASES + 2, "a result for each", 60)
        until(lambda: len(stage.results("sandbox.pages")) == 3, "sandbox too", 60)
        with stage.notifier() as second:
            until(lambda: b"another notifier process works" in (stage.home / "notifier.log").read_bytes(), "the second one waits", 60)
            assert second.poll() is None
    results = stage.results()
    assert len({page.page_id for page in results}) == len({page.notification_id for page in results}) == CASES + 2
    keys = Counter(stage.server.keys)
    assert set(keys) == {f"{page.page_id}/off-01" for page in results if page.target == DESK}
    assert max(keys.values()) > 1, "a repeat after a kill carries the key of the first"
    assert all(keys[f"{page}/off-01"] == before[f"{page}/off-01"] for page in answered), "what has a result is not told again"
    assert {page.status for page in results if page.target == DESK} == {"sent"}
    assert {(page.status, page.reason) for page in results if page.target == EMPTY} == {("no_one_notified", "nobody_on_duty")}
    assert {page.status for page in stage.results("sandbox.pages")} == {"suppressed"}
    told = stage.read("incident.commands", IncidentCommand)
    assert {(one.name, one.reason) for _, one in told} == {("nobody_notified", "nobody_on_duty")}
    assert len({one.command_id for _, one in told}) == len({one.case_id for _, one in told}) == 2
    duty = Counter((event.type, event.desk) for event in {e.duty_event_id: e for _, e in stage.read("duty.events", DutyEvent)}.values())
    assert duty == {("gap_found", EMPTY): 1, ("nobody_on_duty", EMPTY): 1}, "after four starts"


def test_after_a_restart_windows_go_on_and_what_waited_is_told_in_one_bundle(stage: Stage) -> None:
    sent = decide.page_of(
        notification(99), "p-99", Source("an.older.log", 0, 0), 0,
        decide.Plan(now_ms() - 25_000), [decide.Tried("off-01", "webhook", "sent")],
    )  # fmt: skip
    asyncio.run(stage.write("pages", [Record(b"c-99", codec(Page).encode(sent))]))
    asyncio.run(stage.tell(0, 5))
    with stage.notifier():
        until(lambda: len(stage.read("pages", Page)) == 6, "results", 60)
    with stage.notifier():
        asyncio.run(stage.tell(5, 2))
        until(lambda: len(stage.read("pages", Page)) == 8, "results after the restart", 60)
        early = len(stage.server.got)
        until(lambda: stage.server.got, "the bundle, a minute after the message of an earlier life", 90)
        until(lambda: "bundle_sent" in {event.type for _, event in stage.read("duty.events", DutyEvent)}, "it is on record", 30)
    assert early == 0, "nobody has a fresh window"
    assert Counter(page.status for _, page in stage.read("pages", Page)) == {"sent": 1, "throttled": 7}
    assert [body["count"] for body in stage.server.bodies()] == [7]
    assert stage.server.bodies()[0]["text"].startswith("【联动】7 件待处理，首件 C-")
