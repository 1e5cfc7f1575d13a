"""The worker processes: one Faust app each. Faust owns the loop, so this `serve` is a plain function."""

from __future__ import annotations

import asyncio
import gc
from importlib.metadata import version

import faust

from schemas.policy.store import versions
from services import identity
from services.priority import yield_processor
from services.process import Process
from streams.agents import lane_of
from streams.app import App, WorkerSettings, build_app
from streams.engine.watchdog import Limits


def serve(process: Process) -> None:
    """Runs the lane named by the process till SIGTERM; then drains and returns."""
    process.health(lambda: {"policies": list(versions())})
    run(build(process, settings_of(process)))


def settings_of(process: Process) -> WorkerSettings:
    """The worker's settings, out of the platform's. Takes the worker's seat for as long as the process lives."""
    settings = process.settings
    _, realm = lane_of(process.name)
    return WorkerSettings(
        bootstrap=settings.bootstrap,
        partitions=settings.partitions,
        realms=(realm,) if realm else settings.realm_list,
        departments=settings.department_list,
        data_dir=str(settings.data_dir),
        version=version("liandong"),
        instance=identity.take(settings.data_dir / "faust", process.name) if settings.static_members else "",
        failpoints=process.failpoints,
        limits=Limits(drain=settings.stop_seconds),
    )


def build(process: Process, settings: WorkerSettings) -> App:
    """The app of the lane named by the process."""
    (process.settings.data_dir / "faust").mkdir(parents=True, exist_ok=True)  # Faust makes only the last folder
    lane, realm = lane_of(process.name)
    yield_processor(lane.nice_in(realm))
    return build_app(lane, settings, process.registry, on_ready=process.ready)


def run(app: App) -> None:
    """Runs a worker till SIGTERM; Faust handles it: it drains and exits."""
    import uvloop

    gc.freeze()  # reference data and modules live as long as the process: the collector need not walk them
    gc.set_threshold(50_000, 20, 100)  # a chunk makes tens of thousands of short-lived objects and no cycles
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    faust.Worker(app, loop=loop, loglevel=None, override_logging=False, redirect_stdouts=False, quiet=True).execute_from_commandline()
