"""Kills a process exactly as it renames a file: the engine makes a new part visible by a rename, and nothing else is as narrow."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

WHY_NOT = "strace is not there, or may not trace: nothing can be killed at a rename (apt-get install strace)"
RENAMES = "rename,renameat,renameat2"


@functools.cache
def available() -> bool:
    """Whether we may trace a child."""
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


@contextmanager
def kill_at_rename(pid: int, number: int) -> Iterator[None]:
    """Till the end of the block the process gets SIGKILL as it enters its `number`-th rename, counted from here, thread by thread."""
    inject = f"inject={RENAMES}:signal=SIGKILL:when={number}"
    command = ["strace", "-f", "-p", str(pid), "-e", f"trace={RENAMES}", "-e", inject, "-o", "/dev/null"]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert tracer.stderr
    line = tracer.stderr.readline()
    assert b"attached" in line, line
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait(10)
