"""Which of a data directory's workers a process is: a name that a restart keeps, for the consumer group (static membership)."""

from __future__ import annotations

import fcntl
import itertools
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO

_held: list[IO[str]] = []  # open as long as the process lives; the kernel lets go of them when it ends, however it ends


def take(folder: Path, name: str) -> str:
    """Sits down on the lowest seat of worker `name` that no living process holds; "<id of the folder>-<seat>". A frozen process
    keeps its seat, so two living ones of one folder are never called the same."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        file = (folder / f"{name}.{number}.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        _held.append(file)
        return f"{_id_of(folder)}-{number}"
    raise AssertionError("itertools.count ends")


def _id_of(folder: Path) -> str:
    """Random, made once, whole or not at all."""
    path = folder / "id"
    if not path.exists():
        fresh = folder / f".id.{os.getpid()}"
        fresh.write_text(secrets.token_hex(6))
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text()
