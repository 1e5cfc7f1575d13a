"""People over HTTP: who is on duty, gaps, what administrators may write, and that an import is all or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from schemas.people.records import Override
from tests.gateway_stage import NOW, Stage, open_stage
from tests.people import PASSWORD, SAMPLE

HOUR = 3_600_000
DUTY = "/v1/desks/440305/county/duty"
GAPS = "/v1/rosters/440305-desk/gaps"
POST = {"user": "off-01", "role": "officer", "division": "440305"}
ROSTER: dict[str, Any] = {"layers": [{"name": "全天", "turns": [["off-01", "off-02"]], "length": "1w", "starts_at": "2026-11-01"}]}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as stage:
        await stage.people.fill()
        yield stage


async def put(stage: Stage, path: str, body: Any, who: str = "admin") -> httpx.Response:
    return await stage.http.put(f"/v1/people/{path}", json=body, headers={"Authorization": f"Bearer key-{who}"})


async def session(stage: Stage, user: str) -> dict[str, str]:
    stage.people.passwords.set(user, PASSWORD, NOW - HOUR)
    answer = await stage.http.post("/v1/sessions", json={"user": user, "password": PASSWORD})
    stage.http.cookies.clear()
    return {"Authorization": f"Bearer {answer.json()['token']}"}


async def test_the_desk_learns_who_is_on_duty_by_name_and_a_screen_how_many(stage: Stage) -> None:
    found = (await stage.get(DUTY, who="nanshan-desk")).json()
    assert found == {
        "desk": "440305-desk", "division": "440305", "division_name": "深圳市南山区", "level": "county", "at": NOW, "on_duty": 1,
        "persons": [{"person": "off-01", "name": "李雷"}], "roster": True, "next_change": NOW + int(10.5 * HOUR),
    }  # fmt: skip
    assert (await stage.get(DUTY, who="shenzhen-desk")).json()["persons"] == found["persons"], "the city's subtree holds it"
    screen = (await stage.get(DUTY, who="screen")).json()
    assert (screen["on_duty"], screen["persons"]) == (1, [])


@pytest.mark.parametrize(
    ("path", "who"),
    [(DUTY, "futian-desk"), (DUTY, "demo-producer"), (DUTY.replace("county", "city"), "admin"), (DUTY.replace("440305", "440399"), "admin"),
     (GAPS, "futian-desk"), (GAPS, "longhu-terminals"), ("/v1/rosters/440305/gaps", "admin"), ("/v1/rosters/440304-desk", "admin"),
     ("/v1/rosters/440305-desk", "screen"), ("/v1/rosters?division=440300", "nanshan-desk")],
)  # fmt: skip
async def test_what_is_out_of_scope_is_as_unknown_as_what_is_not_there(stage: Stage, path: str, who: str) -> None:
    assert (await stage.get(path, who=who)).status_code == 404


@pytest.mark.parametrize(
    ("at", "persons"), [("2026-11-23 08:00", ["off-02"]), ("2026-11-22T20:00:00+08:00", []), (str(NOW + HOUR), ["off-01"])]
)
async def test_duty_is_told_of_another_moment(stage: Stage, at: str, persons: list[str]) -> None:
    found = (await stage.get(DUTY, who="admin", params={"at": at})).json()
    assert [one["person"] for one in found["persons"]] == persons


CHANGES = "/v1/people/changes:import"


async def test_changes_of_a_roster_are_taken_whole_or_not_at_all_and_count_at_once(stage: Stage) -> None:
    row = {"desk": "440305-desk", "by": "boss-1", "start": "2026-11-22 09:00", "until": "2026-11-22 10:00", "reason": "sick"}
    wrong = await stage.post(CHANGES, {"changes": [row, row | {"by": "ghost"}]}, who="admin")
    assert (wrong.status_code, [error["pointer"] for error in wrong.json()["errors"]]) == (422, ["/changes/1/by"])
    looked = await stage.post(f"{CHANGES}?dry_run=true", {"changes": [row]}, who="admin")
    assert looked.json() == {"changes": 1, "rosters": 1, "changed": ["440305-desk"]}
    assert (await stage.get(DUTY, who="nanshan-desk")).json()["persons"] == [{"person": "off-01", "name": "李雷"}], "nothing was taken yet"
    done = await stage.post(CHANGES, {"changes": [row]}, who="admin")
    assert (done.status_code, done.headers["cache-control"]) == (200, "no-store")
    assert (await stage.get(DUTY, who="nanshan-desk")).json()["persons"] == [{"person": "boss-1", "name": "王主任"}]
    assert (await stage.post(CHANGES, {"changes": [row]}, who="admin")).json()["changed"] == []
    swap = row | {"by": "off-02", "person": "off-01"}
    assert (await stage.post(CHANGES, {"changes": [swap], "replace": True}, who="admin")).status_code == 200
    kept = stage.people.register.rosters["440305-desk"]
    assert (kept.overrides, [(one.person, one.by) for one in kept.swaps], len(kept.layers)) == ((), [("off-01", "off-02")], 1)
    assert [one["person"] for one in (await stage.get(DUTY, who="nanshan-desk")).json()["persons"]] == ["off-02"]


async def test_changes_are_for_administrators_of_the_desk(stage: Stage) -> None:
    row = {"desk": "440305-desk", "by": "boss-1", "start": "2026-11-22 09:00", "until": "2026-11-22 10:00"}
    for who in ("nanshan-desk", "screen"):
        assert (await stage.post(CHANGES, {"changes": [row]}, who=who)).status_code == 403
    assert (await stage.post(CHANGES, {"changes": [row]}, who="nanshan-admin")).status_code == 200
    elsewhere = await stage.post(CHANGES, {"changes": [row | {"desk": "440304-desk"}]}, who="nanshan-admin")
    assert elsewhere.json()["errors"][0]["pointer"] == "/changes/0/desk", "as one that has no roster"
    shapeless: list[Any] = [[], {}, {"changes": 1}, {"changes": [], "x": 1}]
    assert [(await stage.post(CHANGES, one, who="admin")).status_code for one in shapeless] == [422] * 4


@pytest.mark.parametrize("query", ["at=tomorrow", "at=2026-13-01", "at=12345678901x"])
async def test_a_wrong_time_is_refused(stage: Stage, query: str) -> None:
    assert (await stage.get(f"{DUTY}?{query}", who="admin")).status_code == 422


async def test_gaps_are_told_for_a_desk_and_for_a_subtree(stage: Stage) -> None:
    found = (await stage.get(GAPS, who="nanshan-desk", params={"since": "2026-11-23", "until": "2026-11-25"})).json()
    days = [NOW - int(9.5 * HOUR) + day * 24 * HOUR for day in (1, 2, 3)]
    assert [(gap["start"], gap["until"]) for gap in found["gaps"]] == [
        (days[0], days[0] + 8 * HOUR), (days[0] + 20 * HOUR, days[1] + 8 * HOUR), (days[1] + 20 * HOUR, days[2]),
    ]  # fmt: skip
    assert found["minutes"] == 24 * 60
    below = (await stage.get("/v1/rosters", who="shenzhen-desk", params={"since": "2026-11-23", "until": "2026-11-25"})).json()
    assert (below["rosters"], [one["desk"] for one in below["with_gaps"]]) == (1, ["440305-desk"])
    assert (await stage.get("/v1/rosters", who="futian-desk")).json()["rosters"] == 0
    assert (await put(stage, "rosters/440305-desk", ROSTER)).status_code == 204
    assert (await stage.get(GAPS, who="nanshan-desk")).json()["gaps"] == []
    none = (await stage.get("/v1/rosters/440300-desk/gaps", who="admin")).json()
    assert (none["roster"], none["minutes"]) == (False, 7 * 24 * 60)
    for wrong in ({"until": "2026-11-01"}, {"since": "2026-11-01", "until": "2027-11-01"}):
        assert (await stage.get(GAPS, who="admin", params=wrong)).status_code == 422


async def test_who_has_left_or_holds_no_post_any_more_is_not_on_duty(stage: Stage) -> None:
    assert (await put(stage, "users/off-01", {"name": "李雷", "org": "x", "active": False})).status_code == 204
    assert (await stage.get(DUTY, who="admin")).json()["on_duty"] == 0
    assert (await put(stage, "users/off-01", {"name": "李雷", "org": "x"})).status_code == 204
    assert (await put(stage, "posts/ns-1", POST | {"until": "2026-11-22 09:00"})).status_code == 204
    assert (await stage.get(DUTY, who="admin")).json()["on_duty"] == 0
    assert (await put(stage, "rosters/440305-desk", ROSTER)).status_code == 204
    assert [one["person"] for one in (await stage.get(DUTY, who="admin")).json()["persons"]] == ["off-02"]


async def test_the_directory_knows_duty_and_heads_with_their_channels(stage: Stage) -> None:
    directory = stage.people.sessions.directory
    (contact,) = directory.on_duty("440305-desk", NOW)
    assert (contact.person, contact.name, [(c.kind, c.address) for c in contact.channels]) == ("off-01", "李雷", [("sms", "13800000001")])
    assert [one.name for one in directory.head("440305-desk", NOW)] == ["王主任"]
    assert directory.on_duty("440300-desk", NOW) == directory.head("440300-desk", NOW) == ()
    assert list(directory.desks()) == ["440305-desk"]


async def test_deleting_a_user_erases_name_contacts_password_and_ends_sessions(stage: Stage) -> None:
    headers = await session(stage, "off-01")
    sealed = stage.people.register.users["off-01"]
    assert (await stage.http.delete("/v1/people/users/off-01", headers={"Authorization": "Bearer key-admin"})).status_code == 204
    assert (await stage.http.get("/v1/me", headers=headers)).status_code == 401
    directory = stage.people.sessions.directory
    assert directory.personal(sealed) is None, "whoever still has the record"
    assert directory.contact("off-01").channels == ()
    assert stage.people.passwords.set_at("off-01") == 0
    assert stage.people.register.posts_of("off-01") == []
    assert (await stage.get(DUTY, who="admin")).json()["on_duty"] == 0
    assert (await stage.http.delete("/v1/people/users/off-01", headers={"Authorization": "Bearer key-admin"})).status_code == 404
    assert (await put(stage, "users/off-01", {"name": "李雷", "org": "x"})).status_code == 204
    assert stage.people.register.users["off-01"].key != sealed.key
    assert directory.contact("off-01").name == "李雷"


async def test_an_administrator_keeps_only_the_own_subtree(stage: Stage) -> None:
    headers = await session(stage, "keeper")

    async def by_county(method: str, path: str, body: Any = None) -> int:
        return (await stage.http.request(method, f"/v1/people/{path}", json=body, headers=headers)).status_code

    assert await by_county("PUT", "posts/new", POST) == 204
    assert await by_county("PUT", "posts/new", POST | {"division": "440304"}) == 403
    assert await by_county("PUT", "posts/sz-1", POST) == 403, "it is the city's post before"
    assert await by_county("PUT", "posts/forged", POST | {"org": "440300-desk"}) == 422, "else it could lift what the city ordered"
    assert await by_county("PUT", "users/city-1", {"name": "x", "org": "x"}) == 403
    assert await by_county("PUT", "users/off-02", {"name": "韩梅梅", "org": "x"}) == 204
    assert await by_county("PUT", "rosters/440300-desk", ROSTER) == 403
    assert await by_county("PUT", "rosters/440305-desk", ROSTER) == 204
    assert await by_county("DELETE", "users/city-1") == 404
    assert await by_county("DELETE", "posts/sz-1") == 404
    assert await by_county("DELETE", "posts/new") == 204
    assert await by_county("DELETE", "rosters/440305-desk") == 204
    assert await by_county("GET", "users/city-1") == 404
    listed = (await stage.http.get("/v1/people/posts", headers=headers)).json()
    assert [one["id"] for one in listed["items"]] == ["ns-1", "ns-2", "ns-admin", "ns-head"]
    assert (await put(stage, "posts/new", POST, who="nanshan-desk")).status_code == 403


async def test_lists_show_kinds_of_contacts_never_addresses(stage: Stage) -> None:
    answer = await stage.get("/v1/people/users", who="admin")
    first = answer.json()["items"][-2]
    assert first == {
        "id": "off-01", "name": "李雷", "org": "440305-desk", "active": True, "posts": ["ns-1"], "channels": ["sms"], "password": False,
    }  # fmt: skip
    assert "13800000001" not in answer.text
    assert answer.json()["total"] == 6
    rest = (await stage.get("/v1/people/users", who="admin", params={"after": "off-01"})).json()
    assert [one["id"] for one in rest["items"]] == ["off-02"]
    assert (await stage.get("/v1/people/nothing", who="admin")).status_code == 404
    assert (await stage.get("/v1/people/rosters/440305-desk", who="admin")).json()["layers"][0]["name"] == "日班"


@pytest.mark.parametrize(
    ("path", "body", "pointers"),
    [
        ("users/13800000001", {"name": "x", "org": "x"}, {"/id"}),
        ("users/n", {"nam": "x", "org": "x"}, {"/nam", "/name"}),
        ("users/n", {"id": "m", "name": "x", "org": "x"}, {"/id"}),
        ("users/n", [], {""}),
        ("users/n", {"name": "x", "org": "x", "channels": [{"kind": "log", "address": "x"}, {"kind": "pigeon", "address": "x"}]},
         {"/channels/1/kind"}),
        ("users/n", {"name": "x", "org": "x", "channels": [{"kind": "email", "address": "x"}]}, {"/channels/0/address"}),
        ("posts/n", {"user": "nobody", "role": "officer", "division": "999999"}, {"/user", "/division"}),
        ("posts/n", POST | {"role": "king"}, {"/role"}),
        ("posts/n", POST | {"level": "city", "until": "2026-02-30"}, {"/level", "/until"}),
        ("posts/n", POST | {"since": "2026-02-01", "until": "2026-01-01"}, {"/until"}),
        ("rosters/440305-desk", {"layers": [{"name": "x", "turns": [["off-01"], []], "length": "1m", "starts_at": "2026-11-01"}]},
         {"/layers/0/length", "/layers/0/turns/1"}),
        ("rosters/440305-desk",
         {"layers": [], "swaps": [{"person": "off-01", "by": "ghost", "start": "2026-11-02", "until": "2026-11-01"}]},
         {"/swaps/0/by", "/swaps/0/until"}),
        ("rosters/440305-desk", {"layers": [], "time_zone": "UTC"}, {"/time_zone"}),
        ("rosters/440305", {"layers": []}, {"/desk"}),
    ],
)  # fmt: skip
async def test_every_error_is_pointed_at(stage: Stage, path: str, body: Any, pointers: set[str]) -> None:
    before = len(stage.producer.records("people"))
    answer = await put(stage, path, body)
    assert answer.status_code == 422, answer.text
    assert {error["pointer"] for error in answer.json()["errors"]} == pointers
    assert len(stage.producer.records("people")) == before


async def test_an_import_is_all_or_nothing_and_the_same_again_writes_nothing(stage: Stage) -> None:
    path, headers = "/v1/people:import", {"Authorization": "Bearer key-admin"}
    before = len(stage.producer.records("people"))
    wrong = {
        "users": [{"id": "new-1", "name": "新", "org": "x"}],
        "posts": [{"id": "p", "user": "ghost", "role": "officer", "division": "440305"}],
    }
    refused = await stage.http.post(path, json=wrong, headers=headers)
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/posts/0/user"]
    assert "new-1" not in stage.people.register.users
    looked = await stage.http.post(path, json=wrong | {"posts": []}, headers=headers, params={"dry_run": "true"})
    assert looked.json() == {"users": 1, "posts": 0, "rosters": 0}
    assert (await stage.http.post(path, json=SAMPLE, headers=headers)).json() == {"users": 6, "posts": 6, "rosters": 1}
    assert len(stage.producer.records("people")) == before
    assert (await stage.http.post(path, json=wrong | {"posts": []}, headers=headers)).status_code == 200
    assert len(stage.producer.records("people")) == before + 1
    for body in (b"{", b"\xff", b"[" * 5000):
        assert (await stage.http.post(path, content=body, headers=headers)).status_code == 422


async def test_what_kafka_did_not_take_is_said_and_a_repeat_is_harmless(stage: Stage) -> None:
    stage.producer.away = True
    assert (await put(stage, "posts/n", POST)).status_code == 503
    assert "n" not in stage.people.register.posts
    stage.producer.away = False
    assert (await put(stage, "posts/n", POST)).status_code == 204


async def test_overrides_and_swaps_of_a_put_roster_hold_at_once(stage: Stage) -> None:
    span = {"start": "2026-11-22 09:00", "until": "2026-11-22 10:00"}
    assert (
        await put(stage, "rosters/440305-desk", ROSTER | {"overrides": [{"person": "boss-1", "reason": "flood"} | span]})
    ).status_code == 204
    assert [one["person"] for one in (await stage.get(DUTY, who="admin")).json()["persons"]] == ["boss-1"]
    assert stage.people.register.rosters["440305-desk"].overrides == (Override("boss-1", NOW - HOUR // 2, NOW + HOUR // 2, "flood"),)
    assert (await put(stage, "rosters/440305-desk", ROSTER | {"swaps": [{"person": "off-01", "by": "boss-1"} | span]})).status_code == 204
    assert [one["person"] for one in (await stage.get(DUTY, who="admin")).json()["persons"]] == ["boss-1", "off-02"]


async def test_the_new_routes_are_described(stage: Stage) -> None:
    document = (await stage.http.get("/openapi.json")).json()
    wanted = {
        "/v1/sessions": "post", "/v1/sessions/current": "delete", "/v1/me": "get", "/v1/me/password": "put", "/v1/people:import": "post",
        "/v1/desks/{division}/{level}/duty": "get", "/v1/rosters/{desk}/gaps": "get", "/v1/people/users/{id}": "put",
        "/v1/people/posts/{id}": "put", "/v1/people/rosters/{id}": "put",
    }  # fmt: skip
    for path, method in wanted.items():
        told = document["paths"][path][method]
        assert told["summary"]
        assert "401" in told["responses"]
        for media in told.get("requestBody", {}).get("content", {}).values():
            assert media["schema"]["$ref"].rpartition("/")[2] in document["components"]["schemas"]
    assert {"key", "session"} <= set(document["components"]["securitySchemes"])
    assert msgspec.json.encode(document)
