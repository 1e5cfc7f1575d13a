"""What people read of a case, on a whole platform: explained, listed, found, alike, by HTTP and by the command line."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.helpers import until
from tests.platforms import Platform, liandong
from tests.systems.test_spine import case, command, post

pytestmark = pytest.mark.broker
WORK = "/v1/desks/440305/county/work"


@pytest.fixture(scope="module")
def alike(platform: Platform) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two tellings of one matter; the first was accepted, graded, assigned and signed."""
    place = {"place": {"lon": 113.94, "lat": 22.55}}
    first, second = post(platform, "alike-1", **place), post(platform, "alike-2", **place)
    case(platform, first["case_id"])
    desk = platform.headers("desk")
    steps: dict[str, dict[str, Any]] = {"accept": {}, "triage": {"grade": 3}, "assign": {"org": "water"}, "sign": {}}
    for name, body in steps.items():
        assert command(platform, first["case_id"], name, desk, **body)["status"] == "applied", name
    case(platform, first["case_id"], seq=5)
    case(platform, second["case_id"])
    return first, second


def get(platform: Platform, path: str, key: str = "desk", **params: str) -> Any:
    answer = httpx.get(platform.gateway + path, params=params, headers=platform.headers(key), timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_deadlines_are_explained_and_the_ledger_sums(platform: Platform, alike: tuple[dict[str, Any], ...]) -> None:
    path = f"/v1/cases/{alike[0]['case_number']}"
    clocks = {clock["purpose"]: clock for clock in get(platform, f"{path}/deadlines")["clocks"]}
    assert {name: clock["status"] for name, clock in clocks.items()} == {
        "accept": "stopped", "total": "running", "sign": "stopped", "handle": "running"
    }  # fmt: skip
    assert clocks["handle"]["sentence"]["zh"].startswith("从 ")
    assert clocks["handle"]["policy"]["source"]
    ledger = get(platform, f"{path}/ledger")
    assert ledger["total_ms"] == sum(holder["total_ms"] for holder in ledger["holders"]) > 0
    assert [holder["holder"] for holder in ledger["holders"]] == ["440305-desk", "water"]
    wrong = httpx.get(f"{platform.gateway}{path}/ledger", params={"as_of": "tomorrow"}, headers=platform.headers("desk"))
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/as_of")


def test_cases_are_listed_found_and_told_apart(platform: Platform, alike: tuple[dict[str, Any], ...]) -> None:
    first, second = (one["case_id"] for one in alike)
    listed = get(platform, WORK)
    assert {first, second} <= {item["case_id"] for item in listed["items"]}
    assert [item["case_id"] for item in get(platform, WORK, state="captured")["items"]] == [second]
    assert listed["counts"]["work"] == sum(listed["lights"].values())
    assert [item["case_id"] for item in get(platform, "/v1/search", q=alike[0]["case_number"][-8:])["items"]] == [first]
    found = get(platform, f"/v1/cases/{second}/similar")["items"]
    assert [(item["case_id"], item["near"]) for item in found] == [(first, "cell")]
    described = get(platform, "/openapi.json")["paths"]
    for path in ("/v1/search", "/v1/search/person", "/v1/cases/{case}/deadlines", "/v1/cases/{case}/ledger", "/v1/cases/{case}/similar"):
        assert path in described


def test_the_command_line_says_the_same(platform: Platform, alike: tuple[dict[str, Any], ...]) -> None:
    number, where = alike[0]["case_number"], ("--data-dir", str(platform.data_dir))
    shown = json.loads(liandong("case", "show", number, "--json", *where).stdout)
    assert (shown["case_id"], shown["state"]) == (alike[0]["case_id"], "handling")
    assert [one["stage"] for one in shown["stages"]] == ["follow_up"]
    assert "“4+2”流程 跟踪督办" in liandong("case", "show", number, *where).stdout
    explained = liandong("case", "explain", number, *where).stdout
    clocks = json.loads(liandong("case", "explain", number, "--json", *where).stdout)["clocks"]
    assert all(clock["sentence"]["zh"].partition("；期限")[0] in explained for clock in clocks)
    assert "signed" in liandong("case", "timeline", number, *where).stdout
    ledger = liandong("case", "ledger", number, *where).stdout
    assert "water" in ledger
    assert "breaches: 0 told" in ledger
    for arguments, code in (((number, "--as-of", "2999-01-01"), 2), (("440305-20261122-00000000",), 3), (("no such/case",), 2)):
        ran = liandong("case", "ledger", *arguments, *where, check=False)
        assert (ran.returncode, ran.stderr.startswith("liandong: ")) == (code, True)


def test_the_index_of_persons_is_filled_anew_by_command(platform: Platform) -> None:
    post(platform, "person", reporter={"name": "令狐测试", "phone": "13800001111"})

    def found() -> list[str]:
        body = {"phone": "13800001111", "reason": "callback"}
        answer = httpx.post(f"{platform.gateway}/v1/search/person", json=body, headers=platform.headers("desk"))
        return [item["case_id"] for item in answer.json()["items"]]

    before = until(found, "the desk finds the case", 30)
    filled = json.loads(liandong("rebuild", "search", "--json", "--data-dir", str(platform.data_dir)).stdout)
    assert (filled["whole"], filled["read"]) == (True, 1)
    assert found() == before
