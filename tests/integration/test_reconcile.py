"""Reconciliation sees every row that is missing, doubled or out of place, and calls exact what is exact."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from schemas.headers import WAKE
from schemas.realms import Realm
from schemas.topics import (
    ALARM,
    ALARM_COMMANDS,
    ALARM_EVENTS,
    INCIDENT_COMMANDS,
    INCIDENT_EVENTS,
    INTAKE,
    LIVE_DELTAS,
    NOTIFICATIONS,
    OUTCOMES,
    Topic,
)
from services.acks import AckReader, AckWriter
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from services.reconcile import Reconciliation
from services.sink import marks
from streams.domain.incident.settling import wake_up
from tests import numbered
from tests.conftest import TEST_PARTITIONS
from tests.helpers import until
from tests.warehouse_process import WarehouseProcess, Writer

pytestmark = pytest.mark.broker
EACH = 40
PRESSES = 5
LATE_PAGES = 2  # of the case that runs late in each partition
GATEWAY = 30  # of each partition came through the gateway and was answered; the rest came by Kafka
UNANSWERED = 2  # of the gateway's: written, then the gateway died before its answer
ENDS = {7: "refused", 8: "repeated", 9: "dead"}  # by number; all others are applied
PACE_SECONDS = 0.01  # far below the time for which the sink gathers a block: there is always something that is not stored yet
APPLIED = EACH - len(ENDS)
REFERENCE = {"missing": 0, "duplicated": 0, "unexplained": 0, "rollup_mismatches": 0}


def _fill(writer: Writer, acks: AckWriter) -> None:
    department = (INTAKE.in_realm("live", "demo"), 10)
    for partition in range(TEST_PARTITIONS):
        for number in range(EACH):
            record = numbered.command(number, partition)
            relayed = [marks.header(department[0], partition, number - GATEWAY, 0)] if number >= GATEWAY else []
            writer.put(INCIDENT_COMMANDS, "live", partition, [(b"k", numbered.encode(record), relayed)])
            outcome = numbered.outcome(number, partition, outcome=ENDS.get(number, "applied"))
            writer.put(OUTCOMES, "live", partition, [(b"k", numbered.encode(outcome), [numbered.header(outcome)])])
            if number not in ENDS:
                for topic, make in ((INCIDENT_EVENTS, numbered.event), (LIVE_DELTAS, numbered.delta)):
                    writer.put(topic, "live", partition, numbered.stream(make, range(number, number + 1), partition))
        acks.append(Realm.LIVE, [(partition, n, numbered.command_id("live", partition, n)) for n in range(GATEWAY - UNANSWERED)])
        _fill_alarms(writer, acks, partition)
        writer.put_raw(department[0], partition, [b"report"] * (EACH - GATEWAY))
        # the relay was killed after its last record and wrote it once more: no command, no outcome
        again = [marks.header(department[0], partition, EACH - GATEWAY - 1, 0)]
        writer.put(INCIDENT_COMMANDS, "live", partition, [(b"k", numbered.encode(numbered.command(EACH - 1, partition)), again)])
        _wake(writer, partition)
    writer.flush()


def _wake(writer: Writer, partition: int) -> None:
    """The lane woke a case, which ran late and told two: nobody asked, so there are an event and their pages, and no answer."""
    due = numbered.START_MS
    writer.put(
        INCIDENT_COMMANDS, "live", partition, [(b"k", codec(IncidentCommand).encode(wake_up("k", due, "live")), [(WAKE, b"%d" % due)])]
    )
    told = msgspec.structs.replace(numbered.event(EACH + 1, partition), type="incident.ran_late", command_id="", cause="timer")
    told = msgspec.structs.replace(told, tell="desk+head", ack_by=due)
    writer.put(INCIDENT_EVENTS, "live", partition, [(b"k", numbered.encode(told), [numbered.header(told)])])
    for position in range(16, 16 + LATE_PAGES):
        place: dict[str, Any] = {"src_topic": "incident.commands", "src_offset": told.src_offset, "src_position": position}
        page = numbered.page(EACH + 1, partition, kind="incident", notification_id=f"late-{partition}-{position}", **place)
        writer.put(NOTIFICATIONS, "live", partition, [(b"k", numbered.encode(page), [numbered.header(page)])])


def _fill_alarms(writer: Writer, acks: AckWriter, partition: int) -> None:
    """Presses stand at the same offsets as incidents' commands do: only their topic tells them apart. The last one is dead, and paged."""
    for number in range(PRESSES):
        made, dead = numbered.press(number, partition), number == PRESSES - 1
        writer.put(ALARM_COMMANDS, "live", partition, [(b"k", numbered.encode(made), [])])
        said = numbered.answer_of_press(number, partition, outcome="dead" if dead else "applied", src_position=3 if dead else 1)
        records = [(OUTCOMES, said), (NOTIFICATIONS, numbered.page(number, partition))]
        records += [] if dead else [(ALARM_EVENTS, numbered.alarm_event(number, partition))]
        for topic, record in records:
            writer.put(topic, "live", partition, [(b"k", numbered.encode(record), [numbered.header(record)])])
    acks.append(Realm.LIVE, [(partition, n, numbered.press(n, partition).command_id) for n in range(PRESSES)], ALARM)


def of(account: dict[str, Any], topic: Topic) -> list[dict[str, Any]]:
    """The lines of one topic of commands."""
    return [line for line in account["by_partition"] if line["topic"].endswith(topic.name)]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarehouseProcess]:
    broker = Broker(tmp_path_factory.mktemp("broker"), heap_mb=256).start()
    asyncio.run(ensure_topics(broker.bootstrap, ["live", "sandbox"], TEST_PARTITIONS))
    made = WarehouseProcess.new(tmp_path_factory.mktemp("platform"), broker.bootstrap, realms="live,sandbox")
    acks = AckWriter(made.settings.acks_dir, 1)
    _fill(Writer(broker.bootstrap), acks)
    acks.close()
    made.start()
    yield made
    made.close()
    broker.stop()


def account(warehouse: WarehouseProcess, wait: float = 30.0, realm: Realm = Realm.LIVE) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {warehouse.keys['admin']}"}
        async with httpx.AsyncClient(base_url=warehouse.url, headers=headers, timeout=30) as read:
            reconciliation = Reconciliation(realm, warehouse.settings.bootstrap, read, lambda _: None)
            return await reconciliation.run(AckReader(warehouse.settings.acks_dir), wait)

    return asyncio.run(ask())


def test_an_exact_realm_is_called_exact_with_every_figure(warehouse: WarehouseProcess) -> None:
    found = account(warehouse)
    assert found["exact"], found
    n = TEST_PARTITIONS
    assert {name: found[name] for name in ("acknowledged", "unacknowledged", "applied", "repeated", "refused", "dead", "facts")} == {
        "acknowledged": (EACH - UNANSWERED + PRESSES) * n, "unacknowledged": UNANSWERED * n, "applied": (APPLIED + PRESSES - 1) * n,
        "repeated": n, "refused": n, "dead": 2 * n, "facts": (APPLIED + PRESSES - 1) * n,
    }  # fmt: skip
    assert found["pages_due"] == found["pages"] == (PRESSES + LATE_PAGES) * n
    assert {name: found[name] for name in REFERENCE} == REFERENCE
    for topic in (INCIDENT_COMMANDS, ALARM_COMMANDS):
        assert [line["partition"] for line in of(found, topic)] == list(range(n))
    for line in of(found, ALARM_COMMANDS):
        assert (line["exact"], line["commands"], line["dead"], line["pages"], line["pages_due"]) == (True, PRESSES, 1, PRESSES, PRESSES)
    for line in of(found, INCIDENT_COMMANDS):
        assert line["exact"]
        assert (line["commands"], line["distinct"], line["relayed"]) == (EACH, EACH, EACH - GATEWAY)
        assert line["hash_kafka"] == line["hash_outcomes"] != "0"


class Department(threading.Thread):
    """Sends again and again, and its lane decides at once, till `enough` is set."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__()
        self.enough = threading.Event()
        self.forgets: list[int] = []  # partitions in which the lane passes over one command
        self._writer = Writer(bootstrap)

    def run(self) -> None:
        for number in itertools.count():
            if self.enough.wait(PACE_SECONDS):
                return
            for partition in range(TEST_PARTITIONS):
                self._put(INCIDENT_COMMANDS, partition, numbered.command(number, partition, "sandbox"))
            self._writer.flush()
            forgotten, source = self.forgets[:], INCIDENT_COMMANDS.in_realm(Realm.SANDBOX)
            for partition in set(range(TEST_PARTITIONS)).difference(forgotten):
                self._put(INCIDENT_EVENTS, partition, numbered.event(number, partition, "sandbox", src_topic=source))
                self._put(OUTCOMES, partition, numbered.outcome(number, partition, "sandbox", src_topic=source))
            del self.forgets[: len(forgotten)]

    def _put(self, topic: Topic, partition: int, record: Any) -> None:
        self._writer.put(
            topic, "sandbox", partition, [(b"k", numbered.encode(record), [numbered.header(record)] if record.src_topic else [])]
        )


@pytest.fixture
def department(warehouse: WarehouseProcess) -> Iterator[Department]:
    made = Department(warehouse.settings.bootstrap)
    limit = threading.Timer(120, made.enough.set)  # an account that waits for a pause gets one, and the test sees it
    limit.start()
    made.start()
    yield made
    limit.cancel()
    made.enough.set()
    made.join()


def test_while_a_department_never_stops_a_realm_is_accounted_for_as_it_stood(warehouse: WarehouseProcess, department: Department) -> None:
    first = until(lambda: (found := account(warehouse, realm=Realm.SANDBOX))["applied"] and found, "commands are decided")
    second = account(warehouse, realm=Realm.SANDBOX)
    for found in (first, second):
        assert found["exact"], found
        assert found["applied"] == found["facts"] == found["unacknowledged"]
    assert second["applied"] > first["applied"]
    department.forgets.append(1)
    until(lambda: not department.forgets, "a command was passed over")
    third = account(warehouse, wait=2.0, realm=Realm.SANDBOX)
    assert department.is_alive(), "no account waited for a pause"
    assert (third["exact"], third["missing"]) == (False, 1)
    (line,) = [line for line in of(third, INCIDENT_COMMANDS) if not line["exact"]]
    assert line["partition"] == 1
    assert line["examples"][0].startswith("no outcome for command")


TAMPERINGS = {
    0: ("INSERT INTO incident_events SELECT * FROM incident_events WHERE src_partition = 0 AND src_offset IN (1, 2)", "duplicated", 2),
    1: ("ALTER TABLE incident_events DELETE WHERE src_partition = 1 AND src_offset IN (1, 2, 3) SETTINGS mutations_sync = 2", "missing", 3),
    2: ("ALTER TABLE outcomes DELETE WHERE src_partition = 2 AND src_offset = 7 SETTINGS mutations_sync = 2", "missing", 1),
    3: ("INSERT INTO outcomes SELECT * FROM outcomes WHERE src_partition = 3 AND src_offset = 8", "duplicated", 1),
}


def test_deleted_and_doubled_rows_and_a_changed_rollup_are_each_seen(warehouse: WarehouseProcess, tmp_path: Path) -> None:
    warehouse.drained()
    assert warehouse.stop() == 0
    tables = warehouse.tables()
    with tables.reader() as handle:
        for statement, _, _ in TAMPERINGS.values():
            handle.run(statement)
        handle.run("ALTER TABLE notifications DELETE WHERE src_partition = 2 AND src_offset = 3 SETTINGS mutations_sync = 2")
        handle.run("ALTER TABLE notifications DELETE WHERE notification_id = 'late-1-16' SETTINGS mutations_sync = 2")
        handle.run("ALTER TABLE flow_by_hour DELETE WHERE county = '440305' SETTINGS mutations_sync = 2")
    tables.close()
    warehouse.start()
    found = account(warehouse, wait=2.0)
    assert not found["exact"]
    for partition, (_, figure, count) in TAMPERINGS.items():
        line = of(found, INCIDENT_COMMANDS)[partition]
        assert (partition, line["exact"], line[figure], bool(line["examples"])) == (partition, False, count, True)
    assert (found["missing"], found["duplicated"]) == (4, 3)
    assert [line["exact"] for line in of(found, ALARM_COMMANDS)] == [True, True, False, True], "a page is missing"
    assert of(found, INCIDENT_COMMANDS)[1]["pages"] == LATE_PAGES - 1
    assert found["pages"] == found["pages_due"] - 2
    assert "flow_by_hour" in found["rollups"]
    assert found["rollup_mismatches"] > 0


def test_a_promise_that_kafka_does_not_hold_is_missing(warehouse: WarehouseProcess) -> None:
    before = account(warehouse, wait=1.0)["by_partition"][0]["missing"]
    acks = AckWriter(warehouse.settings.acks_dir, 2)
    acks.append(Realm.LIVE, [(0, GATEWAY - 1, numbered.command_id("live", 3, 999))])
    acks.close()
    line = account(warehouse, wait=1.0)["by_partition"][0]
    assert line["missing"] == before + 1
    assert any("promised" in example for example in line["examples"])


def test_a_promise_behind_the_end_of_the_log_is_missing(warehouse: WarehouseProcess) -> None:
    before = of(account(warehouse, wait=1.0), INCIDENT_COMMANDS)[2]["missing"]
    acks = AckWriter(warehouse.settings.acks_dir, 3)
    acks.append(Realm.LIVE, [(2, 100_000, numbered.command_id("live", 2, 100_000))])
    acks.close()
    line = of(account(warehouse, wait=1.0), INCIDENT_COMMANDS)[2]
    assert line["missing"] == before + 1
    assert any("the log ends at" in example for example in line["examples"])


def test_an_intake_record_that_was_never_relayed_is_missing(warehouse: WarehouseProcess) -> None:
    writer = Writer(warehouse.settings.bootstrap)
    writer.put_raw(INTAKE.in_realm("live", "demo"), 1, [b"one more"])
    writer.flush()
    found = account(warehouse, wait=1.0)
    assert [line["missing"] for line in found["intake"]] == [0, 1, 0, 0]
    assert found["missing"] == sum(line["missing"] for line in found["by_partition"]) + 1
