"""`liandong run NAME`: one process of the platform, as the supervisor starts it. For machines: no Typer, no colours."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from schemas.realms import Realm
from services import process, settings
from services.priority import OTHERS, yield_processor
from streams.agents import lanes_of, process_names

MODULES = {
    "gateway": "services.gateway.main",
    "dashboard": "services.dashboard.main",
    "notifier": "services.notifier.main",
    "warehouse": "services.warehouse.main",
    "simulation": "services.embedded.simulation",
}
WORKER = "services.worker"
"""Of the lanes of streams.agents, by names such as relay, case-live and lanes-sandbox."""
GATE_POLL = 0.02  # s
EXIT_SECONDS = 10.0
"""For the interpreter's own end: it takes less than one, the engine of an embedded ClickHouse some more on a busy machine."""


def module_of(name: str) -> str:
    """Where the process of this name is; "" when there is none."""
    return MODULES.get(name) or (WORKER if lanes_of(name) else "")


def run(arguments: Sequence[str]) -> int:
    """Loads the process's module, waits for what it needs, serves; answers the exit code. From then on it has EXIT_SECONDS left."""
    parser = argparse.ArgumentParser(prog="liandong run")
    parser.add_argument("name")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--after", default="", help="names, comma separated, that must be ready first")
    given = parser.parse_args(arguments)
    module = module_of(given.name)
    if not module:
        parser.error(f"no process is called {given.name}; there are {', '.join((*MODULES, *process_names(Realm)))}")
    yield_processor(OTHERS.get(given.name, 0))
    try:
        return _serve(given.name, module, given.data_dir, given.after)
    finally:
        end_hard_after(EXIT_SECONDS)


def _serve(name: str, module: str, data_dir: Path | None, after: str) -> int:
    # Until the process has a loop of its own that drains, SIGTERM simply ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serve: Callable[[process.Process], Any] = import_module(module).serve
    loaded = settings.load(data_dir)
    for needed in filter(None, after.split(",")):
        while not (loaded.run_dir / f"{needed}.json").exists():
            time.sleep(GATE_POLL)
    return process.run(process.Process(loaded, name), serve)


def end_hard_after(seconds: float) -> None:
    """Whatever hangs then, in a handler at exit, a thread or a destructor: the kernel ends the process (SIGALRM, exit code -14), for its
    supervisor may be dead and nobody else would."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
