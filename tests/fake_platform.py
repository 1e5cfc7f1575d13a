"""A supervisor with tiny children, as a process of its own: `python -m tests.fake_platform DATA_DIR NAME...`.

A child writes run/NAME.json like a real one, counts its starts in starts-NAME, and does what its name says:
`good-*` stays, `brief-*` ends at once with 7 before it is ready, `deaf-*` ignores SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil

from services.embedded.state import AlreadyRunning, clean_up, created_at, read_state, take_lock
from services.embedded.supervisor import Child, StartError, Supervisor
from services.settings import Settings, load

CHILD = """
import json, os, pathlib, signal, sys, time
data, name = pathlib.Path(sys.argv[1]), sys.argv[2]
with (data / f"starts-{name}").open("a") as file:
    file.write(f"{os.getpid()} {time.monotonic()}\\n")
if name.startswith("brief"):
    print("nothing to live for", flush=True)
    sys.exit(7)
if name.startswith("deaf"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
(data / "run").mkdir(exist_ok=True)
(data / "run" / f"{name}.json").write_text(json.dumps({"name": name, "pid": os.getpid(), "ready": True, "port": 1, "metrics_port": 2}))
while True:
    signal.pause()
"""


def child(data_dir: Path, name: str) -> Child:
    return Child(name, [sys.executable, "-c", CHILD, str(data_dir), name])


async def body(settings: Settings, names: list[str]) -> None:
    lock = take_lock(settings.data_dir)
    for name in clean_up(read_state(settings.state_file), seconds=1):
        print(f"cleaned {name}", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    facts = {
        "supervisor_pid": os.getpid(),
        "supervisor_created": created_at(os.getpid()),
        "supervisor_command": psutil.Process().cmdline(),
        "ready": False,
    }
    supervisor = Supervisor(settings, [child(settings.data_dir, name) for name in names], facts)
    await supervisor.run(stop, lambda: print("ready", flush=True), seconds=20)
    lock.close()


def main() -> None:
    settings = load(Path(sys.argv[1]), stop_seconds=0.5)
    try:
        asyncio.run(body(settings, sys.argv[2:]))
    except (StartError, AlreadyRunning) as error:
        print(error, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
