"""A small disk: a tmpfs mounted where a test wants one, to be filled and freed."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WHY_NOT = "mounting a tmpfs needs root on Linux"
FILLER = "filler"


@functools.cache
def available() -> bool:
    """Whether we may mount; a test that needs a small disk skips with WHY_NOT where we may not."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as place:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", place], check=True)
    return True


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs of this size at `path`, gone afterwards with what it held."""
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)  # lazy: a killed process may still hold a file


def fill(path: Path, leave: int = 0) -> None:
    """Takes all space of the disk at `path` but `leave` bytes."""
    with (path / FILLER).open("ab", buffering=0) as file:
        try:
            while True:
                free = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize - leave
                if free <= 0 or not file.write(b"\x00" * min(free, 1 << 20)):
                    return
        except OSError:
            return  # full


def free(path: Path) -> None:
    """Gives the space back."""
    (path / FILLER).unlink(missing_ok=True)
