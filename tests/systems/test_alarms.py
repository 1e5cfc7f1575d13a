"""A press on a whole platform: paged, answered and closed by a named person, who is nowhere in the clear; every page accounted for."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx
import pytest

from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.keys import KeyStore
from tests.helpers import until
from tests.platforms import Platform
from tests.systems.test_personal_data import _files_with

pytestmark = pytest.mark.broker
TERMINALS = Principal("terminals", Kind.DEVICE, "", "longhu-care", "terminals", "county", "440507", (Realm.LIVE,))
DESK = Principal("desk-440507", Kind.DESK, "p-21", "440507-desk", "officer", "county", "440507", (Realm.LIVE,))
WORDS = ("司徒测试丙", "13700009999", "龙湖测试巷七号", "卧床不能起身", "PERSON-REF-8841")
PRESS = {
    "device": "LH-000123", "person": "PERSON-REF-8841", "reporter": {"name": "司徒测试丙", "phone": "13700009999"},
    "place": {"lon": 116.7163, "lat": 23.3724, "address": "龙湖测试巷七号"}, "note": "卧床不能起身",
}  # fmt: skip


def test_a_press_is_paged_answered_closed_and_accounted_for(platform: Platform) -> None:
    store = KeyStore(platform.data_dir / "keys.json")
    keys = {"terminals": store.add(TERMINALS), "desk": store.add(DESK)}

    def ask(who: str, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {keys[who]}"}
        return httpx.request(method, platform.gateway + path, headers=headers, json=body, timeout=30)

    pressed = [ask("terminals", "POST", "/v1/alarms", PRESS | {"event_id": str(n)}).json() for n in range(3)]
    assert len({answer["case_id"] for answer in pressed}) == 1
    url = pressed[0]["status_url"]

    def alarm(**wanted: Any) -> dict[str, Any]:
        def shows() -> dict[str, Any] | None:
            answer = ask("desk", "GET", url)
            row = answer.json() if answer.status_code == 200 else {}
            return row if row.items() >= wanted.items() else None

        found = until(shows, f"the alarm shows {wanted}", 60, every=0.2)
        assert found is not None
        return found

    shown = alarm(state="raised", press_count=3)
    assert (shown["class"], shown["division_name"], shown["holder"]) == ("unclear", "汕头市龙湖区", "440507-desk")
    assert not any(word in json.dumps(shown, ensure_ascii=False) for word in WORDS)
    assert ask("terminals", "GET", url).json()["press_count"] == 3
    assert ask("desk", "GET", f"/v1/alarms/{pressed[0]['case_number']}").json()["case_id"] == shown["case_id"]
    assert ask("desk", "POST", f"{url}/commands/ack").status_code == 202
    assert alarm(state="acknowledged")["acknowledged_by"] == "p-21"
    sealed = ask("desk", "GET", f"/v1/cases/{shown['case_id']}/sealed?reason=call").json()["records"]
    assert {record["reporter"]["name"] for record in sealed} == {"司徒测试丙"}
    assert ask("desk", "POST", f"{url}/commands/close").status_code == 202, "and refused by the core: no reason"
    answer = ask("desk", "POST", f"{url}/commands/close", {"reason": "helped"}).json()
    alarm(state="closed")
    assert ask("desk", "GET", answer["status_url"]).json()["status"] == "applied"

    for word in WORDS:
        assert _files_with(platform.data_dir, word.encode()) == []
    command = [sys.executable, "-m", "services.cli", "reconcile", "--realm", "live", "--json", "--data-dir", str(platform.data_dir)]
    account = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    mine = [line for line in account["by_partition"] if line["topic"] == "alarm.commands" and line["commands"]]
    assert [(line["commands"], line["applied"], line["refused"], line["facts"]) for line in mine] == [(6, 5, 1, 5)]
    assert account["exact"]
    assert account["pages_due"] == account["pages"] >= 1
