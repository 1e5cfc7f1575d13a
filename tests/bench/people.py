"""People of a whole province: `python -m tests.bench.people [officers of each town]`. Prints JSON.

Every town gets officers with posts and a roster of three layers. Measured on a real broker and a gateway process: the import over HTTP,
how long another process reads until it knows all, the gaps of the whole province, and single questions.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

from schemas.divisions import divisions
from schemas.realms import Realm
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from services.people.directory import following
from services.settings import load
from tests.gateways import Gateway, gateway

NOW = 1_795_311_000_000
DAY_MS = 86_400_000
PARTITIONS = 12


def province(officers: int) -> dict[str, Any]:
    towns = [code for code, place in divisions().items() if place.level == "town"]
    people: dict[str, Any] = {"users": [], "posts": [], "rosters": []}
    for town in towns:
        names = [f"{town}-{number}" for number in range(officers)]
        for name in names:
            people["users"].append(
                {"id": name, "name": f"某{name}", "org": f"{town}-desk", "channels": [{"kind": "phone", "address": "020-12345678"}]}
            )
            people["posts"].append({"id": f"p-{name}", "user": name, "role": "officer", "division": town})
        night = {"start": "18:00", "until": "08:30", "days": "working"}
        layers = [
            {"name": "节假日", "turns": [[name] for name in names], "length": "1d", "starts_at": "2026-01-01",
             "windows": [{"start": "00:00", "until": "24:00", "days": "free"}]},
            {"name": "夜班", "turns": [[name] for name in names], "length": "1d", "starts_at": "2026-01-01", "windows": [night]},
            {"name": "日班", "turns": [names[:2], names[2:4]], "length": "1w", "starts_at": "2026-01-05",
             "windows": [{"start": "08:30", "until": "17:30", "days": "working"}]},
        ]  # fmt: skip
        people["rosters"].append({"desk": f"{town}-desk", "layers": layers})
    return people


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return round(time.perf_counter() - began, 2), found


async def reading(bootstrap: str, data_dir: Path) -> dict[str, Any]:
    """A process that begins now, as the notifier does."""
    directory, topic = following(load(data_dir, bootstrap=bootstrap), "bench")
    began, before = time.perf_counter(), psutil.Process().memory_info().rss
    following_it = asyncio.create_task(topic.run())
    while not directory.register.ready:
        await asyncio.sleep(0.01)
    took = time.perf_counter() - began
    following_it.cancel()
    desks = sorted(directory.desks())
    each = [timed(partial(directory.on_duty, desk, NOW)) for desk in desks]
    gaps = [timed(partial(directory.gaps, desk, NOW, NOW + 7 * DAY_MS)) for desk in desks]
    return {
        "known_after_s": round(took, 2),
        "memory_mb": round((psutil.Process().memory_info().rss - before) / 1e6, 1),
        "on_duty_with_contacts_us_p50": round(statistics.median(each)),
        "gaps_of_7_days_ms_p50": round(statistics.median(gaps) / 1e3, 2),
    }


def timed(work: Callable[[], Any]) -> float:
    """Microseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e6


def over_http(running: Gateway, people: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {running.keys['admin']}"}
    with httpx.Client(base_url=running.url, headers=headers, timeout=120, trust_env=False) as http:
        found: dict[str, Any] = {}
        for name in ("import_s", "the_same_again_s"):
            found[name], answer = seconds(lambda: http.post("/v1/people:import", json=people).raise_for_status())
        found["taken"] = answer.json()
        found["gaps_of_the_province_s"], gaps = seconds(lambda: http.get("/v1/rosters", params={"since": NOW}).raise_for_status())
        found["rosters_with_gaps"] = len(gaps.json()["with_gaps"])
        asked = [timed(lambda: http.get("/v1/desks/440305001/town/duty").raise_for_status()) for _ in range(200)]
        found["duty_ms_p50"] = round(statistics.median(asked) / 1e3, 2)
        return found


def main() -> None:
    officers = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    people = province(officers)
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "broker", heap_mb=256).start()
        try:
            asyncio.run(ensure_topics(broker.bootstrap, (Realm.LIVE,), PARTITIONS))
            data_dir = Path(folder) / "data"
            data_dir.mkdir()
            with gateway(broker.bootstrap, data_dir) as running:
                found = over_http(running, people)
                found["gateway_mb"] = round(psutil.Process(running.pid).memory_info().rss / 1e6)
            found["another_process"] = asyncio.run(reading(broker.bootstrap, data_dir))
            with gateway(broker.bootstrap, data_dir) as running:
                headers = {"Authorization": f"Bearer {running.keys['admin']}"}

                def known() -> None:
                    while httpx.get(f"{running.url}/v1/rosters", headers=headers, timeout=60, trust_env=False).status_code == 503:
                        time.sleep(0.05)

                found["after_a_restart_s"], _ = seconds(known)
        finally:
            broker.stop()
    print(json.dumps({name: len(rows) for name, rows in people.items()} | found, ensure_ascii=False))


if __name__ == "__main__":
    main()
