"""Accepted to frame, open loop: `python -m tests.bench.latency [rate] [seconds]`. Prints JSON, then a table.

A whole platform without simulation. Posts start on a fixed schedule, whatever the answers take; a screen's stream is read
beside them: from the moment the 202 was read to the moment the case's frame was.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from tests.platforms import Platform, running

TYPES = ("A20600", "A20700", "M01001", "L05")
DIVISIONS = ("440305", "440106", "445102", "440703", "441900003", "440881")
WARM_UP_SECONDS = 5.0


async def frames(session: aiohttp.ClientSession, platform: Platform, seen: dict[str, float], up: asyncio.Event) -> None:
    """Notes when each case's frame arrived."""
    async with session.get(f"{platform.dashboard}/v1/live", headers=platform.headers("screen")) as answer:
        up.set()
        async for line in answer.content:
            if line.startswith(b"data: ") and b'"case_id"' in line:
                seen[json.loads(line[6:])["case_id"]] = time.perf_counter()


async def post(session: aiohttp.ClientSession, platform: Platform, number: int, accepted: dict[str, float]) -> None:
    body = {
        "type": TYPES[number % len(TYPES)], "division": DIVISIONS[number % len(DIVISIONS)],
        "occurred_at": "2026-11-22T08:00:00+08:00", "event_id": f"latency-{number}",
    }  # fmt: skip
    async with session.post(f"{platform.gateway}/v1/incidents", json=body, headers=platform.headers()) as answer:
        told: dict[str, Any] = await answer.json()
        if answer.status == 202:
            accepted[told["case_id"]] = time.perf_counter()


async def measure(platform: Platform, rate: float, seconds: float) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        seen: dict[str, float] = {}
        up = asyncio.Event()
        reader = asyncio.create_task(frames(session, platform, seen, up))
        await up.wait()
        await load(session, platform, rate, WARM_UP_SECONDS, -1_000_000, {})
        accepted: dict[str, float] = {}
        await load(session, platform, rate, seconds, 0, accepted)
        deadline = time.monotonic() + 20
        while len(accepted.keys() - seen.keys()) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        reader.cancel()
    waits = sorted(max(0.0, seen[case] - at) * 1000 for case, at in accepted.items() if case in seen)
    return {
        "rate": rate, "seconds": seconds, "posted": int(rate * seconds), "accepted": len(accepted), "frames": len(waits),
        "p50_ms": round(quantile(waits, 0.5), 1), "p90_ms": round(quantile(waits, 0.9), 1), "p99_ms": round(quantile(waits, 0.99), 1),
        "max_ms": round(waits[-1], 1), "cores": os.cpu_count(),
    }  # fmt: skip


async def load(
    session: aiohttp.ClientSession, platform: Platform, rate: float, seconds: float, first: int, accepted: dict[str, float]
) -> None:
    began, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(post(session, platform, first + number, accepted)))
    await asyncio.gather(*tasks)


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 200.0
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    with tempfile.TemporaryDirectory() as home, running(Path(home) / "data", "--no-simulation", "--realms", "live") as platform:
        found = uvloop.run(measure(platform, rate, seconds))
    print(json.dumps(found))
    print(
        f"accepted to frame at {rate:g}/s: "
        f"p50 {found['p50_ms']} ms, p90 {found['p90_ms']} ms, p99 {found['p99_ms']} ms, max {found['max_ms']} ms"
    )
    if found["frames"] != found["posted"]:
        sys.exit(f"{found['posted']} posted, {found['accepted']} accepted, {found['frames']} frames")


if __name__ == "__main__":
    main()
