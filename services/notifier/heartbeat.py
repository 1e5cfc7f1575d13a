"""The dead man's sign: once a minute somebody outside hears that pages go out. When he no longer does, he calls us.

It goes out only while this process is healthy, and says what he may check: realms, how far behind, the last result, whether deadlines are
settled. A platform whose deadlines stand still is told as such; one that cannot say is silent about it, not about itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import structlog

from services.notifier import metrics

EVERY_SECONDS = 60.0
TRY_SECONDS = 10.0
log = structlog.get_logger("notifier")


async def beat(client: httpx.AsyncClient, url: str, proof: dict[str, Any]) -> bool:
    """One sign of life. Whether it was heard; never raises."""
    try:
        answer = await client.post(url, json=proof, timeout=TRY_SECONDS)
        heard = answer.is_success
    except (httpx.HTTPError, httpx.InvalidURL) as error:  # the kind only: the URL may hold a secret
        log.warning("heartbeat not heard", error=type(error).__name__)
        heard = False
    metrics.HEARTBEATS.labels("heard" if heard else "failed").inc()
    return heard


async def keep_beating(
    client: httpx.AsyncClient,
    url: str,
    healthy: Callable[[], dict[str, Any]],
    timers: Callable[[], Awaitable[dict[str, Any]]],
    every: float = EVERY_SECONDS,
) -> None:
    """Runs till it is cancelled. `healthy`: the facts of /health; `timers`: how the deadlines stand, asked for each beat."""
    while True:
        facts = healthy()
        if facts.get("ok"):
            await beat(client, url, facts | {"timers": await timers()})
        else:
            metrics.HEARTBEATS.labels("withheld").inc()
        await asyncio.sleep(every)


async def timers_by(client: httpx.AsyncClient, key: str) -> dict[str, Any]:
    """What the read port knows of deadlines: how many lie in the past untold. `known` False: it does not answer."""
    with contextlib.suppress(httpx.HTTPError, ValueError):
        answer = await client.get(
            "/internal/timers", params={"realm": "live"}, headers={"Authorization": f"Bearer {key}"}, timeout=TRY_SECONDS
        )
        if answer.is_success:
            return {"known": True, **answer.json()}
    return {"known": False}
