"""Sessions over HTTP: logging in, what ends a session, cookies, and that keys go on working."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from schemas.avro.people_record.event import PeopleRecord
from schemas.codec import codec
from schemas.principals import Kind
from services.adapters.keyfile import KeyFileView
from services.gateway.auth import COOKIE, CSRF
from services.people.register import Register
from services.people.tokens import KeysAndAskings
from tests.gateway_stage import NOW, Stage, open_stage
from tests.people import PASSWORD, FakeFeed
from tests.principals import ADMIN, FixedKeys

HOUR = 3_600_000
COMMAND = "/v1/cases/6f0c5a1e-4d0b-5c58-9d53-0d6a1f4b7c21/commands/accept"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as stage:
        await stage.people.fill()
        stage.people.passwords.set("off-01", PASSWORD, NOW - HOUR)
        stage.reads.cases["6f0c5a1e-4d0b-5c58-9d53-0d6a1f4b7c21"] = {
            "case_id": "6f0c5a1e-4d0b-5c58-9d53-0d6a1f4b7c21", "division": "440305",
        }  # fmt: skip
        yield stage


async def log_in(stage: Stage, user: str = "off-01", password: str = PASSWORD, **more: Any) -> httpx.Response:
    answer = await stage.http.post("/v1/sessions", json={"user": user, "password": password} | more)
    stage.http.cookies.clear()  # a test says itself what it sends
    return answer


async def me(stage: Stage, token: str) -> httpx.Response:
    return await stage.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})


def reason_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


async def test_a_login_answers_a_token_whose_principal_is_the_users_post(stage: Stage) -> None:
    answer = await log_in(stage)
    assert answer.status_code == 201, answer.text
    assert answer.json()["expires_at"] == NOW + 12 * HOUR
    found = (await me(stage, answer.json()["token"])).json()
    assert found["principal"] == answer.json()["principal"] == {
        "id": "post:ns-1", "kind": "desk", "person": "off-01", "name": "李雷", "org": "440305-desk", "role": "officer", "level": "county",
        "division": "440305", "division_name": "深圳市南山区", "realms": ["live", "sandbox", "replay"],
    }  # fmt: skip
    assert found["posts"] == ["ns-1"]


async def test_the_cookie_is_for_http_only_and_the_same_site_and_secure_behind_tls(stage: Stage) -> None:
    plain = (await log_in(stage)).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/v1", "Max-Age=43200"} <= set(plain.split("; "))
    assert "Secure" not in plain
    behind = await stage.http.post("https://gateway/v1/sessions", json={"user": "off-01", "password": PASSWORD})
    assert "Secure" in behind.headers["set-cookie"]


async def test_a_command_by_session_names_the_person_and_is_asked_of_the_read_port_in_the_persons_name(
    stage: Stage, tmp_path: Path
) -> None:
    token = (await log_in(stage)).json()["token"]
    answer = await stage.http.post(COMMAND, json={"expected_seq": 1}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 202, answer.text
    (command,) = stage.commands()
    assert (command.actor_person, command.actor_org, command.actor_level, command.producer) == (
        "off-01",
        "440305-desk",
        "county",
        "post:ns-1",
    )
    asking = stage.reads.seen[-1].headers["authorization"].removeprefix("Bearer ")
    assert asking != token
    view = KeyFileView(tmp_path / "people.bin")
    try:
        found = KeysAndAskings(FixedKeys(), view, lambda: NOW).find(asking)
        assert found is not None
        assert (found.id, found.kind, found.person, found.division) == ("post:ns-1", Kind.DESK, "off-01", "440305")
        assert KeysAndAskings(FixedKeys(), view, lambda: NOW + 60_000).find(asking) is None, "for a minute"
        forged = asking[:-1] + ("0" if asking[-1] != "0" else "1")
        assert KeysAndAskings(FixedKeys(), view, lambda: NOW).find(forged) is None
        assert KeysAndAskings(FixedKeys(), view, lambda: NOW).find("key-admin") == ADMIN
        assert KeysAndAskings(FixedKeys(), KeyFileView(tmp_path / "none"), lambda: NOW).find(asking) is None
    finally:
        view.close()
    assert (await stage.http.get("/v1/me", headers={"Authorization": f"Bearer {asking}"})).status_code == 401, "not for anybody outside"


async def test_by_cookie_what_changes_something_needs_the_sessions_own_header(stage: Stage) -> None:
    first, other = (await log_in(stage)).json(), (await log_in(stage)).json()
    cookie = {"Cookie": f"{COOKIE}={first['token']}"}
    assert (await stage.http.get("/v1/me", headers=cookie)).status_code == 200
    wrong: list[dict[str, str]] = [{}, {CSRF: ""}, {CSRF: "x"}, {CSRF: other["csrf"]}]
    for header in wrong:
        refused = await stage.http.post(COMMAND, json={"expected_seq": 1}, headers=cookie | header)
        assert (refused.status_code, reason_of(refused)) == (403, "csrf")
    assert stage.commands() == []
    assert (await stage.http.post(COMMAND, json={"expected_seq": 1}, headers=cookie | {CSRF: first["csrf"]})).status_code == 202
    assert (await stage.http.get("/v1/me", headers=cookie)).json()["csrf"] == first["csrf"]


async def test_keys_go_on_working_and_come_before_a_cookie(stage: Stage) -> None:
    assert (await stage.get("/v1/me", who="nanshan-desk")).json()["principal"]["person"] == "p-17"
    token = (await log_in(stage)).json()["token"]
    headers = {"Cookie": f"{COOKIE}={token}", "Authorization": "Bearer key-nanshan-desk"}
    assert (await stage.http.get("/v1/me", headers=headers)).json()["principal"]["id"] == "nanshan-desk"
    assert (await stage.http.get("/v1/me", headers={"Authorization": "Bearer ls_x.y"})).status_code == 401
    assert (await stage.http.delete("/v1/sessions/current", headers={"Authorization": "Bearer key-admin"})).status_code == 401


@pytest.mark.parametrize(("user", "password"), [("off-01", "wrong"), ("nobody", PASSWORD), ("off-02", PASSWORD), ("off-02", "")])
async def test_a_wrong_login_says_the_same_for_every_user(stage: Stage, user: str, password: str) -> None:
    answer = await log_in(stage, user, password or "x")
    assert (answer.status_code, reason_of(answer)) == (401, "wrong_login")
    assert answer.json()["detail"] == "user or password is wrong"


async def test_too_many_failed_logins_are_told_when_to_come_again_also_with_the_right_password(stage: Stage) -> None:
    for _ in range(5):
        assert (await log_in(stage, password="wrong")).status_code == 401
    refused = await log_in(stage)
    assert (refused.status_code, reason_of(refused)) == (429, "login_limit")
    assert 0 < int(refused.headers["retry-after"]) <= 300
    assert (await log_in(stage, "off-02", "wrong")).status_code == 401, "another user is not locked out"


async def test_logging_out_ends_the_session_also_for_a_gateway_that_starts_later(stage: Stage) -> None:
    token, other = (await log_in(stage)).json()["token"], (await log_in(stage)).json()["token"]
    gone = await stage.http.delete("/v1/sessions/current", headers={"Authorization": f"Bearer {token}"})
    assert gone.status_code == 204
    assert reason_of(await me(stage, token)) == "session_ended"
    assert (await me(stage, other)).status_code == 200
    stage.people.register.sessions.clear()
    assert (await me(stage, token)).status_code == 200, "only the topic remembers"
    again = Register()
    await FakeFeed(stage.producer, again).reached([], 0)
    stage.people.register.sessions.update(again.sessions)
    assert reason_of(await me(stage, token)) == "session_ended"


async def test_a_session_ends_with_its_time_and_when_it_lies_idle(stage: Stage) -> None:
    token = (await log_in(stage)).json()["token"]
    for hours in (4, 8, 11.99):
        stage.clock.now = NOW + int(hours * HOUR)
        assert (await me(stage, token)).status_code == 200, hours
    stage.clock.now = NOW + 12 * HOUR
    assert reason_of(await me(stage, token)) == "session_expired"
    stage.clock.now = NOW
    idle = (await log_in(stage)).json()["token"]
    stage.clock.now = NOW + 4 * HOUR + 1
    assert reason_of(await me(stage, idle)) == "session_idle"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"posts": [{"id": "ns-1", "user": "off-01", "role": "officer", "division": "440305", "until": "2026-11-22 09:00"}]}, "post_ended"),
        ({"posts": [{"id": "ns-1", "user": "off-02", "role": "officer", "division": "440305"}]}, "post_ended"),
        ({"users": [{"id": "off-01", "name": "李雷", "org": "x", "active": False}]}, "user_inactive"),
    ],
)
async def test_an_ended_post_or_an_inactive_user_ends_the_session_at_once(stage: Stage, change: dict[str, Any], reason: str) -> None:
    token = (await log_in(stage)).json()["token"]
    await stage.people.fill(change)
    answer = await me(stage, token)
    assert (answer.status_code, reason_of(answer)) == (401, reason)


async def test_a_user_who_was_inactive_comes_back_without_the_old_sessions(stage: Stage) -> None:
    token = (await log_in(stage)).json()["token"]
    for active in (False, True):
        await stage.people.fill({"users": [{"id": "off-01", "name": "李雷", "org": "x", "active": active}]})
    assert reason_of(await me(stage, token)) == "session_ended"
    assert (await log_in(stage)).status_code == 201


async def test_an_administrator_ends_the_sessions_of_a_user_of_the_own_subtree(stage: Stage) -> None:
    token = (await log_in(stage)).json()["token"]
    assert (
        await stage.http.delete("/v1/people/users/off-01/sessions", headers={"Authorization": "Bearer key-nanshan-desk"})
    ).status_code == 403
    assert (await stage.http.delete("/v1/people/users/nobody/sessions", headers={"Authorization": "Bearer key-admin"})).status_code == 404
    assert (await stage.http.delete("/v1/people/users/off-01/sessions", headers={"Authorization": "Bearer key-admin"})).status_code == 204
    assert reason_of(await me(stage, token)) == "session_ended"


async def test_a_changed_right_is_the_sessions_at_once(stage: Stage) -> None:
    token = (await log_in(stage)).json()["token"]
    post = {"id": "ns-1", "user": "off-01", "role": "viewer", "division": "440305", "realms": ["sandbox"]}
    await stage.people.fill({"posts": [post]})
    found = (await me(stage, token)).json()["principal"]
    assert (found["kind"], found["realms"]) == ("screen", ["sandbox"])
    assert (await stage.http.post(COMMAND, json={}, headers={"Authorization": f"Bearer {token}"})).status_code == 403


async def test_who_holds_several_posts_says_which(stage: Stage) -> None:
    await stage.people.fill({"posts": [{"id": "yh-1", "user": "off-01", "role": "officer", "division": "440305001"}]})
    asked = await log_in(stage)
    assert asked.status_code == 422
    assert asked.json()["errors"][0]["pointer"] == "/post"
    assert {"ns-1", "yh-1"} <= set(asked.json()["errors"][0]["detail"].replace(":", "").split())
    assert (await log_in(stage, post="yh-1")).json()["principal"]["level"] == "town"
    assert (await log_in(stage, post="sz-1")).status_code == 422


async def test_who_holds_no_post_now_is_told_so_after_the_right_password_only(stage: Stage) -> None:
    await stage.people.fill({"posts": [{"id": "ns-1", "user": "off-01", "role": "officer", "division": "440305", "since": "2027-01-01"}]})
    assert reason_of(await log_in(stage)) == "post_ended"
    assert reason_of(await log_in(stage, password="wrong")) == "wrong_login"


async def test_a_new_password_ends_every_session_and_a_weak_one_is_refused(stage: Stage) -> None:
    token = (await log_in(stage)).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    for weak in ("short", "my-off-01-secret", "aaaaaaaaaaaaa"):
        refused = await stage.http.put("/v1/me/password", json={"old": PASSWORD, "new": weak}, headers=headers)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/new")
    wrong = await stage.http.put("/v1/me/password", json={"old": "no", "new": "another-long-one"}, headers=headers)
    assert reason_of(wrong) == "wrong_login"
    stage.clock.now += 1000
    assert (await stage.http.put("/v1/me/password", json={"old": PASSWORD, "new": "another-long-one"}, headers=headers)).status_code == 204
    assert reason_of(await me(stage, token)) == "session_ended"
    assert (await log_in(stage)).status_code == 401
    assert (await log_in(stage, password="another-long-one")).status_code == 201


async def test_while_people_or_kafka_are_away_sessions_wait_and_keys_work(stage: Stage) -> None:
    token = (await log_in(stage)).json()["token"]
    stage.producer.away = True
    assert reason_of(await log_in(stage)) == "kafka_away"
    stage.producer.away = False
    stage.people.register.ready = False
    answers = [await log_in(stage), await me(stage, token)]
    assert [(one.status_code, reason_of(one)) for one in answers] == [(503, "people_away")] * 2
    assert (await stage.get("/v1/me", who="nanshan-desk")).status_code == 200


async def test_no_password_and_no_name_lies_in_kafka_or_in_a_file(stage: Stage) -> None:
    await log_in(stage)
    everything = b"".join((record.value or b"") + record.key for kept in stage.producer.log.values() for record in kept)
    everything += b"".join(path.read_bytes() for path in stage.folder.rglob("*") if path.is_file())
    for secret in (PASSWORD, "李雷", "韩梅梅", "13800000001", "http://127.0.0.1:1/x"):
        assert secret.encode() not in everything, secret
    assert b"off-01" in everything


async def test_expired_sessions_are_taken_from_the_topic(stage: Stage) -> None:
    await log_in(stage)
    await log_in(stage)
    assert await stage.people.keeper.forget_sessions() == 0
    stage.clock.now += 12 * HOUR
    assert await stage.people.keeper.forget_sessions() == 2
    assert stage.people.register.sessions == {}
    assert [record.value for record in stage.producer.records("people") if record.key.startswith(b"session/")].count(None) == 2


async def test_the_records_of_the_topic_are_those_of_the_contract(stage: Stage) -> None:
    await log_in(stage)
    for record in stage.producer.records("people"):
        found = codec(PeopleRecord).decode(record.value)
        assert record.key.decode() == found.key
        held = [name for name in ("user", "post", "roster", "session") if getattr(found, name) is not None]
        assert held == [found.key.partition("/")[0]]
        assert msgspec.to_builtins(found)["at"] == NOW
