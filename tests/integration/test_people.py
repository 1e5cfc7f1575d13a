"""People on a real broker and a real gateway process: what was logged out stays out after a restart, who is on duty is known again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from services.embedded.broker import Broker
from services.people.passwords import Passwords
from tests.gateways import gateway
from tests.helpers import until
from tests.people import PASSWORD, SAMPLE

pytestmark = pytest.mark.broker


def test_sessions_and_rosters_outlive_the_gateway(broker: Broker, topics: Callable[..., None], tmp_path: Path) -> None:
    topics("live")
    Passwords(tmp_path / "passwords.json").set("off-01", PASSWORD, 1)
    login = {"user": "off-01", "password": PASSWORD}
    with gateway(broker.bootstrap, tmp_path) as running, httpx.Client(base_url=running.url, trust_env=False) as http:
        admin = {"Authorization": f"Bearer {running.keys['admin']}"}
        until(lambda: http.post("/v1/people:import", json=SAMPLE, headers=admin).status_code == 200, "the import is taken")
        first, second = ({"Authorization": f"Bearer {http.post('/v1/sessions', json=login).json()['token']}"} for _ in range(2))
        http.cookies.clear()
        assert http.delete("/v1/sessions/current", headers=first).status_code == 204
        assert http.get("/v1/me", headers=first).status_code == 401
        assert http.get("/v1/me", headers=second).status_code == 200
        http.put("/v1/people/posts/ns-2", json={"user": "off-02", "role": "head", "division": "440305"}, headers=admin).raise_for_status()
    with gateway(broker.bootstrap, tmp_path) as running, httpx.Client(base_url=running.url, trust_env=False) as http:
        until(lambda: http.get("/v1/me", headers=second).status_code == 200, "the session goes on")
        assert http.get("/v1/me", headers=first).json()["type"].endswith(":session_ended")
        admin = {"Authorization": f"Bearer {running.keys['admin']}"}
        duty = http.get("/v1/desks/440305/county/duty", params={"at": "2026-11-23 09:00"}, headers=admin).json()
        assert duty["persons"] == [{"person": "off-02", "name": "韩梅梅"}]
        assert http.get("/v1/people/posts/ns-2", headers=admin).json()["role"] == "head"
    assert "李雷".encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
