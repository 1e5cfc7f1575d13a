"""`liandong down`: stops a platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import psutil
import typer

from services.commands.options import DEFAULT, DataDir, end
from services.embedded.state import clean_up, is_locked, read_state, still_ours, take_lock
from services.settings import load


def down(
    data_dir: DataDir = DEFAULT,
    seconds: Annotated[float, typer.Option(help="How long it may take.")] = 60.0,
) -> None:
    """Stop the platform in the data directory, and what a killed one left behind there."""
    settings = load(data_dir)
    state = read_state(settings.state_file)
    if not state:
        typer.echo(f"no platform has run in {data_dir}")
        return
    supervisor = still_ours(state["supervisor_pid"], state["supervisor_created"], state["supervisor_command"])
    if supervisor is None and not is_locked(settings.data_dir):
        left = _left_over(settings.data_dir, state)
        typer.echo(f"ended what a killed supervisor left: {', '.join(left)}" if left else f"nothing runs in {data_dir}")
        return
    if supervisor is None:
        end(f"{settings.data_dir} is held by a supervisor that is just starting; try again.")
    supervisor.terminate()
    try:
        supervisor.wait(seconds)
    except psutil.TimeoutExpired:
        end(f"the supervisor (pid {supervisor.pid}) still stops its processes after {seconds:g} s; see {settings.logs_dir}.")
    typer.echo("stopped")


def _left_over(data_dir: Path, state: dict[str, object]) -> list[str]:
    lock = take_lock(data_dir)
    try:
        return clean_up(state)
    finally:
        lock.close()
