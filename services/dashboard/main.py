"""The dashboard process: screens, snapshot proxy, live stream."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from services.dashboard.app import SNAPSHOT_SECONDS, build_app
from services.dashboard.live import Hub
from services.http import serve_http
from services.keys import KeyStore
from services.process import Process


async def serve(process: Process) -> None:
    """Runs till `process.stop`. An error of the hub ends the process; streams are resumed from the next one."""
    settings = process.settings
    hub = Hub(settings.bootstrap, settings.realm_list)
    await hub.start()
    process.health(lambda: _facts(hub))
    async with httpx.AsyncClient(base_url=settings.read_url, timeout=SNAPSHOT_SECONDS) as reader:
        app = build_app(hub, KeyStore(settings.keys_file), settings.realm_list, reader)
        following = asyncio.create_task(hub.run())
        serving = asyncio.create_task(serve_http(process, app, settings.dashboard_port, timeout_keep_alive=30))
        stopping = asyncio.create_task(process.stop.wait())
        try:
            await asyncio.wait({following, serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            hub.close()
            if following.done():
                following.result()
            await serving
        finally:
            for task in (following, serving, stopping):
                task.cancel()
            await asyncio.gather(following, serving, stopping, return_exceptions=True)
            await hub.stop()


def _facts(hub: Hub) -> dict[str, Any]:
    age = hub.broker_age_ms()
    return {"broker_age_ms": age, "ok": age < 10_000}
