"""The worker processes: one Faust app each. Faust owns the loop, so this `serve` is a plain function."""

from __future__ import annotations

import asyncio
import gc
from importlib.metadata import version

import faust

from schemas.realms import Realm
from services.process import Process
from streams.agents import LANES, Lane
from streams.app import App, WorkerSettings, build_app


def lane_of(name: str) -> tuple[Lane, Realm | None]:
    """`case-live` -> (case lane, live); `relay` -> (relay lane, None). KeyError for another name."""
    stem, _, realm = name.partition("-")
    lane = {lane.name: lane for lane in LANES}[stem]
    return lane, Realm(realm) if lane.per_realm else None


def names(realms: tuple[Realm, ...]) -> tuple[str, ...]:
    """Every worker process of a platform that serves these realms."""
    found: list[str] = []
    for lane in LANES:
        found += [f"{lane.name}-{realm}" for realm in realms] if lane.per_realm else [lane.name]
    return tuple(found)


def serve(process: Process) -> None:
    """Runs the lane named by the process till SIGTERM; then drains and returns."""
    run(build(process, settings_of(process)))


def settings_of(process: Process) -> WorkerSettings:
    """The worker's settings, out of the platform's."""
    settings = process.settings
    _, realm = lane_of(process.name)
    return WorkerSettings(
        bootstrap=settings.bootstrap,
        partitions=settings.partitions,
        realms=(realm,) if realm else settings.realm_list,
        departments=settings.department_list,
        data_dir=str(settings.data_dir),
        version=version("liandong"),
        failpoints=process.failpoints,
    )


def build(process: Process, settings: WorkerSettings) -> App:
    """The app of the lane named by the process."""
    (process.settings.data_dir / "faust").mkdir(parents=True, exist_ok=True)  # Faust makes only the last folder
    return build_app(lane_of(process.name)[0], settings, process.registry, on_ready=process.ready)


def run(app: App) -> None:
    """Runs a worker till SIGTERM; Faust handles it: it drains and exits."""
    import uvloop

    gc.freeze()  # reference data and modules live as long as the process: the collector need not walk them
    gc.set_threshold(50_000, 20, 100)  # a chunk makes tens of thousands of short-lived objects and no cycles
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    faust.Worker(app, loop=loop, loglevel=None, override_logging=False, redirect_stdouts=False, quiet=True).execute_from_commandline()
