"""All real files through a running platform at full speed, and servicenow's end compared case by case.

    python -m tests.replay.full --data-dir D [--only servicenow]

Prints one JSON object; exit code 1 when a case differs, an outcome is missing or `liandong reconcile` is not exact.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer

from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.ids import case_id
from schemas.realms import Realm
from schemas.topics import OUTCOMES
from services.embedded.state import read_state
from tests.replay.files import DATA, FILES, MAPPINGS, Last, last_rows, mapped_rows

NAMES = ("montco_911", "nyc_ems", "servicenow")
PRODUCER = "demo-producer"
PATIENCE_S = 120.0  # for the last facts to become visible
READERS = 16


def cli(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "services.cli", *arguments, "--json"], capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"exit_code": done.returncode, "error": done.stderr[-2000:]}
    return found | {"exit_code": done.returncode}


async def outcome_counts(bootstrap: str) -> dict[str, int]:
    """From the log itself: outcomes of realm replay by command, outcome, reason and rule."""
    topic = OUTCOMES.in_realm(Realm.REPLAY)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=4 << 20)
    await consumer.start()
    counts: Counter[str] = Counter()
    read = codec(Outcome)
    try:
        partitions = consumer.assignment()
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    outcome = read.decode(record.value)
                    counts[" ".join(filter(None, (outcome.name, outcome.outcome, outcome.reason, outcome.rule)))] += 1
    finally:
        await consumer.stop()
    return dict(counts)


async def compare(state: dict[str, Any], expected: dict[str, Last]) -> dict[str, Any]:
    """Every case by the public read route against the file's last row."""
    waiting = dict(expected)
    differences: dict[str, Any] = {}
    deadline = time.monotonic() + PATIENCE_S
    headers = {"Authorization": f"Bearer {state['keys']['admin']}"}
    async with httpx.AsyncClient(base_url=state["read"], headers=headers, timeout=30, trust_env=False) as client:
        gate = asyncio.Semaphore(READERS)

        async def one(external_id: str, last: Last) -> tuple[str, Any]:
            async with gate:
                answer = await client.get(f"/v1/cases/{case_id(Realm.REPLAY, PRODUCER, external_id)}", params={"realm": "replay"})
            if answer.status_code != 200:
                return external_id, f"HTTP {answer.status_code}"
            case = answer.json()
            found = Last(case["state"], case["reassignments"], case["reopens"])
            return external_id, None if found == last else {"file": last, "platform": found}

        while waiting and time.monotonic() < deadline:
            results = await asyncio.gather(*(one(external_id, last) for external_id, last in waiting.items()))
            differences = {external_id: difference for external_id, difference in results if difference is not None}
            waiting = {external_id: expected[external_id] for external_id in differences}
            if waiting:
                await asyncio.sleep(1)
    return {"cases": len(expected), "equal": len(expected) - len(differences), "differences": dict(list(differences.items())[:20])}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", choices=NAMES, action="append")
    given = parser.parse_args()
    state = read_state(given.data_dir / "state.json")
    report: dict[str, Any] = {"replays": {}}
    for name in given.only or NAMES:
        mapping, data = MAPPINGS / f"{name}.toml", DATA / FILES[name]
        report["replays"][name] = cli("replay", str(data), "--mapping", str(mapping), "--data-dir", str(given.data_dir))
        print(name, json.dumps(report["replays"][name], ensure_ascii=False), file=sys.stderr, flush=True)
    well = all(replay["exit_code"] == 0 for replay in report["replays"].values())
    if "servicenow" in report["replays"]:
        expected = last_rows(mapped_rows("servicenow", DATA / FILES["servicenow"]))
        report["servicenow"] = asyncio.run(compare(state, expected))
        well &= report["servicenow"]["equal"] == len(expected)
    report["outcomes"] = asyncio.run(outcome_counts(state["bootstrap"]))
    report["reconcile"] = cli("reconcile", "--data-dir", str(given.data_dir))
    well &= report["reconcile"]["exit_code"] == 0
    report["well"] = well
    json.dump(report, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
