"""The warehouse process, whole: records in Kafka become answers of the read port."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from schemas.topics import INCIDENT_EVENTS, LIVE_DELTAS, OUTCOMES
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from tests import numbered
from tests.conftest import TEST_PARTITIONS
from tests.helpers import until
from tests.warehouse_process import WarehouseProcess, Writer, write

pytestmark = pytest.mark.broker
CASES = 40
EACH = CASES * len(numbered.STATES)


@pytest.fixture(scope="module")
def filled(own_module_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarehouseProcess]:
    """A warehouse with 160 cases in realm live, five events each, the last of them closing."""
    bootstrap = own_module_broker.bootstrap
    for topic, make in ((INCIDENT_EVENTS, numbered.event), (LIVE_DELTAS, numbered.delta), (OUTCOMES, numbered.outcome)):
        for partition in range(TEST_PARTITIONS):
            write(bootstrap, topic, "live", partition, numbered.stream(make, range(EACH - 1), partition))  # the last case stays open
    warehouse = WarehouseProcess.new(tmp_path_factory.mktemp("platform"), bootstrap).start()
    warehouse.drained()
    yield warehouse
    assert warehouse.stop() == 0


@pytest.fixture(scope="module")
def own_module_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of this module's own: its snapshots count everything there is."""
    started = Broker(tmp_path_factory.mktemp("broker"), heap_mb=256).start()
    asyncio.run(ensure_topics(started.bootstrap, ("live", "sandbox"), TEST_PARTITIONS))
    yield started
    started.stop()


def test_a_snapshot_counts_every_case_once_and_says_where_it_stands(filled: WarehouseProcess) -> None:
    found = filled.get("/v1/snapshot", "screen", division="440000").json()
    assert found["totals"]["total"] == CASES * TEST_PARTITIONS
    assert found["totals"]["open"] == TEST_PARTITIONS
    assert found["offsets"] == {str(partition): EACH - 1 for partition in range(TEST_PARTITIONS)}
    assert len(found["children"]) == 21
    assert sum(child["total"] for child in found["children"]) == CASES * TEST_PARTITIONS
    assert sum(row["total"] for row in found["types"]) == CASES * TEST_PARTITIONS
    assert found["completeness"]["applied"] == found["completeness"]["facts"] == (EACH - 1) * TEST_PARTITIONS
    assert len(found["newest"]) == 30
    assert len(found["trend"]) == 25
    assert found["freshness"]["lag_records"] == 0


def test_a_city_shows_its_counties_and_a_county_nothing_below(filled: WarehouseProcess) -> None:
    city = filled.get("/v1/snapshot", "screen", division="440300").json()
    assert {child["code"] for child in city["children"]} >= {"440305", "440303"}
    assert city["totals"]["total"] == sum(child["total"] for child in city["children"]) > 0
    assert filled.get("/v1/snapshot", "screen", division="440305").json()["children"] == []


def test_an_unchanged_snapshot_is_not_sent_again(filled: WarehouseProcess) -> None:
    first = filled.get("/v1/snapshot", "screen", division="440000")
    headers = {"Authorization": f"Bearer {filled.keys['screen']}", "If-None-Match": first.headers["etag"]}
    assert httpx.get(filled.url + "/v1/snapshot", params={"division": "440000"}, headers=headers).status_code == 304


def test_a_case_its_timeline_and_its_command_are_read(filled: WarehouseProcess) -> None:
    case = filled.get("/v1/cases/case-live-0-0", "admin").json()
    assert (case["state"], case["seq"], case["type_name"]) == ("closed", 5, "火灾事故")
    timeline = filled.get("/v1/cases/case-live-0-0/timeline", "admin", limit=3).json()
    assert [event["seq"] for event in timeline["events"]] == [1, 2, 3]
    rest = filled.get("/v1/cases/case-live-0-0/timeline", "admin", after=timeline["next"]).json()
    assert [event["seq"] for event in rest["events"]] == [4, 5]
    command = filled.get(f"/v1/commands/{numbered.command_id('live', 0, 3)}", "producer").json()
    assert (command["status"], command["case_seq"]) == ("applied", 4)


def test_what_is_out_of_scope_answers_as_what_does_not_exist(filled: WarehouseProcess) -> None:
    paths = (
        "/v1/cases/case-live-0-1", "/v1/cases/case-live-0-1/timeline", "/internal/cases/case-live-0-1/sealed",
        "/v1/snapshot?division=440100", "/v1/desks/440106/county/work", f"/v1/commands/{numbered.command_id('live', 0, 5)}",
        "/internal/dead-letters", "/internal/reconcile", "/internal/waiting",
    )  # fmt: skip
    unknown = filled.get("/v1/cases/no-such-case", "desk")
    assert unknown.status_code == 404
    for path in paths:  # the desk of 440305; the case lies in 440106
        answer = filled.get(path, "desk")
        assert (path, answer.status_code, answer.json()) == (path, 404, unknown.json())
    assert filled.get("/v1/cases/case-live-0-0", "desk").status_code == 200
    assert filled.get("/v1/cases/case-live-0-0", "no-key").status_code == 401


def test_a_work_list_pages_through_every_open_case_once(filled: WarehouseProcess) -> None:
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = filled.get("/v1/desks/440000/county/work", "admin", limit=1, after=after).json()
        seen += [item["case_id"] for item in page["items"]]
        after = page["next"]
    assert sorted(seen) == [f"case-live-{partition}-{CASES - 1}" for partition in range(TEST_PARTITIONS)]


def test_a_reader_of_its_own_write_waits_for_it(filled: WarehouseProcess) -> None:
    case = f"/v1/cases/case-live-0-{CASES - 1}"
    began = time.monotonic()
    assert filled.get(case, "admin", min_seq=5).json() == {"status": "pending", "seq": 4}
    assert 1.5 < time.monotonic() - began < 4
    bootstrap = filled.settings.bootstrap
    write(bootstrap, INCIDENT_EVENTS, "sandbox", 0, numbered.stream(numbered.event, range(5), 0, "sandbox"))
    found = until(lambda: filled.get("/v1/cases/case-sandbox-0-0", "admin", realm="sandbox", min_seq=5), "the case is there")
    assert found.json()["state"] == "closed"
    assert filled.get("/v1/cases/case-sandbox-0-0", "admin").status_code == 404, "realms share nothing"


def test_every_snapshot_is_exactly_the_deltas_its_vector_names(filled: WarehouseProcess) -> None:
    """While deltas pour in: totals computed from the vector alone are the totals shown, so stream and snapshot join without a gap."""
    writer = Writer(filled.settings.bootstrap)
    vectors = set()
    for start in range(0, 400, 10):
        for partition in range(TEST_PARTITIONS):
            writer.put(LIVE_DELTAS, "sandbox", partition, numbered.stream(numbered.delta, range(start, start + 10), partition, "sandbox"))
        writer.flush()
        found = filled.get("/v1/snapshot", "screen", realm="sandbox", division="440000").json()
        sums = [_expected(offset) for offset in found["offsets"].values()]
        assert (found["totals"]["total"], found["totals"]["open"]) == (sum(t for t, _ in sums), sum(o for _, o in sums)), found["offsets"]
        vectors.add(tuple(found["offsets"].items()))
    assert len(vectors) > 3, "the sink went on between the snapshots"


def _expected(offset: int) -> tuple[int, int]:
    """Cases and open cases after the first `offset` deltas of a partition: five deltas a case, the fifth closes it."""
    whole, begun = divmod(offset, len(numbered.STATES))
    return whole + bool(begun), int(bool(begun))


def test_the_process_shows_its_metrics(filled: WarehouseProcess) -> None:
    note = json.loads((filled.settings.run_dir / "warehouse.json").read_text())
    text = httpx.get(f"http://127.0.0.1:{note['metrics_port']}/metrics").text
    for name in (
        "sink_rows_total",
        "sink_block_seconds_bucket",
        "ingest_to_visible_seconds_bucket",
        "sink_repairs_total",
        "query_seconds_bucket",
    ):
        assert f"liandong_{name}" in text
    assert httpx.get(f"http://127.0.0.1:{note['metrics_port']}/health").json()["ok"]


def test_petitions_are_counted_in_no_tile_of_no_level(filled: WarehouseProcess) -> None:
    """Neither as a type nor within a total from which the types could be taken off."""

    def told(case: int, *types: str) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
        """A case of partition 0 that was of these types, one event each."""
        found = []
        for step, (before, now) in enumerate(zip(("", *types), types, strict=False)):
            record = numbered.delta(case * 5 + step, 0, "sandbox", county="440402", county_from="440402" if before else "")
            record = msgspec.structs.replace(record, incident_type=now, type_from=before, received_at=time.time_ns() // 1_000_000)
            found.append((b"k", numbered.encode(record), [numbered.header(record)]))
        return found

    cases = (("A20600", "A20600"), ("X03", "X03"), ("X01",), ("A20600", "X02"), ("X02", "A20700"), *[("X01",)] * 40)
    filled.drained("sandbox")
    before = filled.get("/v1/snapshot", "screen", division="440000", realm="sandbox").json()
    for number, types in enumerate(cases, start=20_000):
        write(filled.settings.bootstrap, LIVE_DELTAS, "sandbox", 0, told(number, *types))
    filled.drained("sandbox")
    after = filled.get("/v1/snapshot", "screen", division="440000", realm="sandbox").json()
    assert [after["totals"][name] - before["totals"][name] for name in ("total", "open")] == [2, 2]
    assert not [row for row in after["types"] if row["code"].startswith("X")]
    for division in ("440400", "440402"):
        found = filled.get("/v1/snapshot", "screen", division=division, realm="sandbox").json()
        assert (found["totals"]["total"], found["totals"]["open"]) == (2, 2)
        assert {(row["code"], row["total"]) for row in found["types"]} == {("A20600", 1), ("A20700", 1)}
        assert sum(child["total"] for child in found["children"]) in (0, 2)
        assert {row["type"] for row in found["newest"]} == {"A20600", "A20700"}
        assert sum(point["opened"] for point in found["trend"]) == found["totals"]["opened_today"] == 2, (
            "what was opened as a petition is not"
        )
    minutes = filled.get("/v1/snapshot", "screen", division="440402", realm="sandbox", trend="minute").json()
    assert sum(point["opened"] for point in minutes["trend"]) == 2
