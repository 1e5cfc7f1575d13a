"""A worker's name in its group: kept by a restart, never shared by two living processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TAKE = "import sys; from pathlib import Path; from services.identity import take; print(take(Path(sys.argv[1]), 'case-live'), flush=True)"


def process(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that has taken its seat and sits there till its input ends, and its name."""
    started = subprocess.Popen(
        [sys.executable, "-c", f"{TAKE}; sys.stdin.read()", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout
    return started, started.stdout.readline().strip()


def test_a_restart_has_the_same_name_and_two_living_processes_have_two(tmp_path: Path) -> None:
    first, name = process(tmp_path / "a")
    second, other = process(tmp_path / "a")
    assert name.endswith("-0")
    assert other == name.removesuffix("0") + "1"
    first.kill()
    first.wait()
    again, same = process(tmp_path / "a")
    assert same == name
    for started in (second, again):
        started.communicate()


def test_two_data_directories_share_no_name(tmp_path: Path) -> None:
    names = set()
    for folder in "ab":
        started, name = process(tmp_path / folder)
        names.add(name)
        started.communicate()
    assert len(names) == 2
