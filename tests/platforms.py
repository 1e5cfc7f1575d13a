"""Running whole platforms from tests, by the command line as people do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIANDONG = (sys.executable, "-m", "services.cli")


def liandong(*arguments: str, seconds: float = 180, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end; AssertionError with what it said when it fails."""
    ran = subprocess.run([*LIANDONG, *arguments], capture_output=True, text=True, timeout=seconds, check=False)
    assert not check or ran.returncode == 0, f"liandong {' '.join(arguments)} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}"
    return ran


@dataclass(frozen=True, slots=True)
class Platform:
    """What `up --detach --json` printed."""

    data_dir: Path
    gateway: str
    dashboard: str
    bootstrap: str
    keys: dict[str, str]
    pids: dict[str, int]

    def status(self) -> dict[str, Any]:
        """`status --json`, also when not all is ready."""
        found: dict[str, Any] = json.loads(
            liandong("status", "--json", "--window", "0.5", "--data-dir", str(self.data_dir), check=False).stdout
        )
        return found

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / "state.json").read_text(encoding="utf-8"))
        return found

    def headers(self, key: str = "producer") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[key]}"}

    def down(self) -> None:
        liandong("down", "--data-dir", str(self.data_dir))


def up(data_dir: Path, *options: str) -> Platform:
    """Starts a platform on free ports; the caller ends it."""
    ran = liandong("up", "--detach", "--json", "--data-dir", str(data_dir), "--gateway-port", "0", "--dashboard-port", "0", *options)
    return Platform(data_dir, **json.loads(ran.stdout))


@contextmanager
def running(data_dir: Path, *options: str) -> Iterator[Platform]:
    try:
        yield up(data_dir, *options)
    finally:
        liandong("down", "--data-dir", str(data_dir), check=False)
