"""What a platform's data directory knows about its running processes: lock, state.json, and cleaning up after a kill -9."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from services.process import write_private


class AlreadyRunning(Exception):
    """Another supervisor holds this data directory."""


@dataclass(slots=True)
class ChildState:
    """One process as state.json shows it."""

    state: str = "waiting"  # waiting, starting, ready, backing off, stopping, stopped
    pid: int = 0
    created: float = 0.0  # start time as the kernel tells it, s: with the command it proves that a pid is still ours
    command: list[str] = field(default_factory=list)
    restarts: int = 0
    last_exit: int | None = None
    port: int = 0
    metrics_port: int = 0

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def take_lock(data_dir: Path) -> IO[str]:
    """Holds the data directory as long as the answer is open; a kill -9 frees it. Raises AlreadyRunning."""
    private_directory(data_dir)
    file = (data_dir / "supervisor.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise AlreadyRunning(f"a platform runs in {data_dir} already: `liandong status`, `liandong down`.") from None
    return file


def private_directory(data_dir: Path) -> None:
    """Makes the directory if it is missing, for its owner only: it holds keys and sealed data."""
    if not data_dir.exists():
        data_dir.mkdir(parents=True, mode=0o700)


def is_locked(data_dir: Path) -> bool:
    """Whether a supervisor runs here."""
    if not (data_dir / "supervisor.lock").exists():
        return False
    try:
        take_lock(data_dir).close()
    except AlreadyRunning:
        return True
    return False


def read_state(state_file: Path) -> dict[str, Any]:
    """The state as last written; empty if there is none."""
    try:
        found: dict[str, Any] = json.loads(state_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def write_state(state_file: Path, state: dict[str, Any]) -> None:
    write_private(state_file, json.dumps(state, ensure_ascii=False, indent=1))


def created_at(pid: int) -> float:
    """Start time of a process, s; 0 if there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def still_ours(pid: int, created: float, command: list[str]) -> psutil.Process | None:
    """The process, if `pid` is still the one we started and no other that was given the same number since."""
    if pid <= 1 or pid == os.getpid() or not command:
        return None
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < 1.0 and process.cmdline() == command
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def clean_up(state: dict[str, Any], seconds: float = 10.0) -> list[str]:
    """Ends what a killed supervisor left behind, by its state.json; answers the names. Never touches a process that isn't provably ours."""
    found: dict[str, psutil.Process] = {}
    for name, row in state.get("processes", {}).items():
        process = still_ours(row["pid"], row["created"], row["command"])
        if process:
            found[name] = process
    _end((process for name, process in found.items() if name != "broker"), seconds)
    _end((process for name, process in found.items() if name == "broker"), seconds)
    return sorted(found)


def _end(processes: Iterable[psutil.Process], seconds: float) -> None:
    """SIGTERM, and SIGKILL for those that need longer. A frozen one is woken first: it couldn't hear."""
    asked = list(processes)
    for process in asked:
        try:
            process.resume()
            process.terminate()
        except psutil.Error:
            continue
    for process in psutil.wait_procs(asked, timeout=seconds)[1]:
        try:
            process.kill()
        except psutil.Error:
            continue
        psutil.wait_procs([process], timeout=5)
