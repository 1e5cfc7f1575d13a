"""`liandong people`: what it prints and how it ends; the gateway's answers are given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from services.commands import people
from services.people.passwords import Passwords

USERS = "工号,姓名,单位\na-1,李雷,x\nb-1,韩,x\n"
Answer = httpx.Response | Callable[[httpx.Request], httpx.Response]


class Gateway:
    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Answer] = {}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        found = self.answers.get((request.method, request.url.path), httpx.Response(404, json={"title": "Unknown", "detail": "none"}))
        return found if isinstance(found, httpx.Response) else found(request)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """Answers instead of the platform's; any data directory has one that runs."""
    made, client = Gateway(), httpx.Client
    state = {"gateway": "http://gateway", "realms": ["live"], "keys": {"admin": "key"}}
    monkeypatch.setattr(people, "running", lambda data_dir: (None, state))
    monkeypatch.setattr("httpx.Client", lambda **more: client(transport=httpx.MockTransport(made), base_url=more["base_url"]))
    return made


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    def call(*words: str, **more: Any) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        ended = CliRunner().invoke(people.app, [*words, "--data-dir", str(tmp_path)], **more)
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, ended.stdout, ended.stderr

    return call


Run = Callable[..., tuple[int, str, str]]


def test_an_import_is_sent_whole_and_errors_come_back_by_row_and_column(gateway: Gateway, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "人员.csv"
    file.write_text(USERS, encoding="gb18030")
    gateway.answers["POST", "/v1/people:import"] = httpx.Response(200, json={"users": 2})
    code, out, told = run("import", str(file))
    assert (code, out) == (0, "")
    assert "read 2 users, 0 posts, 0 rosters" in told
    assert "taken" in told
    sent = gateway.asked[-1]
    assert [user["name"] for user in json.loads(sent.content)["users"]] == ["李雷", "韩"]
    assert (sent.headers["authorization"], sent.url.params["dry_run"]) == ("Bearer key", "false")
    run("import", "--check", str(file))
    assert gateway.asked[-1].url.params["dry_run"] == "true"
    problem = {"title": "x", "errors": [{"pointer": "/users/1/name", "reason": "bad_value", "detail": "too short"}]}
    gateway.answers["POST", "/v1/people:import"] = httpx.Response(422, json=problem)
    code, out, _ = run("import", str(file), "--json")
    assert code == 1
    assert json.loads(out)["errors"] == [{"file": "人员.csv", "row": 3, "column": "姓名", "detail": "too short"}]
    code, out, told = run("import", str(file))
    assert code == 1
    assert {"人员.csv", "3", "姓名", "short"} <= set(told.split())
    gateway.answers["POST", "/v1/people:import"] = httpx.Response(503, json={"title": "Away", "detail": "Kafka"})
    assert run("import", str(file))[0] == 1
    assert run("import", str(tmp_path / "none.csv"))[0] == 2


def test_changes_go_in_and_out_by_csv_and_errors_come_back_by_row(gateway: Gateway, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "替班.csv"
    file.write_text("值班席,替班人,被替人,起,止\n440305-desk,a-1,,2026-11-22,2026-11-23\n", encoding="utf-8-sig")
    gateway.answers["POST", "/v1/people/changes:import"] = httpx.Response(200, json={"changes": 1})
    code, out, told = run("import-changes", str(file), "--dry-run", "--replace")
    assert (code, out, "read 1 changes" in told, told.endswith("right\n")) == (0, "", True, True)
    assert gateway.asked[-1].url.params["dry_run"] == "true"
    row = {"desk": "440305-desk", "by": "a-1", "start": "2026-11-22", "until": "2026-11-23"}
    assert json.loads(gateway.asked[-1].content) == {"changes": [row], "replace": True}
    problem = {"title": "x", "errors": [{"pointer": "/changes/0/by", "reason": "bad_value", "detail": "there is no user a-1"}]}
    gateway.answers["POST", "/v1/people/changes:import"] = httpx.Response(422, json=problem)
    code, out, _ = run("import-changes", str(file), "--json")
    assert (code, json.loads(out)) == (
        1, {"right": False, "taken": False, "changes": 1,
            "errors": [{"file": "替班.csv", "row": 2, "column": "替班人", "detail": "there is no user a-1"}]},
    )  # fmt: skip
    over = {"person": "a-1", "start": 1_795_276_800_000, "until": 1_795_363_200_000, "reason": "sick"}
    rosters = [{"desk": desk, "overrides": [over], "swaps": []} for desk in ("440305-desk", "440106-desk")]
    gateway.answers["GET", "/v1/people/rosters"] = httpx.Response(200, json={"items": rosters, "next": None})
    assert run("export-changes", "440300", "--output", str(file))[0] == 0
    assert file.read_bytes().startswith(b"\xef\xbb\xbf"), "Excel reads it as UTF-8"
    assert file.read_text(encoding="utf-8-sig").splitlines()[1:] == ["440305-desk,a-1,,2026-11-22 00:00,2026-11-23 00:00,sick"]
    assert len(run("export-changes")[1].splitlines()) == 3
    assert run("export-changes", "999999")[0] == 2


def test_a_list_is_read_page_by_page(gateway: Gateway, run: Run) -> None:
    row = {"id": "a-1", "name": "李雷", "org": "x", "active": True, "posts": ["p"], "channels": ["sms"], "password": True}
    pages = {"": {"items": [row], "next": "a-1"}, "a-1": {"items": [row | {"id": "b-1", "active": False}], "next": None}}
    gateway.answers["GET", "/v1/people/users"] = lambda request: httpx.Response(200, json=pages[request.url.params["after"]])
    for as_json in (True, False):
        code, out, _ = run("list", *(["--json"] if as_json else []))
        assert code == 0
        shown = [one["id"] for one in json.loads(out)] if as_json else [line.split()[0] for line in out.splitlines()[1:]]
        assert shown == ["a-1", "b-1"]
        assert [request.url.params["after"] for request in gateway.asked[-2:]] == ["", "a-1"]
    assert run("list", "cats")[0] == 2


def test_duty_says_who_and_till_when_and_that_nobody_is(gateway: Gateway, run: Run) -> None:
    found = {"desk": "440305-desk", "division_name": "深圳市南山区", "at": 1_795_311_000_000, "on_duty": 1, "roster": True,
             "persons": [{"person": "a-1", "name": "李雷"}], "next_change": 1_795_348_800_000}  # fmt: skip
    gateway.answers["GET", "/v1/desks/440305/county/duty"] = httpx.Response(200, json=found)
    said = "440305-desk 深圳市南山区 2026-11-22 09:30: 李雷 (a-1), till 2026-11-22 20:00"
    assert run("duty", "440305-desk")[:2] == (0, said + "\n")
    nobody = found | {"on_duty": 0, "persons": [], "next_change": None}
    gateway.answers["GET", "/v1/desks/440305/county/duty"] = httpx.Response(200, json=nobody)
    code, out, _ = run("duty", "440305", "--at", "2026-11-22")
    assert (code, out.endswith("nobody is on duty\n")) == (1, True)
    assert gateway.asked[-1].url.params["at"] == "2026-11-22"
    assert run("duty", "999999")[0] == 2
    assert run("duty", "440300")[0] == 2


def test_gaps_are_listed_and_end_with_one(gateway: Gateway, run: Run) -> None:
    gap = {"start": 1_795_311_000_000, "until": 1_795_348_800_000}
    found = {"rosters": 3, "with_gaps": [{"desk": "440305-desk", "gaps": [gap], "minutes": 630}]}
    gateway.answers["GET", "/v1/rosters"] = httpx.Response(200, json=found)
    code, out, _ = run("gaps", "440300", "--days", "2")
    assert code == 1
    assert "440305-desk  2026-11-22 09:30  2026-11-22 20:00" in out
    asked = gateway.asked[-1].url.params
    assert (asked["division"], int(asked["until"]) - int(asked["since"])) == ("440300", 2 * 86_400_000)
    gateway.answers["GET", "/v1/rosters"] = httpx.Response(200, json=found | {"with_gaps": []})
    assert run("gaps", "--json")[0] == 0


def test_a_first_password_comes_by_standard_input_and_never_by_the_command_line(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("password", "a-1", "--stdin", input="a-long-enough-one\n")
    assert (code, "a-long" in out) == (0, False)
    assert Passwords(tmp_path / "passwords.json").check("a-1", "a-long-enough-one")
    assert run("password", "a-1", "--stdin", input="short\n")[0] == 2
    assert run("password", "a-1", "a-long-enough-one")[0] == 2
    assert Passwords(tmp_path / "passwords.json").check("a-1", "a-long-enough-one")
