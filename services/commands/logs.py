"""`liandong logs`: what the processes say."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from services.commands.options import DEFAULT, DataDir, end
from services.embedded.loglines import readable, tail
from services.settings import load


def logs(
    name: Annotated[str, typer.Argument(help="One process; all of them without.")] = "",
    *,
    data_dir: DataDir = DEFAULT,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="JSON lines as they were written.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Last lines of each.")] = 20,
) -> None:
    """Print the last log lines of the platform's processes."""
    directory = load(data_dir).logs_dir
    files = sorted(directory.glob(f"{name or '*'}.log"))
    if not files:
        end(f"no log of {name or 'any process'} in {directory}", code=3)
    for file in files:
        for line in tail(file, lines):
            _say(file, line, len(files) > 1, raw)
    if follow:
        _follow(files, raw)


def _follow(files: list[Path], raw: bool) -> None:
    opened = [(file, file.open(encoding="utf-8", errors="replace")) for file in files]
    for _, stream in opened:
        stream.seek(0, 2)
    try:
        while True:
            for file, stream in opened:
                if stream.tell() > file.stat().st_size:  # the supervisor has emptied it
                    stream.seek(0)
            news = [(file, line) for file, stream in opened for line in stream.readlines()]
            for file, line in news:
                _say(file, line.rstrip("\n"), len(files) > 1, raw)
            if not news:
                time.sleep(0.2)
    except KeyboardInterrupt:
        return


def _say(file: Path, line: str, several: bool, raw: bool) -> None:
    said = line if raw else readable(line)
    typer.echo(f"{file.stem:<14} {said}" if several else said)
