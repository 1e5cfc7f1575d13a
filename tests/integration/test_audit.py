"""The auditor finds each fault by its own name and nothing else, calls exact what is exact, and tells "differs" from "could not look"."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from schemas.realms import Realm
from schemas.topics import INCIDENT_EVENTS
from services.audit import audit_states
from services.commands import audit
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from tests import numbered
from tests.audits import audited, put_all, put_delta, put_state, state_of
from tests.conftest import TEST_PARTITIONS
from tests.warehouse_process import WarehouseProcess, Writer

pytestmark = pytest.mark.broker
REALMS = ("live", "drill", "sandbox", "replay")
EACH = 100
STEPS = len(numbered.STATES)
VICTIM = 7  # an event in the middle of the second case of its partition
LAST = STEPS * 2 - 1  # the last event of that case


def _fill(writer: Writer) -> None:
    for partition in range(TEST_PARTITIONS):
        put_all(writer, "live", partition, range(EACH))
        writer.put(INCIDENT_EVENTS, "live", partition, numbered.stream(numbered.event, range(EACH - 10, EACH), partition))  # sent again
        numbers = [number for number in range(EACH) if (number, partition) != (VICTIM, 1)]
        put_all(writer, "drill", partition, numbers)  # the event is gone from the log, its delta had been made
        put_all(writer, "sandbox", partition, range(EACH))
        put_all(writer, "replay", partition, range(EACH))
    put_delta(writer, "drill", 1, VICTIM, EACH - 2, 1)
    changed = state_of(numbered.event(LAST, 1, "sandbox"), holder="somebody else")
    put_state(writer, "sandbox", 1, LAST, changed)
    # the last value of one case with a version below that of the one before it: a restore takes the older state
    for number in range(EACH, EACH + STEPS):
        event = numbered.event(number, 1, "replay")
        put_state(writer, "replay", 1, number if number < EACH + STEPS - 1 else 1, state_of(event))
        writer.put(INCIDENT_EVENTS, "replay", 1, numbered.stream(numbered.event, range(number, number + 1), 1, "replay"))
        put_delta(writer, "replay", 1, number, number)
    writer.flush()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarehouseProcess]:
    """Stopped, with everything stored; tests take copies."""
    broker = Broker(tmp_path_factory.mktemp("broker"), heap_mb=256).start()
    asyncio.run(ensure_topics(broker.bootstrap, REALMS, TEST_PARTITIONS))
    made = WarehouseProcess.new(tmp_path_factory.mktemp("platform"), broker.bootstrap, realms=",".join(REALMS))
    _fill(Writer(broker.bootstrap))
    made.start()
    for realm in REALMS:
        made.drained(realm)
    assert made.stop() == 0
    yield made
    broker.stop()


@pytest.fixture
def copy(filled: WarehouseProcess, tmp_path: Path) -> Iterator[Callable[..., WarehouseProcess]]:
    """`copy(*statements)`: the tables as they were filled, tampered with, and running. They are put back afterwards."""
    kept = tmp_path / "kept"
    shutil.copytree(filled.settings.data_dir, kept, symlinks=True)

    def take(*statements: str) -> WarehouseProcess:
        tables = filled.tables()
        with tables.reader() as handle:
            for statement in statements:
                handle.run(statement)
        tables.close()
        return filled.start()

    yield take
    filled.close()
    shutil.rmtree(filled.settings.data_dir)
    shutil.copytree(kept, filled.settings.data_dir, symlinks=True)


def test_what_agrees_is_called_so_with_its_figures(copy: Callable[..., WarehouseProcess]) -> None:
    report = audited(copy())
    assert report.agrees, report.document()
    events = EACH * TEST_PARTITIONS
    assert report.figures["incident"] == {
        "records": events + 10 * TEST_PARTITIONS, "repeats": 10 * TEST_PARTITIONS, "events": events, "cases": events // STEPS,
        "states": events // STEPS, "quarantined": 0, "with_outbox": 0, "lower_versions": 0,
    }  # fmt: skip


ONE = "realm = 'live' AND src_partition = 1 AND src_offset = 7"
CASE = f"realm = 'live' AND case_id = 'case-live-1-{VICTIM // STEPS}'"
NOW = "SETTINGS mutations_sync = 2"
TAMPERINGS = {
    "facts.missing": f"ALTER TABLE incident_events DELETE WHERE {ONE} {NOW}",
    "facts.doubled": f"INSERT INTO incident_events SELECT * FROM incident_events WHERE {ONE}",
    "facts.differs": f"ALTER TABLE incident_events UPDATE holder = 'x' WHERE {ONE} {NOW}",
    "facts.unexplained": f"INSERT INTO incident_events SELECT * REPLACE ('x' AS case_id) FROM incident_events WHERE {ONE}",
    "case_now.missing": f"ALTER TABLE case_now DELETE WHERE {CASE} {NOW}",
    "case_now.differs": f"ALTER TABLE case_now UPDATE state = 'accepted' WHERE {CASE} {NOW}",
    "state_totals.differs": "INSERT INTO state_totals VALUES ('live', '440305', 'A20600', 'closed', 1, 1)",
    "openings.doubled": f"INSERT INTO openings SELECT * FROM openings WHERE {CASE}",
    "openings.missing": f"ALTER TABLE openings DELETE WHERE {CASE} {NOW}",
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_each_fault_of_the_tables_is_found_once_by_its_name(name: str, copy: Callable[..., WarehouseProcess]) -> None:
    report = audited(copy(TAMPERINGS[name]))
    assert (report.counts, report.blocked, report.exit_code) == ({name: 1}, [], 1), report.document()
    assert report.document()["differences"][0]["examples"]


@pytest.mark.parametrize(("realm", "name"), [("drill", "log.gap"), ("sandbox", "table.differs"), ("replay", "table.behind")])
def test_each_fault_of_log_and_table_is_found_once_by_its_name(realm: str, name: str, copy: Callable[..., WarehouseProcess]) -> None:
    """An event gone from the middle; a changed value in the table; a version lowered in its changelog."""
    report = audited(copy(), realm)
    assert (report.counts, report.blocked) == ({name: 1}, []), report.document()


def test_the_command_says_what_differs_and_its_exit_code(copy: Callable[..., WarehouseProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = copy()
    state = {"read": warehouse.url, "bootstrap": warehouse.settings.bootstrap, "keys": warehouse.keys}
    monkeypatch.setattr(audit, "running", lambda _: (warehouse.settings, state))
    fine = CliRunner().invoke(audit.app, ["states", "--realm", "live", "--json"])
    assert (fine.exit_code, json.loads(fine.stdout)["agrees"]) == (0, True)
    words = CliRunner().invoke(audit.app, ["states"])
    assert words.exit_code == 1
    assert "drill incident log.gap: 1" in words.stdout
    every = CliRunner().invoke(audit.app, ["states", "--json"])
    found = {document["realm"]: document["differences"] for document in json.loads(every.stdout)["realms"]}
    assert [one["difference"] for one in found["sandbox"]] == ["table.differs"]


def test_what_cannot_be_looked_at_is_no_mismatch(filled: WarehouseProcess) -> None:
    async def ask(bootstrap: str) -> tuple[int, dict[str, int], list[str]]:
        async with httpx.AsyncClient(base_url="http://127.0.0.1:9") as nobody:
            report = await audit_states(Realm.LIVE, bootstrap, nobody)
        return report.exit_code, report.counts, report.blocked

    code, counts, why = asyncio.run(ask(filled.settings.bootstrap))
    assert (code, counts) == (2, {})
    assert "read port" in why[0]
    code, counts, why = asyncio.run(ask("127.0.0.1:9"))
    assert (code, counts) == (2, {})
    assert "Kafka" in why[0]


def test_audits_under_load_find_no_difference_where_there_is_none(own_broker: Broker, tmp_path: Path) -> None:
    asyncio.run(ensure_topics(own_broker.bootstrap, ["live"], TEST_PARTITIONS))
    warehouse = WarehouseProcess.new(tmp_path / "platform", own_broker.bootstrap, realms="live").start()
    ended = threading.Event()
    written = 0

    def load() -> None:
        nonlocal written
        writer = Writer(own_broker.bootstrap)
        while not ended.is_set():
            for partition in range(TEST_PARTITIONS):
                put_all(writer, "live", partition, range(written, written + 3), written)
            written += 3

    writing = threading.Thread(target=load)
    writing.start()
    try:
        reports = [audited(warehouse) for _ in range(4)]
    finally:
        ended.set()
        writing.join()
        warehouse.close()
    assert [report.document() for report in reports if not report.agrees] == []
    seen = [report.figures["incident"]["events"] for report in reports]
    assert seen[0] < seen[-1] <= written * TEST_PARTITIONS
