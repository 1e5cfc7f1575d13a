"""The worker processes: one Faust app each. Faust owns the loop, so this `serve` is a plain function."""

from __future__ import annotations

import asyncio
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
    settings = process.settings
    lane, realm = lane_of(process.name)
    (settings.data_dir / "faust").mkdir(parents=True, exist_ok=True)  # Faust makes only the last folder
    app = build_app(
        lane,
        WorkerSettings(
            bootstrap=settings.bootstrap,
            partitions=settings.partitions,
            realms=(realm,) if realm else settings.realm_list,
            departments=settings.department_list,
            data_dir=str(settings.data_dir),
            version=version("liandong"),
            failpoints=process.failpoints,
        ),
        process.registry,
        on_ready=process.ready,
    )
    _run(app)


def _run(app: App) -> None:
    import uvloop

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = faust.Worker(app, loop=loop, loglevel=None, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.execute_from_commandline()  # Faust handles SIGTERM: it drains and exits
