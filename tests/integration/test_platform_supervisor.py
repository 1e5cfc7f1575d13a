"""The supervisor with tiny children: restarts, back-off, stopping, cleaning up after itself, several side by side."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.embedded.state import clean_up, created_at
from tests.helpers import until

Start = Callable[..., "Running"]


class Running:
    """One supervisor process and its data directory."""

    def __init__(self, data_dir: Path, names: tuple[str, ...]) -> None:
        self.data_dir = data_dir
        command = [sys.executable, "-m", "tests.fake_platform", str(data_dir), *names]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def state(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.data_dir / "state.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found if found["supervisor_pid"] == self.process.pid else {}

    def child(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = self.state().get("processes", {}).get(name, {})
        return row

    def is_ready(self) -> bool:
        return bool(self.state().get("ready"))

    def starts(self, name: str) -> list[float]:
        """When `name` was started, monotonic s."""
        text = (self.data_dir / f"starts-{name}").read_text(encoding="utf-8")
        return [float(line.split()[1]) for line in text.splitlines()]

    def ended(self, seconds: float = 20) -> tuple[int, str]:
        out, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, out


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def begin(*names: str, directory: str = "one") -> Running:
        started.append(Running(tmp_path / directory, names))
        return started[-1]

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()
        clean_up(json.loads(file.read_text()) if (file := running.data_dir / "state.json").exists() else {}, seconds=1)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_child_that_is_killed_is_started_again_and_counted(start: Start) -> None:
    running = start("good-a", "good-b")
    until(running.is_ready, "all ready")
    before = running.child("good-a")["pid"]
    os.kill(before, signal.SIGKILL)
    until(lambda: running.child("good-a").get("pid") not in (0, before, None) and running.child("good-a")["state"] == "ready", "a new one")
    assert running.child("good-a")["restarts"] == 1
    assert running.child("good-a")["last_exit"] == -signal.SIGKILL
    assert running.child("good-b")["restarts"] == 0


def test_pauses_between_restarts_grow(start: Start) -> None:
    running = start("good-a")
    until(running.is_ready, "ready")
    for count in range(1, 4):
        os.kill(until(lambda: running.child("good-a")["state"] == "ready" and running.child("good-a")["pid"], "running"), signal.SIGKILL)
        until(lambda count=count: running.child("good-a")["restarts"] == count, f"restart {count} reported")  # type: ignore[misc]
    until(lambda: len(running.starts("good-a")) == 4, "fourth start")
    times = running.starts("good-a")
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[1] > 1.0
    assert pauses[2] > 2.0


def test_a_child_that_never_gets_ready_ends_the_start_with_its_last_words(start: Start) -> None:
    running = start("good-a", "brief-b")
    code, said = running.ended()
    assert code == 1
    assert "brief-b ended 3 times while starting, last with 7" in said
    assert "nothing to live for" in said
    assert gone(running.state()["processes"]["good-a"]["pid"] or -1)


def test_sigterm_stops_every_child_even_a_deaf_or_frozen_one(start: Start) -> None:
    running = start("good-a", "deaf-b", "good-c")
    until(running.is_ready, "ready")
    pids = [running.child(name)["pid"] for name in ("good-a", "deaf-b", "good-c")]
    os.kill(pids[2], signal.SIGSTOP)
    running.process.terminate()
    assert running.ended()[0] == 0
    assert all(gone(pid) for pid in pids)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel tells children of their parent's death on Linux only")
def test_children_end_when_the_supervisor_is_killed(start: Start) -> None:
    running = start("good-a", "good-b")
    until(running.is_ready, "ready")
    pids = [running.child(name)["pid"] for name in ("good-a", "good-b")]
    running.process.kill()
    until(lambda: all(gone(pid) for pid in pids), "no orphan left", seconds=5)


def test_the_next_start_ends_what_a_killed_supervisor_left_running(start: Start) -> None:
    running = start("deaf-a", "good-b")
    until(running.is_ready, "ready")
    orphan = running.child("deaf-a")["pid"]
    running.process.kill()
    running.process.communicate()
    assert not gone(orphan)
    again = start("deaf-a", "good-b")
    until(again.is_ready, "ready again")
    assert gone(orphan)
    again.process.terminate()
    assert "cleaned deaf-a" in again.ended()[1]


def test_two_platforms_side_by_side_leave_each_other_alone(start: Start) -> None:
    one, two = start("good-a", directory="one"), start("good-a", directory="two")
    until(one.is_ready, "one ready")
    until(two.is_ready, "two ready")
    one.process.terminate()
    assert one.ended()[0] == 0
    assert two.process.poll() is None
    assert not gone(two.child("good-a")["pid"])


def test_one_directory_holds_one_platform(start: Start) -> None:
    first = start("good-a")
    until(first.is_ready, "ready")
    code, said = start("good-a").ended()
    assert code == 1
    assert "a platform runs in" in said
    assert not gone(first.child("good-a")["pid"])


def test_a_pid_that_now_belongs_to_somebody_else_is_left_alone() -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        command = until(lambda: psutil.Process(stranger.pid).cmdline(), "its command line")
        elsewhere = {"pid": stranger.pid, "created": created_at(stranger.pid), "command": ["java", "kafka.Kafka"]}
        earlier = {"pid": stranger.pid, "created": created_at(stranger.pid) - 3600, "command": command}
        assert clean_up({"processes": {"broker": elsewhere, "gateway": earlier}}, seconds=1) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
