"""`liandong policy activate` and `active`, against the gateway's own routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from schemas.avro.activation.event import Activation
from schemas.codec import codec
from schemas.realms import Realm
from services.commands import policy_activate
from services.commands.policy import app
from tests.gateway_stage import NOW, Stage, open_stage

YEAR = 1_798_732_800_000  # 2027-01-01T00:00:00+08:00
ASKED = ("--realm", "live", "--reason", "2027年度")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A platform whose gateway stands in this process."""
    state = {"realms": ["live", "sandbox"], "gateway": "http://gateway", "keys": {"admin": "key-admin"}}
    monkeypatch.setattr(policy_activate, "running", lambda data_dir: (None, state))
    with asyncio.Runner() as runner:
        manager = open_stage(tmp_path)
        opened = runner.run(manager.__aenter__())
        transport = opened.http._transport

        def client(url: str, key: str) -> httpx.AsyncClient:
            return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, transport=transport)

        monkeypatch.setattr(policy_activate, "client", client)
        yield opened
        runner.run(manager.__aexit__(None, None, None))


def written(stage: Stage) -> list[Activation]:
    return [codec(Activation).decode(record.value) for record in stage.producer.records("config")]


@pytest.mark.parametrize(
    ("since", "moment"),
    [
        ("now", NOW),
        ("2027-01-01T00:00", YEAR),
        ("2027-01-01", YEAR),
        ("2026-12-31T16:00:00+00:00", YEAR),
    ],
)
def test_a_version_is_activated_from_a_moment_in_beijing_or_with_an_offset(stage: Stage, since: str, moment: int) -> None:
    result = run("activate", "2026.1", "--from", since, *ASKED)
    assert result.exit_code == 0, result.output
    (record,) = written(stage)
    assert (record.version, record.realm, record.active_from, record.reason, record.person) == ("2026.1", "live", moment, "2027年度", "p-1")
    assert "new cases get 2026.1. Open cases keep theirs." in result.stdout
    assert ("2027-01-01 00:00:00" if moment != NOW else "2026-11-22 09:30:00") in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("1999.1", "--from", "now"), 1, "/version: '1999.1': there are 2026.1"),
        (("2026.1", "--from", "2020-01-01"), 1, "/from: in the past"),
        (("2026.1", "--from", "tomorrow"), 2, "'tomorrow' is no time: write now"),
        (("2026.1",), 2, "--from"),
    ],
)
def test_what_is_refused_says_where_and_why(stage: Stage, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run("activate", *arguments, *ASKED)
    assert result.exit_code == code
    assert said in " ".join(result.output.split())
    assert written(stage) == []


def test_a_worker_that_does_not_know_the_version_is_named(stage: Stage) -> None:
    stage.workers.knows[Realm.LIVE] = ("2025.1",)
    result = run("activate", "2026.1", "--from", "now", *ASKED)
    assert result.exit_code == 1
    assert "case-live knows 2025.1" in result.stderr


def test_active_shows_what_holds_where_since_when_and_what_is_planned(stage: Stage) -> None:
    assert "live: 2026.1, nothing was activated" in run("active").stdout
    run("activate", "2026.1", "--from", "now", *ASKED)
    run("activate", "2026.1", "--from", "2027-01-01", *ASKED)
    lines = run("active").stdout.splitlines()
    assert lines == [
        "live: 2026.1, since 2026-11-22 09:30:00",
        "  standing  2026-11-22 09:30:00  2026.1  admin (p-1): 2027年度",
        "  planned   2027-01-01 00:00:00  2026.1  admin (p-1): 2027年度",
        "sandbox: 2026.1, nothing was activated, so the newest one of the release",
    ]
    answer: Any = json.loads(run("active", "--realm", "live", "--json").stdout)
    assert (answer["version"], answer["since"], len(answer["planned"])) == ("2026.1", NOW, 1)
    assert [one["realm"] for one in json.loads(run("active", "--json").stdout)] == ["live", "sandbox"]


def test_a_gateway_that_is_away_is_said_to_be(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(policy_activate, "client", lambda url, key: httpx.AsyncClient(base_url=url, transport=httpx.MockTransport(refuse)))
    result = run("active")
    assert result.exit_code == 1
    assert "the gateway does not answer (ConnectError)" in result.stderr


def test_what_is_planned_is_withdrawn_and_stays_on_record(stage: Stage) -> None:
    run("activate", "2026.1", "--from", "2027-01-01", *ASKED)
    result = run("withdraw", "--realm", "live", "--from", "2027-01-01T00:00", "--reason", "印发推迟")
    assert result.exit_code == 0, result.output
    assert result.stdout == "live: withdrawn. New cases get 2026.1; nothing else is planned.\n"
    assert [(one.version, one.active_from) for one in written(stage)] == [("2026.1", YEAR), ("", YEAR)]
    assert "  withdrawn 2027-01-01 00:00:00  -  admin (p-1): 印发推迟" in run("active").stdout.splitlines()
    again = run("withdraw", "--realm", "live", "--from", "2027-01-01T00:00", "--reason", "印发推迟")
    assert (again.exit_code, "/from: nothing is planned for then" in again.stderr) == (1, True)


@pytest.mark.parametrize("name", ["activate", "withdraw", "active"])
def test_the_help_of_each_command_has_an_example(name: str) -> None:
    assert f"Example: liandong policy {name}" in " ".join(run(name, "--help").stdout.split())


def test_the_example_of_the_help_does_what_it_says(stage: Stage) -> None:
    result = run("activate", "2026.1", "--realm", "live", "--from", "2027-01-01T00:00", "--reason", "2027年度")
    assert result.exit_code == 0, result.output
    assert written(stage)[0].active_from == YEAR
