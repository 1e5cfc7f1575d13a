"""Options that commands share, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from services.embedded.state import read_state
from services.settings import DEFAULT_DATA_DIR, Settings, load

DataDir = Annotated[Path, typer.Option("--data-dir", help="The platform's directory.", envvar="LIANDONG_DATA_DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DEFAULT = DEFAULT_DATA_DIR


def running(data_dir: Path) -> tuple[Settings, dict[str, Any]]:
    """Settings and state of the platform that runs in `data_dir`; ends the command with code 3 if none does."""
    from services.embedded.state import is_locked

    settings = load(data_dir)
    state = read_state(settings.state_file)
    if not state or not is_locked(settings.data_dir):
        end(f"no platform runs in {data_dir}; start one with `liandong up`.", code=3)
    return load(data_dir, realms=",".join(state["realms"])), state  # the realms it was started with


def platform_key(state: dict[str, Any], name: str) -> str:
    """One of the platform's own keys; ends the command if it was revoked."""
    key: str | None = state["keys"].get(name)
    return key or end(f"the platform's own {name} key was revoked, and this command needs it.")


def end(message: str, code: int = 1) -> NoReturn:
    """Says why on standard error and ends: 1 failed, 2 wrong usage, 3 nothing runs here."""
    typer.echo(f"liandong: {message}", err=True)
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))
