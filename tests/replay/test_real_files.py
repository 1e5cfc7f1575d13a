"""Every row of the real files is mapped, and taken by the gateway's intake as it is."""

from __future__ import annotations

import msgspec
import pytest

from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.clock import now_ms
from services.gateway.intake import Context, line
from tests.replay.files import data_file, last_rows, mapped_rows

PRODUCER = Principal("demo-producer", Kind.PRODUCER, "", "demo", "department", "province", "440000", (Realm.REPLAY,))
ROWS = {"montco_911": 161_881, "nyc_ems": 317_904, "servicenow": 112_399, "boston_311": 49_914}


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_row_of_a_real_file_is_mapped(name: str) -> None:
    rows = 0
    seen: set[str] = set()
    for mapped in mapped_rows(name, data_file(name)):
        rows += 1
        seen.add(mapped.external_id)
    assert rows == ROWS[name]
    assert len(seen) == (19_280 if name == "servicenow" else rows)


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(ROWS))
def test_the_first_rows_of_a_real_file_pass_the_gateways_intake(name: str) -> None:
    context = Context(PRODUCER, Realm.REPLAY, now_ms(), fingerprint=lambda data: data.hex())
    for mapped in mapped_rows(name, data_file(name), limit=5_000):
        assert line(msgspec.json.encode(mapped.body), context).command.occurred_at == mapped.at


@pytest.mark.data
def test_versions_of_a_servicenow_case_grow_and_6933_cases_join_midway() -> None:
    newest: dict[str, int] = {}
    midway = 0
    for mapped in mapped_rows("servicenow", data_file("servicenow")):
        version = mapped.body["source_version"]
        midway += mapped.external_id not in newest and mapped.body["state"] != "captured"
        assert version > newest.get(mapped.external_id, -1)
        newest[mapped.external_id] = version
    assert midway == 6_933


@pytest.mark.data
def test_every_servicenow_case_ends_closed() -> None:
    last = last_rows(mapped_rows("servicenow", data_file("servicenow")))
    assert {row.state for row in last.values()} == {"closed"}
    assert sum(row.reassignments > 0 for row in last.values()) > 9_000
    assert sum(row.reopens > 0 for row in last.values()) == 222
