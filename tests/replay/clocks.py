"""Boston's requests over a platform of their own into ClickHouse, in order and with late tellings shuffled in: the clock against the label.

    python -m tests.replay.clocks --data-dir D

Starts a platform in D, replays both, has `liandong reconcile` prove that nothing is missing, stops the platform and asks its tables. Prints
one JSON object; exit code 1 when a labelled request differs or the platform is not exact.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from schemas.ids import case_id
from schemas.realms import Realm
from services.settings import load
from services.warehouse.backend import open_warehouse
from tests.replay import boston
from tests.replay.files import DATA, FILES, MAPPINGS
from tests.replay.full import PRODUCER, cli

ORDERS = {"in order": ("boston-in-order:", False), "late shuffled in": ("boston-late:", True)}
FINAL = """
SELECT case_id, argMax(clock_breached_at, case_seq) AS breached_at, max(type = 'incident.clock_due') AS told
FROM incident_events WHERE realm = 'replay' AND clock = 'total' GROUP BY case_id
"""


def replayed(rows: list[dict[str, str]], data_dir: Path, scratch: Path) -> dict[str, Any]:
    found = {}
    for order, (prefix, shuffled) in ORDERS.items():
        told = scratch / "told.csv"
        boston.write(boston.told(rows, prefix, shuffled), told)
        mapping = MAPPINGS / "boston_311_cases.toml"
        found[order] = cli("replay", str(told), "--mapping", str(mapping), "--data-dir", str(data_dir), "--wait", "300")
        print(order, json.dumps(found[order], ensure_ascii=False), file=sys.stderr, flush=True)
    return found


def compared(rows: list[dict[str, str]], data_dir: Path) -> dict[str, Any]:
    """Of each order: labelled requests, how many the tables agree with, and some that they do not."""
    warehouse = open_warehouse(load(data_dir).warehouse_dir)
    try:
        with warehouse.reader() as handle:
            late = {row["case_id"]: row["breached_at"].timestamp() > 0 for row in handle.rows(FINAL)}
            told = sum(row["told"] for row in handle.rows(FINAL))
    finally:
        warehouse.close()
    found: dict[str, Any] = {"told_due": told}
    for order, (prefix, _) in ORDERS.items():
        expected = {case_id(Realm.REPLAY, PRODUCER, number): was for number, was in boston.labels(rows, prefix).items()}
        different = boston.differences(expected, late)
        found[order] = {
            "labelled": len(expected), "equal": len(expected) - len(different), "late": sum(expected.values()),
            "differences": dict(list(different.items())[:20]),
        }  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    data_dir: Path = parser.parse_args().data_dir
    rows = boston.requests(DATA / FILES["boston_311"])
    up = cli("up", "--data-dir", str(data_dir), "--detach", "--no-simulation", "--realms", "live,replay", "--gateway-port", "0",
             "--dashboard-port", "0")  # fmt: skip
    if up["exit_code"]:
        print(up["error"], file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory() as scratch:
            report: dict[str, Any] = {"replays": replayed(rows, data_dir, Path(scratch))}
        report["reconcile"] = cli("reconcile", "--data-dir", str(data_dir))["exit_code"]
    finally:
        subprocess.run([sys.executable, "-m", "services.cli", "down", "--data-dir", str(data_dir)], check=False, stdout=sys.stderr)
    report["clickhouse"] = compared(rows, data_dir)
    well = report["reconcile"] == 0
    well &= all(replay["exit_code"] == 0 for replay in report["replays"].values())
    well &= all(report["clickhouse"][order]["equal"] == report["clickhouse"][order]["labelled"] == boston.LABELLED for order in ORDERS)
    json.dump(report | {"well": well}, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
