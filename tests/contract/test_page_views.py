"""Pages in ClickHouse: views for people, against figures counted by hand."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest

from services.warehouse.backend import Warehouse, open_warehouse
from services.warehouse.migrate import migrate
from services.warehouse.read_port.ask import sql

CHINA = datetime.timezone(datetime.timedelta(hours=8))


def at(text: str) -> int:
    """`22 19:59` of November 2026 in China, UTC milliseconds."""
    day, clock = text.split()
    return int(datetime.datetime.fromisoformat(f"2026-11-{day}T{clock}:00").replace(tzinfo=CHINA).timestamp() * 1000)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    warehouse = open_warehouse(tmp_path_factory.mktemp("pages"))
    migrate(warehouse)
    pages = [  # page, case, when, status, results
        ("p1", "c1", "22 19:59", "sent", ["sent"]),
        ("p2", "c1", "22 20:00", "sent", ["sent", "sent", "failed"]),
        ("p3", "c2", "23 02:30", "throttled", ["waiting"]),
        ("p4", "c2", "23 07:59", "no_one_notified", []),
        ("p5", "c3", "23 08:00", "bundled", ["bundled"]),
    ]
    with warehouse.reader() as handle:
        for page, case, when, status, results in pages:
            put(handle, "pages", page_id=page, case_id=case, at=at(when), status=status, results=results, realm="live", target="d", round=1)
        put(handle, "pages", page_id="p6", case_id="c1", at=at("22 21:00"), status="suppressed", realm="drill", target="d", round=1)
        put(handle, "incident_events", case_id="c1", type="incident.acknowledged", received_at=at("22 20:05"), realm="live", round=1)
        put(handle, "incident_events", case_id="c1", type="incident.acknowledged", received_at=at("22 20:07"), realm="live", round=1)
        put(handle, "alarm_events", case_id="c3", type="alarm.acknowledged", received_at=at("23 07:00"), realm="live", round=1)
        put(handle, "alarm_events", case_id="c3", type="alarm.acknowledged", received_at=at("23 09:00"), realm="live", round=2)
        for kind in ("gap_found", "gap_found", "nobody_on_duty"):
            put(handle, "duty_events", type=kind, realm="live", desk="d", starts_at=at("22 20:00"), ends_at=at("23 08:00"))
        put(handle, "duty_events", type="gap_filled", realm="live", desk="e", starts_at=at("22 20:00"), ends_at=at("23 08:00"))
        put(handle, "duty_events", type="bundle_sent", realm="live", person="p", starts_at=at("22 20:00"), ends_at=at("23 08:00"))
    yield warehouse
    warehouse.close()


def put(handle: Any, table: str, **values: Any) -> None:
    times = {"at", "received_at", "starts_at", "ends_at"}
    shown = [f"fromUnixTimestamp64Milli({value})" if name in times else repr(value) for name, value in values.items()]
    handle.run(f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(shown)}")


def rows(warehouse: Warehouse, query: str, **parameters: Any) -> list[dict[str, Any]]:
    with warehouse.reader() as handle:
        return list(handle.rows(query, parameters))


def test_pages_are_counted_by_desk_and_night_of_the_day_on_which_the_night_began(filled: Warehouse) -> None:
    found = rows(filled, "SELECT * FROM bi_pages_by_desk WHERE realm = 'live' ORDER BY duty_day, night")
    counts = ("notifications", "throttled", "no_one_notified", "messages")
    counted = [(str(row["duty_day"]), bool(row["night"]), *(row[name] for name in counts)) for row in found]
    assert counted == [
        ("2026-11-22", False, 1, 0, 0, 1),
        ("2026-11-22", True, 3, 1, 1, 2),
        ("2026-11-23", False, 1, 0, 0, 1),
    ]


def test_the_time_to_acknowledge_runs_from_each_page_to_the_next_answer_of_its_round(filled: Warehouse) -> None:
    found = rows(filled, "SELECT page_id, acknowledged_at, seconds FROM bi_page_acknowledgements ORDER BY page_id")
    assert [(row["page_id"], row["seconds"]) for row in found] == [("p1", 360), ("p2", 300), ("p5", None)]
    assert found[2]["acknowledged_at"] is None


def test_a_gap_is_one_row_however_often_it_was_told(filled: Warehouse) -> None:
    found = rows(filled, "SELECT desk, filled, came_true FROM bi_roster_gaps ORDER BY desk")
    assert [(row["desk"], bool(row["filled"]), bool(row["came_true"])) for row in found] == [("d", False, True), ("e", True, False)]


@pytest.mark.parametrize(("page", "acknowledged"), [("p2", at("22 20:05")), ("p5", 0), ("p3", 0)])
def test_a_page_is_read_with_its_answer(filled: Warehouse, page: str, acknowledged: int) -> None:
    (found,) = rows(filled, sql("page_by_id"), realm="live", page=page)
    assert (found["page_id"], found["acknowledged_at"]) == (page, acknowledged)
    assert rows(filled, sql("page_by_id"), realm="sandbox", page=page) == []


def test_deadlines_that_nobody_settled_are_found(filled: Warehouse) -> None:
    with filled.reader() as handle:
        for case, wakes in (("a", "now64(3) - 400"), ("b", "now64(3) - 200"), ("c", "now64(3) + 9"), ("d", "toDateTime64(0, 3)")):
            handle.run(f"INSERT INTO case_now (realm, case_id, wakes_at) SELECT 'live', '{case}', {wakes}")
    (found,) = rows(filled, sql("late_timers"), realm="live", grace=300_000)
    assert found["late"] == 1
    (none,) = rows(filled, sql("late_timers"), realm="sandbox", grace=300_000)
    assert none == {"late": 0, "since": 0}
