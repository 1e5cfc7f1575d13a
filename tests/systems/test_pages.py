"""A press on a whole platform reaches the telephone of who is on duty, who answers it; where nobody is on duty, that is on record."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.keys import KeyStore
from tests.helpers import until
from tests.platforms import Platform
from tests.webhooks import receiver

pytestmark = pytest.mark.broker
TERMINALS = Principal("terminals", Kind.DEVICE, "", "care", "terminals", "city", "440500", (Realm.LIVE,))
DESK = Principal("duty-440507", Kind.DESK, "p-21", "440507-desk", "officer", "county", "440507", (Realm.LIVE,))
NAME, NUMBER = "司徒测试丁", "13711118888"


def people(url: str) -> dict[str, Any]:
    """Somebody on duty round the clock in 440507; a roster in 440511 that begins in 2090."""
    users: list[dict[str, Any]] = [
        {"id": "off-21", "name": NAME, "org": "440507-desk", "channels": [{"kind": "webhook", "address": f"{url}/{NUMBER}"}]},
        {"id": "off-22", "name": "无人", "org": "440511-desk"},
    ]
    posts = [{"id": f"post-{user['id']}", "user": user["id"], "role": "officer", "division": user["org"][:6]} for user in users]
    starts = ("2026-11-01", "2090-01-01")
    rosters = [
        {"desk": user["org"], "layers": [{"name": "全天", "turns": [[user["id"]]], "length": "1d", "starts_at": start}]}
        for user, start in zip(users, starts, strict=True)
    ]
    return {"users": users, "posts": posts, "rosters": rosters}


def test_a_press_reaches_who_is_on_duty_and_his_answer_stops_it(platform: Platform) -> None:
    store = KeyStore(platform.data_dir / "keys.json")
    keys = platform.keys | {"terminals": store.add(TERMINALS), "officer": store.add(DESK)}

    def ask(who: str, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {keys[who]}"}
        return httpx.request(method, platform.gateway + path, headers=headers, json=body, timeout=30)

    def page_of(page: str, **wanted: Any) -> dict[str, Any]:
        def shows() -> dict[str, Any] | None:
            answer = ask("admin", "GET", f"/v1/pages/{page}")
            row: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
            return row if row and all(row[name] == value for name, value in wanted.items()) else None

        found = until(shows, f"the page shows {wanted}", 60, every=0.2)
        assert found is not None
        return found

    def logged() -> list[dict[str, Any]]:
        lines = (platform.data_dir / "logs" / "notifier.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if '"event": "page"' in line]

    # Nobody has entered any people yet: the page is a line in the log.
    assert ask("terminals", "POST", "/v1/alarms", {"device": "A-1", "division": "440507"}).status_code == 202
    first = until(logged, "the page in the log", 60)[0]
    assert first["to"] == "440507-desk"
    assert first["text"].startswith("【联动】紧急求助（待判明）· 汕头市龙湖区，440507-")

    with receiver() as server:
        assert ask("admin", "POST", "/v1/people:import", people(server.url)).is_success
        pressed = ask("terminals", "POST", "/v1/alarms", {"device": "A-2", "division": "440507"}).json()
        until(lambda: server.got, "the webhook", 60)
        said = server.bodies()[0]
        assert (said["person"], said["case_number"], said["urgency"]) == ("off-21", pressed["case_number"], 1)
        page = said["key"].partition("/")[0]
        shown = page_of(page, status="sent", acknowledged_at=0)
        assert (shown["persons"], shown["channels"], shown["results"]) == (["off-21"], ["webhook"], ["sent"])
        answer = ask("officer", "POST", said["ack"])
        assert answer.status_code == 202, answer.text
        assert page_of(page, status="sent", case_id=pressed["case_id"])
        until(lambda: ask("admin", "GET", f"/v1/pages/{page}").json()["acknowledged_at"], "it is acknowledged", 60)
        assert ask("officer", "GET", pressed["status_url"]).json()["acknowledged_by"] == "p-21"

        ask("terminals", "POST", "/v1/alarms", {"device": "A-3", "division": "440511"})
        until(lambda: platform.status()["pages"].get("no_one_notified"), "a page that reaches nobody", 60)
        assert len(server.got) == 1
    log = (platform.data_dir / "logs" / "notifier.log").read_text(encoding="utf-8")
    assert NAME not in log
    assert NUMBER not in log
