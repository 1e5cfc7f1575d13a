"""What processes do alike: readiness, health, ending."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from services import process as processes
from services.process import Process, write_private
from services.settings import load


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(load(tmp_path, stop_seconds=30), "gateway", CollectorRegistry())
    made.settings.run_dir.mkdir(parents=True)
    made.serve_metrics()
    yield made
    made.close()


def get(process: Process, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.metrics_port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_process_is_well_once_it_is_ready_and_until_it_stops(process: Process) -> None:
    assert get(process, "/health")[0] == 503
    process.ready(port=8080)
    assert get(process, "/health")[0] == 200
    process.stop.set()
    assert get(process, "/health")[0] == 503


def test_readiness_tells_the_supervisor_where_to_find_it(process: Process) -> None:
    process.ready(port=8080)
    note = json.loads((process.settings.run_dir / "gateway.json").read_text())
    assert note == {"name": "gateway", "pid": os.getpid(), "ready": True, "port": 8080, "metrics_port": process.metrics_port}


@pytest.mark.parametrize("facts", [{"ok": False, "why": "no broker"}, ZeroDivisionError()])
def test_a_bad_fact_and_a_crashing_probe_make_it_unwell(process: Process, facts: Any) -> None:
    def probe() -> dict[str, Any]:
        if isinstance(facts, Exception):
            raise facts
        return dict(facts)

    process.ready()
    process.health(probe)
    code, said = get(process, "/health")
    assert code == 503
    assert ("no broker" if isinstance(facts, dict) else "ZeroDivisionError") in said


def test_metrics_are_served(process: Process) -> None:
    Counter("liandong_test", "a test", registry=process.registry).inc(3)
    assert "liandong_test_total 3.0" in get(process, "/metrics")[1]


def test_sigterm_lets_it_drain_and_answers_0(tmp_path: Path) -> None:
    drained = []

    async def serve(process: Process) -> None:
        process.ready()
        os.kill(os.getpid(), signal.SIGTERM)
        await process.stop.wait()
        await asyncio.sleep(0)
        drained.append(process.name)

    assert processes.run(Process(load(tmp_path), "gateway", CollectorRegistry()), serve) == 0
    assert drained == ["gateway"]
    assert not (tmp_path / "run" / "gateway.json").exists()


def test_a_drain_that_is_over_is_not_ended_by_its_time_limit(tmp_path: Path) -> None:
    process = Process(load(tmp_path, stop_seconds=0.2), "gateway", CollectorRegistry())

    async def serve(process: Process) -> None:
        process.request_stop()

    assert processes.run(process, serve) == 0
    assert process._limit is not None
    process._limit.join(5)
    assert process._limit.finished.is_set()


def test_a_drain_that_hangs_is_ended(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, pathlib; from services import process, settings\n"
        "async def serve(p):\n    p.request_stop()\n    await asyncio.sleep(3600)\n"
        "sys.exit(process.run(process.Process(settings.load(pathlib.Path(sys.argv[1]), stop_seconds=0.2), 'gateway'), serve))"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, timeout=60, check=False).returncode == 3


HANGS = {
    "a handler at exit": "import atexit, threading; atexit.register(threading.Event().wait)",
    "a thread": "import threading; threading.Thread(target=threading.Event().wait).start()",
    "a destructor": "import threading\nclass Hung:\n    def __del__(self): threading.Event().wait()\nhung = Hung()",
}


@pytest.mark.parametrize("what", HANGS)
@pytest.mark.parametrize("ending", ["process.ready()", "raise RuntimeError", "raise SystemExit(2)"])
def test_a_process_that_hangs_after_it_has_served_is_ended_by_the_kernel(tmp_path: Path, what: str, ending: str) -> None:
    (tmp_path / "hanging.py").write_text(f"{HANGS[what]}\nasync def serve(process):\n    {ending}\n", encoding="utf-8")
    script = (
        "import sys; from services.commands import run; run.MODULES['gateway'] = 'hanging'; run.EXIT_SECONDS = 0.3; "
        "sys.exit(run.run(['gateway', '--data-dir', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    ended = subprocess.run(command, capture_output=True, timeout=60, check=False, env=os.environ | {"PYTHONPATH": path})
    assert ended.returncode == -signal.SIGALRM, ended.stderr.decode()[-2000:]


def test_a_process_that_ends_by_itself_is_not_ended_hard(tmp_path: Path) -> None:
    (tmp_path / "quick.py").write_text("async def serve(process):\n    process.ready()\n", encoding="utf-8")
    script = "import sys; from services.commands import run; run.MODULES['gateway'] = 'quick'; sys.exit(run.run(sys.argv[1:]))"
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    command = [sys.executable, "-c", script, "gateway", "--data-dir", str(tmp_path / "data")]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False, env=os.environ | {"PYTHONPATH": path}).returncode == 0


def test_an_unexpected_error_answers_1_and_takes_readiness_back(tmp_path: Path) -> None:
    async def serve(process: Process) -> None:
        process.ready()
        raise RuntimeError("unforeseen")

    assert processes.run(Process(load(tmp_path), "gateway", CollectorRegistry()), serve) == 1
    assert not (tmp_path / "run" / "gateway.json").exists()


@pytest.mark.parametrize(("code", "answer"), [(0, 0), (3, 3), (None, 0), ("said why", 1)])
def test_a_library_that_owns_the_loop_ends_with_its_own_code(tmp_path: Path, code: Any, answer: int) -> None:
    def serve(_process: Process) -> None:
        raise SystemExit(code)

    assert processes.run(Process(load(tmp_path), "relay", CollectorRegistry()), serve) == answer


def test_private_files_are_whole_and_private(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret.json"
    write_private(file, "old")
    write_private(file, "new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret.json"]
