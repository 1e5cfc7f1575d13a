"""Where the processes of a data directory show their metrics, in Prometheus' file_sd form.

`python deploy/prometheus/targets.py DATA_DIR [--out FILE] [--every SECONDS]`; without --out it prints once. Standard library only.
Each process takes a free loopback port and leaves it in run/NAME.json; the supervisor's (of `liandong up`) is in state.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any


def targets(data_dir: Path) -> list[dict[str, Any]]:
    """One target a process, labelled with its name."""
    ports: dict[str, int] = {}
    for note in sorted((data_dir / "run").glob("*.json")):
        if port := json.loads(note.read_text(encoding="utf-8")).get("metrics_port"):
            ports[note.stem] = port
    state = data_dir / "state.json"
    if state.exists():
        ports["supervisor"] = json.loads(state.read_text(encoding="utf-8"))["supervisor_metrics_port"]
    return [{"targets": [f"127.0.0.1:{port}"], "labels": {"process": name}} for name, port in ports.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--every", type=float, default=0.0, help="seconds between two looks; 0: once")
    given = parser.parse_args()
    while True:
        text = json.dumps(targets(given.data_dir), indent=1)
        if given.out is None:
            print(text)
        else:
            given.out.parent.mkdir(parents=True, exist_ok=True)
            fresh = given.out.with_suffix(f".{os.getpid()}")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(given.out)
        if not given.every:
            return
        time.sleep(given.every)


if __name__ == "__main__":
    main()
