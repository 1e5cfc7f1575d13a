"""Throughput of one gateway process on a real broker: `python -m tests.bench.gateway [seconds]`.

Prints JSON, then a table: single posts (open connections, one post in flight each) and batches (NDJSON), each event
acknowledged by Kafka and in the ledger before its answer. Medians of the runs with their spread; CPU-seconds of gateway,
broker and of this load generator. The number of acknowledged ids is checked against the ledger.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import uvloop

from services.acks import AckReader
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from tests.gateways import SERVED, Gateway, gateway

RUNS = 5
PARTITIONS = 12
CONNECTIONS = 32
BATCH_CLIENTS = 3
BATCH_LINES = 5_000
FIELDS = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-22T08:30:00+08:00", "place": {"lon": 113.948, "lat": 22.553}}


class Connection:
    """One kept-alive HTTP/1.1 connection, as lean as can be: the generator shares the cores with what it measures."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(*self._address)

    async def post(self, path: str, media_type: str, body: bytes) -> tuple[int, bytes]:
        head = f"POST {path} HTTP/1.1\r\n{self._head}Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        return int(answer[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


async def singles(target: Gateway, seconds: float, run: str) -> tuple[int, list[float]]:
    """(events accepted, each one's seconds)."""
    until = time.monotonic() + seconds
    took: list[float] = []

    async def client(number: int) -> None:
        connection = Connection(target.url, target.keys["producer"])
        await connection.open()
        count = 0
        while (began := time.monotonic()) < until:
            body = json.dumps({**FIELDS, "event_id": f"{run}-{number}-{count}"}).encode()
            status, _ = await connection.post("/v1/incidents", "application/json", body)
            assert status == 202, status
            took.append(time.monotonic() - began)
            count += 1
        connection.close()

    await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))
    return len(took), took


async def batches(target: Gateway, seconds: float, run: str) -> tuple[int, list[float]]:
    """(events accepted, each batch's seconds). Bodies are made before the clock starts."""
    line = json.dumps({"kind": "incident", **FIELDS})[:-1]
    took: list[float] = []
    accepted = 0
    ready = [
        "\n".join(f'{line},"event_id":"{run}-{client}-%d-{number}"}}' for number in range(BATCH_LINES)) for client in range(BATCH_CLIENTS)
    ]
    until = time.monotonic() + seconds

    async def client(body: str) -> None:
        nonlocal accepted
        connection = Connection(target.url, target.keys["producer"])
        await connection.open()
        count = 0
        while (began := time.monotonic()) < until:
            status, answer = await connection.post("/v1/events:batch", "application/x-ndjson", body.replace("%d", str(count)).encode())
            good = answer.count(b'"status":202')
            bad = [row for row in answer.split(b"\n") if row and b'"status":202' not in row]
            assert status == 200 and not bad, (len(bad), bad[:1])  # noqa: PT018
            took.append(time.monotonic() - began)
            accepted += good
            count += 1
        connection.close()

    await asyncio.gather(*(client(body) for body in ready))
    return accepted, took


async def measure(target: Gateway, broker_pid: int, seconds: float) -> list[dict[str, Any]]:
    rows = []
    for name, load in (("single posts", singles), ("batched", batches)):
        for number in range(RUNS + 1):
            before = [_cpu(target.pid), _cpu(broker_pid), resource.getrusage(resource.RUSAGE_SELF).ru_utime]
            began = time.monotonic()
            events, took = await load(target, seconds, f"{name}-{number}-{os.getpid()}")
            wall = time.monotonic() - began
            after = [_cpu(target.pid), _cpu(broker_pid), resource.getrusage(resource.RUSAGE_SELF).ru_utime]
            if number:  # the first run warms up
                ordered = sorted(took)
                cpu = [round(b - a, 2) for a, b in zip(before, after, strict=True)]
                rows.append(
                    {
                        "what": name,
                        "events": events,
                        "per_second": round(events / wall),
                        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 1),
                        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
                        "cpu_gateway": cpu[0],
                        "cpu_broker": cpu[1],
                        "cpu_load": cpu[2],
                    }
                )
            else:
                rows.append({"what": name, "events": events, "warm_up": True})
    return rows


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "broker").start()
        try:
            asyncio.run(ensure_topics(broker.bootstrap, SERVED, PARTITIONS))
            with gateway(broker.bootstrap, Path(folder) / "data") as target:
                rows = uvloop.run(measure(target, broker.pid, seconds))
            ledger = sum(1 for _ in AckReader(target.data_dir / "acks"))
        finally:
            broker.stop()
    answered = sum(row["events"] for row in rows)
    print(json.dumps({"machine": {"cpus": os.cpu_count(), "load": os.getloadavg()}, "answered": answered, "ledger": ledger, "runs": rows}))
    assert answered == ledger, "an answer without a record in the ledger, or the other way round"
    for name in dict.fromkeys(row["what"] for row in rows):
        runs = [row for row in rows if row["what"] == name and "warm_up" not in row]
        rates = [row["per_second"] for row in runs]
        gateway_cpu = statistics.median(row["cpu_gateway"] / row["events"] * 1e6 for row in runs)
        broker_cpu = statistics.median(row["cpu_broker"] / row["events"] * 1e6 for row in runs)
        print(
            f"{name:14} {statistics.median(rates):>8,.0f}/s (of {min(rates):,} to {max(rates):,})"
            f"  p50 {statistics.median(r['p50_ms'] for r in runs)} ms  p99 {statistics.median(r['p99_ms'] for r in runs)} ms"
            f"  CPU per event: gateway {gateway_cpu:.0f} µs, broker {broker_cpu:.0f} µs"
        )


if __name__ == "__main__":
    main()
