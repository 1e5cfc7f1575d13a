"""The simulation against a gateway that comes and goes: in order, idempotent, bounded, and it stops."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from schemas.ids import case_id
from services.embedded.simulation import PRINCIPALS, Simulation, fresh_keys
from services.keys import KeyStore
from services.process import Process
from services.settings import Settings, load
from tests.helpers import until


class Gateway:
    """Takes every post; `trouble` may answer or raise first."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self.trouble: Callable[[httpx.Request], httpx.Response | None] = lambda _request: None
        self.pages = [[{"case_id": "foreign", "opened_at": 1}], [{"case_id": "leftover", "opened_at": 1}]]
        self.posts: list[tuple[str, str, str]] = []  # idempotency key, who, path
        self.commands: dict[str, list[tuple[str, int, str]]] = defaultdict(list)  # case -> (name, expected_seq, who)

    def read(self, path: str) -> dict[str, Any]:
        """One leftover of an earlier run and one case of somebody else, on two pages of the counties' work list."""
        if path.startswith("/v1/cases/"):
            case = path.rsplit("/", 1)[-1]
            mine = case == "leftover"
            return {"producer": "sim-producer" if mine else "demo", "state": "triaged", "division": "440305001", "seq": 3}
        return {"items": [], "next": None} if "/city/" in path else {"items": self.pages.pop(), "next": "more" if self.pages else None}

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self.trouble(request)
        if answer is not None:
            return answer
        principal = self._keys.find(request.headers["Authorization"].removeprefix("Bearer "))
        assert principal is not None
        assert request.url.params["realm"] == "sandbox"
        if request.method == "GET":
            return httpx.Response(200, json=self.read(request.url.path))
        self.posts.append((request.headers["Idempotency-Key"], principal.id, request.url.path))
        body: dict[str, Any] = json.loads(request.content)
        if request.url.path == "/v1/incidents":
            return httpx.Response(202, json={"case_id": case_id("sandbox", principal.id, body["external_id"])})
        _, _, _, case, _, name = request.url.path.split("/")
        self.commands[case].append((name, body["expected_seq"], principal.id))
        return httpx.Response(202, json={"command_id": "x"})


@asynccontextmanager
async def running(tmp_path: Path, **given: Any) -> AsyncIterator[tuple[Gateway, Process, asyncio.Task[None]]]:
    defaults: dict[str, Any] = {"gateway_url": "http://gateway", "sim_rate_per_minute": 3_000.0, "sim_speed": 1e6}
    settings: Settings = load(tmp_path, **defaults | given)
    settings.run_dir.mkdir(parents=True)
    keys = fresh_keys(settings)
    gateway = Gateway(KeyStore(settings.keys_file))
    process = Process(settings, "simulation", CollectorRegistry())
    async with httpx.AsyncClient(transport=httpx.MockTransport(gateway)) as client:
        task = asyncio.create_task(Simulation(process, client, keys).run())
        try:
            yield gateway, process, task
        finally:
            process.stop.set()
            await asyncio.wait_for(task, 5)


async def soon(probe: Callable[[], Any], what: str) -> None:
    await asyncio.to_thread(until, probe, what, 60.0)


async def test_cases_are_worked_to_their_end_by_two_people_each_step_expecting_the_seq_before_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, _, _):
        await soon(lambda: sum(any(name == "verify_ok" for name, _, _ in done) for done in gateway.commands.values()) > 20, "closed cases")
    gateway.commands.pop("leftover", None)
    for done in gateway.commands.values():
        assert [seq for _, seq, _ in done] == list(range(1, len(done) + 1))
        for name, _, who in done:
            assert who == ("sim-verifier" if name in ("verify_ok", "verify_fail", "reopen", "evaluate") else "sim-desk")
    assert {who for _, who, path in gateway.posts if path == "/v1/incidents"} == {"sim-producer"}


async def test_a_gateway_that_is_away_gets_the_same_key_again(tmp_path: Path) -> None:
    tried: list[str] = []

    def away(request: httpx.Request) -> httpx.Response | None:
        tried.append(request.headers.get("Idempotency-Key", "work list"))
        if len(tried) % 2:
            raise httpx.ConnectError("refused")
        return httpx.Response(503)

    async with running(tmp_path) as (gateway, _, _):
        gateway.trouble = away
        await soon(lambda: len(tried) > 20, "tries")
        gateway.trouble = lambda _request: None
        await soon(lambda: set(tried) - {"work list"} <= {key for key, _, _ in gateway.posts}, "all that was tried arrives")
    assert len({key for key, _, _ in gateway.posts}) == len(gateway.posts)


async def test_open_cases_stay_bounded(tmp_path: Path) -> None:
    async with running(tmp_path, sim_max_open=5, sim_speed=0.001) as (gateway, _, _):
        await soon(lambda: len(gateway.posts) >= 5, "five cases")
        await asyncio.sleep(0.5)
        captured = [key for key, _, path in gateway.posts if path == "/v1/incidents"]
    assert len(captured) == 5


async def test_a_refused_command_lets_go_of_the_case(tmp_path: Path) -> None:
    async with running(tmp_path, sim_speed=1e6) as (gateway, _, task):
        gateway.trouble = lambda request: httpx.Response(403) if "/commands/" in request.url.path else None
        await soon(lambda: len(gateway.posts) > 20, "captures go on")
        assert not task.done()


async def test_it_stops_while_the_gateway_is_away(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, process, task):
        gateway.trouble = lambda _request: httpx.Response(503)
        await asyncio.sleep(0.3)
        process.stop.set()
        await asyncio.wait_for(task, 2)


async def test_cases_of_an_earlier_run_are_brought_to_their_end_and_those_of_others_left_alone(tmp_path: Path) -> None:
    async with running(tmp_path, sim_rate_per_minute=0.001) as (gateway, _, _):
        await soon(lambda: len(gateway.commands["leftover"]) == 4, "the leftover is closed")
    assert [(name, seq) for name, seq, _ in gateway.commands["leftover"]] == [("assign", 3), ("sign", 4), ("report", 5), ("verify_ok", 6)]
    assert "foreign" not in gateway.commands


def test_a_restart_replaces_the_keys_of_the_run_before(tmp_path: Path) -> None:
    settings = load(tmp_path)
    first, second = fresh_keys(settings), fresh_keys(settings)
    store = KeyStore(settings.keys_file)
    assert all(store.find(key) is None for key in first.values())
    assert {name: store.find(key) for name, key in second.items()} == PRINCIPALS
