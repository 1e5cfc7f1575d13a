"""Agents against their peers: `python -m tests.bench.agent [records] [runs]`. Prints JSON, then a table.

Rows of design section 10: a stateless agent that decodes Avro, a count per key with changelog and an output, and the whole
case lane; beside a hand-written aiokafka loop with the same guarantees and Quix Streams, on one broker, in the same run.
Medians, and the spread as (max - min) / median; CPU-seconds of the worker and of the broker per run.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from schemas.topics import DEAD_LETTERS, INCIDENT_COMMANDS, INCIDENT_EVENTS, OUTCOMES
from services.embedded.broker import Broker
from tests.chaos.rig import command

PARTITIONS = 12
KEYS = 100_000
ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".cache" / "bench-peers"
ROWS = (*((mode, peer) for mode in ("stateless", "stateful") for peer in ("ours", "hand", "quix")), ("case", "ours"))


async def fill(bootstrap: str, records: int) -> None:
    """`records` commands, uniform over 100,000 cases (fewer when there are fewer records)."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    names = [topic.name for topic in (INCIDENT_COMMANDS, INCIDENT_EVENTS, OUTCOMES, DEAD_LETTERS)]
    names += [f"{INCIDENT_COMMANDS.name}.{peer}" for peer in ("hand.out", "hand.changelog", "quix.out")]
    names += ["stateful-changelog", "case-changelog"]
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type="lz4", linger_ms=20, max_batch_size=500_000)
    await producer.start()
    writer = codec(IncidentCommand)
    cases = min(KEYS, records)
    for number in range(records):
        made = command(number % cases, number // cases)
        await producer.send(INCIDENT_COMMANDS.name, writer.encode(made), key=made.case_id.encode())
    await producer.stop()


def quix_python() -> str:
    """The interpreter of the peer's own environment, made from its lock; "" where it cannot be had."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        lock = ROOT / "deploy" / "requirements" / "bench.txt"
        made = subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=False).returncode == 0
        install = [str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(lock)]
        if not made or subprocess.run(install, check=False).returncode:
            return ""
    return str(python)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one(peer: str, mode: str, broker: Broker, records: int) -> dict[str, Any]:
    script = [str(Path(__file__).parent / "peers" / "quix.py")] if peer == "quix" else ["-m", f"tests.bench.peers.{peer}"]
    python = quix_python() if peer == "quix" else sys.executable
    if not python:
        return {}
    before = cpu_of(broker.pid)
    arguments = [python, *script, broker.bootstrap, INCIDENT_COMMANDS.name, str(records), mode]
    environment = os.environ | {"PARTITIONS": str(PARTITIONS)}
    ran = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    _, found, figures = ran.stdout.rpartition('{"seconds"')  # a library may have written before it
    if not found:
        sys.exit(f"{peer} {mode} gave no figure:\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(found + figures)
    return measured | {"broker_cpu_seconds": cpu_of(broker.pid) - before}


def summary(peer: str, mode: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    rates = [run["records"] / run["seconds"] for run in runs]
    per_cpu = [run["records"] / run["cpu_seconds"] for run in runs]
    middle = statistics.median(rates)
    return {
        "mode": mode, "peer": peer, "per_second": round(middle), "spread": round((max(rates) - min(rates)) / middle, 2),
        "per_cpu_second": round(statistics.median(per_cpu)),
        "broker_cpu_seconds": round(statistics.median(run["broker_cpu_seconds"] for run in runs), 2),
    }  # fmt: skip


def main() -> None:
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number in range(runs):
        with tempfile.TemporaryDirectory() as home:
            broker = Broker(Path(home) / "broker", heap_mb=512).start()
            try:
                asyncio.run(fill(broker.bootstrap, records))
                for mode, peer in ROWS:
                    figures = one(peer, mode, broker, records)
                    if figures:
                        found.setdefault((mode, peer), []).append(figures)
                        print(f"run {number + 1}: {mode} {peer} {figures['records'] / figures['seconds']:,.0f}/s", file=sys.stderr)
            finally:
                broker.stop()
    rows = [summary(peer, mode, figures) for (mode, peer), figures in found.items()]
    print(json.dumps({"records": records, "keys": min(KEYS, records), "runs": runs, "cores": os.cpu_count(), "rows": rows}))
    print(f"{'job':<10} {'peer':<6} {'records/s':>10} {'spread':>7} {'per CPU-s':>10} {'broker CPU-s':>13}")
    for row in rows:
        print(
            f"{row['mode']:<10} {row['peer']:<6} {row['per_second']:>10,} {row['spread']:>7} {row['per_cpu_second']:>10,}"
            f" {row['broker_cpu_seconds']:>13}"
        )


if __name__ == "__main__":
    main()
