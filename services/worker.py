"""The worker processes: a Faust app for each lane that the process runs. Faust owns the loop, so this `serve` is a plain function."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any

import faust

from schemas.policy.store import versions
from schemas.realms import Realm
from services import identity
from services.priority import yield_processor
from services.process import Process
from streams.agents import Lane, lanes_of
from streams.app import App, WorkerSettings, build_app
from streams.engine.metrics import WorkerMetrics
from streams.engine.watchdog import Limits


def serve(process: Process) -> None:
    """Runs the lanes named by the process till SIGTERM; then drains and returns."""
    process.health(lambda: {"policies": list(versions())})
    run(*build(process))


def build(process: Process, **changes: Any) -> list[App]:
    """The apps of the lanes named by the process, which is ready when all are. `changes`: of their settings, by tests. Takes their seats
    for as long as the process lives."""
    (process.settings.data_dir / "faust").mkdir(parents=True, exist_ok=True)  # Faust makes only the last folder
    named = lanes_of(process.name)
    yield_processor(min(lane.nice_in(realm) for lane, realm in named))
    metrics, ready = WorkerMetrics(process.registry), _all_of([lane.name for lane, _ in named], process.ready)
    return [
        build_app(lane, replace(_settings(process, lane, realm), **changes), metrics, on_ready=partial(ready, lane.name))
        for lane, realm in named
    ]


def _settings(process: Process, lane: Lane, realm: Realm | None) -> WorkerSettings:
    """The worker's settings, out of the platform's."""
    settings = process.settings
    seat = f"{lane.name}-{realm}" if realm else lane.name  # of the lane: whichever process runs it, its place in the group is one
    return WorkerSettings(
        bootstrap=settings.bootstrap,
        partitions=settings.partitions,
        realms=(realm,) if realm else settings.realm_list,
        departments=settings.department_list,
        data_dir=str(settings.data_dir),
        version=version("liandong"),
        instance=identity.take(settings.data_dir / "faust", seat) if settings.static_members else "",
        failpoints=process.failpoints,
        limits=Limits(drain=settings.stop_seconds),
    )


def _all_of(names: list[str], then: Callable[[], None]) -> Callable[[str], None]:
    """Calls `then` when the last of `names` has been said."""
    waiting = set(names)

    def said(name: str) -> None:
        waiting.discard(name)
        if not waiting:
            then()

    return said


def run(*apps: App) -> None:
    """Runs workers till SIGTERM; Faust handles it: they drain and the process exits."""
    import uvloop

    gc.freeze()  # reference data and modules live as long as the process: the collector need not walk them
    gc.set_threshold(50_000, 20, 100)  # a chunk makes tens of thousands of short-lived objects and no cycles
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    faust.Worker(*apps, loop=loop, loglevel=None, override_logging=False, redirect_stdouts=False, quiet=True).execute_from_commandline()
