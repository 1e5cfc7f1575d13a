"""All real files through a running platform at full speed, and servicenow's end compared case by case.

    python -m tests.replay.full --data-dir D [--only servicenow]

Prints one JSON object; exit code 1 when a case differs, an outcome is missing or `liandong reconcile` is not exact.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer

from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.ids import case_id
from schemas.realms import Realm
from schemas.topics import INCIDENT_EVENTS, OUTCOMES
from services.embedded.state import read_state
from tests.replay.files import DATA, FILES, MAPPINGS, Last, last_rows, mapped_rows

NAMES = ("montco_911", "nyc_ems", "servicenow")
PRODUCER = "demo-producer"
SAMPLE = 500


def cli(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "services.cli", *arguments, "--json"], capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"exit_code": done.returncode, "error": done.stderr[-2000:]}
    return found | {"exit_code": done.returncode}


async def log(bootstrap: str, topic: str) -> AsyncIterator[bytes]:
    """Every value of a topic of realm replay up to its present end, in order within a partition."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", max_partition_fetch_bytes=4 << 20
    )
    await consumer.start()
    try:
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    yield record.value
    finally:
        await consumer.stop()


async def outcome_counts(bootstrap: str) -> dict[str, int]:
    """By command, outcome, reason and rule: each refusal under its name."""
    counts: Counter[str] = Counter()
    read = codec(Outcome)
    async for value in log(bootstrap, OUTCOMES.in_realm(Realm.REPLAY)):
        outcome = read.decode(value)
        counts[" ".join(filter(None, (outcome.name, outcome.outcome, outcome.reason, outcome.rule)))] += 1
    return dict(counts)


async def compare_log(bootstrap: str, expected: dict[str, Last]) -> dict[str, Any]:
    """The newest event of every case against the file's last row. `liandong reconcile` proves that the tables hold these events."""
    found: dict[str, Last] = {}
    read = codec(IncidentEvent)
    async for value in log(bootstrap, INCIDENT_EVENTS.in_realm(Realm.REPLAY)):
        event = read.decode(value)
        if event.mirrored:
            found[event.case_id] = Last(event.state, event.reassignments, event.reopens)
    wanted = {case_id(Realm.REPLAY, PRODUCER, external_id): last for external_id, last in expected.items()}
    different = {case: {"file": last, "platform": found.get(case)} for case, last in wanted.items() if found.get(case) != last}
    return {"cases": len(wanted), "equal": len(wanted) - len(different), "differences": dict(list(different.items())[:20])}


async def compare_reads(state: dict[str, Any], expected: dict[str, Last]) -> dict[str, Any]:
    """A sample of cases by the public read route."""
    headers = {"Authorization": f"Bearer {state['keys']['admin']}"}
    sample = random.Random(1).sample(sorted(expected), min(SAMPLE, len(expected)))
    different: dict[str, Any] = {}
    async with httpx.AsyncClient(base_url=state["read"], headers=headers, timeout=30, trust_env=False) as client:
        for external_id in sample:
            answer = await client.get(f"/v1/cases/{case_id(Realm.REPLAY, PRODUCER, external_id)}", params={"realm": "replay"})
            case = answer.json()
            found = Last(case["state"], case["reassignments"], case["reopens"]) if answer.status_code == 200 else None
            if found != expected[external_id]:
                different[external_id] = {"file": expected[external_id], "platform": found, "status": answer.status_code}
    return {"cases": len(sample), "equal": len(sample) - len(different), "differences": different}


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
        for name, comparing in (("log", compare_log(state["bootstrap"], expected)), ("reads", compare_reads(state, expected))):
            report[f"servicenow_{name}"] = found = asyncio.run(comparing)
            well &= found["equal"] == found["cases"]
    report["outcomes"] = asyncio.run(outcome_counts(state["bootstrap"]))
    well &= sum(report["outcomes"].values()) >= sum(replay.get("accepted", 0) for replay in report["replays"].values())
    report["reconcile"] = cli("reconcile", "--data-dir", str(given.data_dir))
    well &= report["reconcile"]["exit_code"] == 0
    report["well"] = well
    json.dump(report, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
