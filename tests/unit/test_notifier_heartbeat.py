"""The dead man's sign: it goes out while all is well, and only then."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from services.notifier.heartbeat import beat, keep_beating, timers_by
from tests.webhooks import receiver


async def known() -> dict[str, Any]:
    return {"known": True, "late": 0}


async def beaten(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was heard while the facts were these, one after the other."""
    left = list(facts)
    done = asyncio.Event()

    def healthy() -> dict[str, Any]:
        if len(left) == 1:
            done.set()
        return left.pop(0) if len(left) > 1 else {"ok": False}

    with receiver() as server:
        async with httpx.AsyncClient(trust_env=False) as client:
            beating = asyncio.create_task(keep_beating(client, server.url, healthy, known, every=0))
            await asyncio.wait_for(done.wait(), 10)
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        return server.bodies()


async def test_it_says_what_one_may_check() -> None:
    said = await beaten([{"ok": True, "lag": 3, "realms": ["live"]}, {}])
    assert said == [{"ok": True, "lag": 3, "realms": ["live"], "timers": {"known": True, "late": 0}}]


async def test_it_is_withheld_while_the_process_is_not_well_and_comes_back() -> None:
    said = await beaten([{"ok": True, "n": 1}, {"ok": False}, {"n": 2}, {"ok": True, "n": 3}, {}])
    assert [one["n"] for one in said] == [1, 3]


@pytest.mark.parametrize("status", [200, 204, 301, 404, 500])
async def test_only_2xx_is_heard(status: int) -> None:
    with receiver() as server:
        server.answers = [status]
        async with httpx.AsyncClient(trust_env=False) as client:
            assert await beat(client, server.url, {}) is (status < 300)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "no url", "http://[::"])
async def test_a_listener_that_is_away_raises_nothing(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert await beat(client, url, {}) is False


async def test_deadlines_are_asked_of_the_read_port_and_may_be_unknown() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer k"
        return httpx.Response(200, json={"ok": True, "late": 0, "since": 0})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://read") as client:
        assert await timers_by(client, "k") == {"known": True, "ok": True, "late": 0, "since": 0}
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503)), base_url="http://read") as client:
        assert await timers_by(client, "k") == {"known": False}
