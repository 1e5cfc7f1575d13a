"""Runs a platform's processes: starts them in parallel, restarts what ends, stops all in order, leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import structlog

from services.embedded import metrics
from services.embedded.loglines import last_words
from services.embedded.spawn import spawn
from services.embedded.state import ChildState, created_at, write_state
from services.settings import Settings

POLL = 0.05  # s between looks at the children
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # s of back-off: doubled after every end, reset after CALM
CALM = 60.0  # s of being ready after which earlier ends are forgotten
LOG_BYTES, LOG_LOOK = 32_000_000, 60.0  # size at which a log is moved to NAME.log.1, and s between looks
EARLY_ENDS = 3  # ends before the first readiness after which a start is given up


@dataclass(frozen=True, slots=True)
class Child:
    """A process to run. It is ready when `is_ready` says so or, without one, when it has written run/NAME.json itself."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    is_ready: Callable[[], Awaitable[bool]] | None = None
    once_ready: Callable[[], Awaitable[None]] | None = None
    """Done once, after the first readiness and before the child counts as ready."""
    stop_stage: int = 1  # lower ones are stopped first


class StartError(Exception):
    """The platform didn't come up; the text says which process, its last log lines and what to do."""


class Report(Protocol):
    """Told about every change, for people."""

    def __call__(self, name: str, child: ChildState) -> None: ...


class Supervisor:
    def __init__(self, settings: Settings, children: Sequence[Child], facts: dict[str, Any], report: Report | None = None) -> None:
        """`facts`: what state.json says beside the processes (URLs, keys)."""
        self._settings = settings
        self._specs = list(children)
        self._facts = facts
        self._report = report
        self._log = structlog.get_logger("supervisor")
        self._states = {child.name: ChildState(command=child.command) for child in children}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ready = {child.name: asyncio.Event() for child in children}
        self._broken = asyncio.Event()
        self._why = ""
        self._stopping = False

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None], seconds: float = 180.0) -> None:
        """Starts all, calls `on_ready` once, keeps them running till `stop`. Raises StartError. Always ends every child."""
        keepers = [asyncio.create_task(self._guarded(spec)) for spec in self._specs]
        keepers.append(asyncio.create_task(self._trim_logs()))
        stopped, broken = asyncio.create_task(stop.wait()), asyncio.create_task(self._broken.wait())
        ends: set[asyncio.Future[Any]] = {stopped, broken}
        try:
            if await self._all_ready(ends, seconds) and not stopped.done():
                self._facts["ready"] = True
                self._write()
                on_ready()
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.is_set():
                raise StartError(self._why)
        finally:
            stopped.cancel()
            broken.cancel()
            self._stopping = True
            await self._stop_all()
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def _all_ready(self, ends: set[asyncio.Future[Any]], seconds: float) -> bool:
        """True when all are ready, False when one of `ends` came first. Raises StartError when it takes too long."""
        everything: asyncio.Future[Any] = asyncio.gather(*(event.wait() for event in self._ready.values()))
        done, _ = await asyncio.wait({everything} | ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if everything in done:
            return True
        everything.cancel()
        if not done:
            late = [name for name, event in self._ready.items() if not event.is_set()]
            raise StartError(f"not ready after {seconds:g} s: {', '.join(late)}.\n{self._tail(late[0])}")
        return False

    async def _guarded(self, spec: Child) -> None:
        """An error of ours (no disk, topics refused) ends the platform instead of leaving a child unwatched."""
        try:
            await self._keep(spec)
        except Exception as error:
            self._log.exception("giving up", child=spec.name)
            self._fail(f"{spec.name}: {error}")

    def _is_stopping(self) -> bool:
        return self._stopping

    def _fail(self, why: str) -> None:
        self._why = self._why or why
        self._broken.set()

    async def _keep(self, spec: Child) -> None:
        """One child's life: start, watch, back off, start again."""
        state, ends, pause = self._states[spec.name], 0, FIRST_PAUSE
        while not self._is_stopping():
            ready_since = await self._once(spec)
            if self._is_stopping():
                return
            ends += 1
            if ready_since and time.monotonic() - ready_since > CALM:
                pause = FIRST_PAUSE
            if not self._ready[spec.name].is_set() and ends >= EARLY_ENDS:
                self._fail(f"{spec.name} ended {ends} times while starting, last with {state.last_exit}.\n{self._tail(spec.name)}")
            state.restarts += 1
            metrics.RESTARTS.labels(spec.name).inc()
            self._log.warning("process ended", child=spec.name, exit=state.last_exit, restarts=state.restarts, pause_s=pause)
            self._changed(spec.name, "backing off")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _once(self, spec: Child) -> float | None:
        """Starts the child and waits for its end; answers since when it was ready (monotonic s), None if never."""
        state, note = self._states[spec.name], self._note(spec.name)
        note.unlink(missing_ok=True)
        # A failpoint is armed for the first life only: the second one has to show that it recovers.
        env = spec.env | {"LIANDONG_FAILPOINT": ""} if state.restarts else spec.env
        process = spawn(spec.command, self._log_file(spec.name), env)
        self._running[spec.name] = process
        state.pid, state.created = process.pid, created_at(process.pid)
        self._changed(spec.name, "starting")
        ready_since = None
        while process.poll() is None:
            if ready_since is None and await self._is_ready(spec, process.pid):
                if spec.once_ready and not self._ready[spec.name].is_set():
                    await spec.once_ready()
                ready_since = time.monotonic()
                self._ready[spec.name].set()
                self._changed(spec.name, "ready")
            await asyncio.sleep(POLL)
        state.last_exit, state.pid = process.returncode, 0
        self._changed(spec.name, "stopped")
        return ready_since

    async def _is_ready(self, spec: Child, pid: int) -> bool:
        if spec.is_ready:
            return await spec.is_ready()
        try:
            note = json.loads(self._note(spec.name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        state = self._states[spec.name]
        state.port, state.metrics_port = note.get("port", 0), note.get("metrics_port", 0)
        return bool(note["ready"] and note["pid"] == pid)

    async def _stop_all(self) -> None:
        """SIGTERM stage by stage; SIGKILL for what needs longer than its drain limit."""
        for stage in sorted({spec.stop_stage for spec in self._specs}):
            names = [spec.name for spec in self._specs if spec.stop_stage == stage and spec.name in self._running]
            await asyncio.gather(*(self._stop_one(name) for name in names))

    async def _stop_one(self, name: str) -> None:
        process = self._running[name]
        if process.poll() is None:
            self._changed(name, "stopping")
            process.send_signal(signal.SIGCONT)  # a frozen one could not hear
            process.terminate()
        deadline = time.monotonic() + self._settings.stop_seconds + 5.0
        while process.poll() is None:
            if time.monotonic() > deadline:
                self._log.error("killed: did not stop in time", child=name)
                process.kill()
                process.wait()
            await asyncio.sleep(POLL)
        self._states[name].last_exit, self._states[name].pid = process.returncode, 0
        self._changed(name, "stopped")

    async def _trim_logs(self) -> None:
        """Bounds the logs of a platform that runs for months. Children append, so an emptied file simply goes on."""
        while True:
            for log in self._settings.logs_dir.glob("*.log"):
                if log.stat().st_size > LOG_BYTES:
                    await asyncio.to_thread(shutil.copyfile, log, log.with_suffix(".log.1"))
                    os.truncate(log, 0)
            await asyncio.sleep(LOG_LOOK)

    def _changed(self, name: str, what: str) -> None:
        state = self._states[name]
        if state.state != what:
            state.state = what
            self._write()
            if self._report:
                self._report(name, state)

    def _write(self) -> None:
        processes = {name: state.as_json() for name, state in self._states.items()}
        write_state(self._settings.state_file, self._facts | {"processes": processes})

    def _note(self, name: str) -> Path:
        return self._settings.run_dir / f"{name}.json"

    def _log_file(self, name: str) -> Path:
        return self._settings.logs_dir / f"{name}.log"

    def _tail(self, name: str) -> str:
        log = self._log_file(name)
        return f"Last lines of {log}:\n{last_words(log)}"
