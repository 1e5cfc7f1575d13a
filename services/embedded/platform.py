"""One platform on one machine: which processes it has, how they find each other, and running them under the supervisor."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from services import logs
from services.clock import now_ms
from services.embedded import metrics
from services.embedded.broker import Broker
from services.embedded.ports import free_port, keep
from services.embedded.state import clean_up, created_at, read_state, take_lock
from services.embedded.supervisor import Child, Report, Supervisor
from services.embedded.topics import ensure_topics
from services.keys import ensure_default_keys
from services.process import Process, write_private
from services.settings import Settings, as_environment
from streams.agents import process_names

GATEWAY_PORT, DASHBOARD_PORT = 8780, 8781
"""Tried first when no port is asked for; a free one when another platform has them."""
TOPICS_THERE = "topics"
"""Name of the gate file run/topics.json: processes load their libraries while the broker starts, and go on when it is there."""
EPHEMERAL_MARK = ".ephemeral"


class CannotStart(Exception):
    """A directory or port can't be used as asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    note: Callable[[str], None]  # a line of progress
    report: Report
    on_ready: Callable[[dict[str, Any]], None]  # given the facts: URLs, keys


async def run_platform(settings: Settings, *, simulate: bool, ephemeral: bool, tell: Callbacks, stop: asyncio.Event) -> None:
    """Runs a platform till `stop`. Raises AlreadyRunning, StartError, BrokerError, JavaError, JarError, CannotStart, TopicError."""
    lock = take_lock(settings.data_dir)
    try:
        logs.configure("supervisor")
        previous = read_state(settings.state_file)
        for name in await asyncio.to_thread(clean_up, previous):
            tell.note(f"ended {name}, left over from a killed supervisor")
        _claim(settings.data_dir, ephemeral)
        shutil.rmtree(settings.run_dir, ignore_errors=True)
        settings.run_dir.mkdir(parents=True)
        metrics.watch_clock()
        own = Process(settings, "supervisor")
        own.serve_metrics()

        broker = None
        if not settings.bootstrap:
            if settings.replication_factor > 1:
                raise CannotStart("the embedded broker is a single one: replication_factor must be 1, or bootstrap must name a cluster.")
            broker = Broker(settings.data_dir / "broker", settings.broker_port, heap_mb=settings.broker_heap_mb, java=settings.java)
            tell.note("preparing the Kafka broker")
            await asyncio.to_thread(broker.prepare)
        settings = _with_addresses(settings, broker, previous)
        facts = _facts(settings, own.metrics_port)
        children = python_children(settings, simulate)
        if broker:
            children.insert(0, _broker_child(settings, broker))
        else:
            await _open_gate(settings)
        supervisor = Supervisor(settings, children, facts, tell.report)
        await supervisor.run(stop, lambda: tell.on_ready(facts))
    finally:
        if ephemeral and (settings.data_dir / EPHEMERAL_MARK).exists():
            shutil.rmtree(settings.data_dir, ignore_errors=True)
        lock.close()


def python_children(settings: Settings, simulate: bool) -> list[Child]:
    """The processes of our own, in the order in which they are started."""
    names = ["warehouse", "gateway", "dashboard", "notifier", *process_names(settings.realm_list)]
    children = [_python(settings, name, after=[TOPICS_THERE], stop_stage=2) for name in names]
    if simulate:
        children.append(_python(settings, "simulation", after=[TOPICS_THERE, "gateway"], stop_stage=1))
    return children


def _python(settings: Settings, name: str, after: list[str], stop_stage: int) -> Child:
    command = [sys.executable, "-m", "services.cli", "run", name, "--data-dir", str(settings.data_dir), "--after", ",".join(after)]
    # One malloc arena per core and thread wastes memory in processes that are mostly one thread.
    return Child(name, command, as_environment(settings) | {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}, stop_stage=stop_stage)


def _broker_child(settings: Settings, broker: Broker) -> Child:
    async def open_gate() -> None:
        await _open_gate(settings)

    ready: Callable[[], Awaitable[bool]] = broker.is_ours
    return Child("broker", broker.command(), is_ready=ready, once_ready=open_gate, stop_stage=3)


async def _open_gate(settings: Settings) -> None:
    await ensure_topics(
        settings.bootstrap,
        settings.realm_list,
        settings.partitions,
        settings.department_list,
        replication_factor=settings.replication_factor,
    )
    write_private(settings.run_dir / f"{TOPICS_THERE}.json", '{"ready": true}')


def _with_addresses(settings: Settings, broker: Broker | None, previous: dict[str, Any]) -> Settings:
    """Fixes all ports before anything starts, so that every process knows every address and keeps it over restarts."""
    gateway = _port(settings.gateway_port, previous.get("gateway", ""), GATEWAY_PORT)
    dashboard = _port(settings.dashboard_port, previous.get("dashboard", ""), DASHBOARD_PORT)
    read = _port(settings.read_port, previous.get("read", ""), 0)
    return settings.model_copy(
        update={
            "bootstrap": broker.bootstrap if broker else settings.bootstrap,
            "gateway_port": gateway,
            "dashboard_port": dashboard,
            "read_port": read,
            "gateway_url": f"http://127.0.0.1:{gateway}",
            "dashboard_url": f"http://127.0.0.1:{dashboard}",
            "read_url": f"http://127.0.0.1:{read}",
        }
    )


def _port(asked: int, last_url: str, preferred: int) -> int:
    """The port asked for; else last time's, the preferred one, or any, whichever is free first."""
    if asked:
        if not keep(asked):
            raise CannotStart(f"port {asked} is taken; choose another one, or 0 for a free one.")
        return asked
    last = int(last_url.rsplit(":", 1)[-1]) if last_url else 0
    return next((port for port in (last, preferred) if port and keep(port)), None) or free_port()


def _facts(settings: Settings, metrics_port: int) -> dict[str, Any]:
    return {
        "supervisor_pid": os.getpid(),
        "supervisor_created": created_at(os.getpid()),
        "supervisor_command": psutil.Process().cmdline(),
        "supervisor_metrics_port": metrics_port,
        "started_at": now_ms(),
        "ready": False,
        "bootstrap": settings.bootstrap,
        "gateway": settings.gateway_url,
        "dashboard": settings.dashboard_url,
        "read": settings.read_url,
        "realms": [str(realm) for realm in settings.realm_list],
        "keys": ensure_default_keys(settings.keys_file, settings.secrets_file, settings.realm_list),
    }


def _claim(data_dir: Path, ephemeral: bool) -> None:
    """An ephemeral platform starts empty and leaves nothing; it never takes a directory that holds anything else."""
    mark = data_dir / EPHEMERAL_MARK
    if not ephemeral:
        mark.unlink(missing_ok=True)
        return
    others = [path for path in data_dir.iterdir() if path.name not in ("supervisor.lock", EPHEMERAL_MARK, "logs")]
    if others and not mark.exists():
        raise CannotStart(f"{data_dir} holds data; an ephemeral platform would delete it. Choose another --data-dir.")
    for path in others:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    mark.touch()
