"""A real gateway process on a real broker, for tests and benchmarks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.realms import Realm
from services.keys import ensure_default_keys
from services.settings import as_environment, load
from tests.helpers import until

SERVED = (Realm.LIVE, Realm.SANDBOX, Realm.REPLAY)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running one: its URL, the default keys by name, its data directory and process id."""

    url: str
    keys: dict[str, str]
    data_dir: Path
    pid: int


@contextmanager
def gateway(
    bootstrap: str,
    data_dir: Path,
    read_url: str = "http://127.0.0.1:9",
    rate_limit: str = "1000000/second",
    module: str = "services.cli",
) -> Iterator[Gateway]:
    """Starts `liandong run gateway`; without `read_url` no read port answers. Ends it by SIGTERM. `module`: another than liandong's own,
    for a negative control."""
    settings = load(data_dir, bootstrap=bootstrap, read_url=read_url, rate_limit=rate_limit)
    keys = ensure_default_keys(settings.keys_file, settings.secrets_file, SERVED)
    note = settings.run_dir / "gateway.json"
    note.unlink(missing_ok=True)
    log = data_dir / "gateway.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", module, "run", "gateway", "--data-dir", str(data_dir)],
            env={**os.environ, **as_environment(settings)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        ready = until(lambda: note.exists() or child.poll() is not None, f"the gateway is ready, see {log}", seconds=60)
        assert ready
        assert child.poll() is None, log.read_text(encoding="utf-8")[-2000:]
        yield Gateway(f"http://127.0.0.1:{json.loads(note.read_text())['port']}", keys, data_dir, child.pid)
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
