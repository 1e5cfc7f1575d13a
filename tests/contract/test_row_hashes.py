"""A row's hash is the same in Python and in the engine, whatever its columns hold: the auditor compares nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from schemas.avro.incident_event.event import IncidentEvent
from schemas.realms import Realm
from schemas.registry import latest
from schemas.state.clock import Clock, Pause
from services.audit.digest import Digest
from services.sink import container
from services.sink.plan import Planner
from services.sink.streams import EVENTS
from services.warehouse import sums
from services.warehouse.backend import Handle, open_warehouse
from services.warehouse.migrate import migrate
from tests import numbered

CLOCKS = (
    "Array(Tuple(purpose LowCardinality(String), round Int32, holder String, level LowCardinality(String), unit LowCardinality(String), "
    "until LowCardinality(String), budget Int64, extended Int64, calendar LowCardinality(String), policy LowCardinality(String), "
    "started_at DateTime64(3, 'UTC'), due_at DateTime64(3, 'UTC'), stopped_at DateTime64(3, 'UTC'), pauses Array(Tuple(reason String, "
    "since DateTime64(3, 'UTC'), `until` DateTime64(3, 'UTC'), approver String)), told Int32, breached_at DateTime64(3, 'UTC'), "
    "retracted Bool, epoch Int32))"
)
PAUSES = (Pause("appraisal", 1_763_900_000_001, 1_764_000_000_002, "王某"), Pause("hearing", 1_764_100_000_003, 0, ""))


def clock(purpose: str, pauses: tuple[Pause, ...] = (), retracted: bool = False) -> Clock:
    return Clock(
        purpose=purpose, round=2, holder="440305-desk", level="county", unit="working_day", until="business", budget=10, extended=5,
        calendar="2026", policy="sla/1#/rules/0", started_at=1_763_800_000_000, due_at=1_764_200_000_999, stopped_at=0, pauses=pauses,
        told=3, breached_at=1_764_200_000_999, retracted=retracted, epoch=7,
    )  # fmt: skip


HELD = ((), (clock("total"),), (clock("sign", PAUSES, True), clock("总", PAUSES[:1]), clock("")))


@pytest.fixture(scope="module")
def handle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handle]:
    warehouse = open_warehouse(tmp_path_factory.mktemp("engine"))
    migrate(warehouse)
    found = warehouse.handle()
    found.run(
        "CREATE TABLE scratch (case_id String, realm String, case_seq Int32, mirrored Bool, occurred_at DateTime64(3, 'UTC'), "
        f"clocks {CLOCKS}) ENGINE = MergeTree ORDER BY case_id"
    )
    yield found
    warehouse.close()


def events() -> list[IncidentEvent]:
    return [numbered.event(number * 5, 0, clocks=clocks) for number, clocks in enumerate(HELD)]


def as_sent(sent: list[IncidentEvent]) -> bytes:
    """The container that the sink makes of them."""
    planner = Planner({}, {}, [latest(EVENTS.type).id], EVENTS.marked)
    rows = [
        SimpleNamespace(topic="incident.events", partition=0, offset=offset, timestamp=numbered.START_MS, key=b"k",
                        value=numbered.encode(event), headers=(numbered.header(event),))
        for offset, event in enumerate(sent)
    ]  # fmt: skip
    planner.add(("incident.events", 0), rows, 0.0)
    cut = planner.cut(1_000)
    return container.build(cut.schema_id, 1, cut.month, cut.rows)


@pytest.mark.parametrize(("put", "table"), [("scratch", "scratch"), ("incident_events_in", "incident_events")])
def test_clocks_pass_through_the_sinks_container_and_hash_alike_on_both_sides(handle: Handle, put: str, table: str) -> None:
    sent = events()
    handle.insert_avro(put, as_sent(sent))
    asked = sums.Asked.of(handle, EVENTS, table)
    assert "clocks" in asked.columns
    assert table == "scratch" or set(asked.columns) == set(IncidentEvent.__struct_fields__)
    digest = Digest(IncidentEvent, asked.columns)
    buckets = {sums_row[0] for sums_row in sums.sums(handle, Realm.LIVE, asked)["sums"]}
    rows = sums.bucket_rows(handle, Realm.LIVE, asked, sorted(buckets))["rows"]
    assert {case_id: int(found) for case_id, _, found in rows} == {event.case_id: digest(event) for event in sent}
    assert len(rows) == len(HELD)


def test_each_field_of_a_clock_and_of_its_pauses_changes_the_hash() -> None:
    digest = Digest(IncidentEvent, ["clocks"])
    whole = HELD[2]
    found = {digest(numbered.event(0, 0, clocks=whole))}
    changed = 1
    for struct, place in ((Clock, lambda new: (new, *whole[1:])), (Pause, lambda new: (_with_pause(whole[0], new), *whole[1:]))):
        old = whole[0] if struct is Clock else PAUSES[0]
        for name, kind in struct.__annotations__.items():
            if name == "pauses":
                continue
            other = {"str": "another", "int": 123_456, "bool": False}[str(kind)]
            found.add(digest(numbered.event(0, 0, clocks=place(_replaced(old, name, other)))))
            changed += 1
    assert len(found) == changed


def _replaced(struct: Clock | Pause, name: str, value: object) -> Clock | Pause:
    fields = {field: getattr(struct, field) for field in struct.__struct_fields__} | {name: value}
    return type(struct)(**fields)


def _with_pause(held: Clock, new: Clock | Pause) -> Clock:
    changed = _replaced(held, "pauses", (new, *held.pauses[1:]))
    assert isinstance(changed, Clock)
    return changed
