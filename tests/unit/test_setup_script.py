"""deploy/setup.py: skips what is done, says what to do when a step fails. (That it works on an empty home is shown by CI itself.)"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "setup.py"


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, working in a directory of its own."""
    spec = importlib.util.spec_from_file_location("liandong_setup", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "DONE", tmp_path / ".venv" / "done.json")
    return module


def test_a_step_is_due_again_when_one_of_its_inputs_changes(setup: ModuleType, tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    lock.write_text("one", encoding="utf-8")
    key = f"packages {setup.digest([lock])}"
    setup.remember("packages", key)
    assert key in setup.done()
    lock.write_text("two", encoding="utf-8")
    assert f"packages {setup.digest([lock])}" not in setup.done()


def test_nothing_is_done_in_a_new_environment(setup: ModuleType) -> None:
    assert setup.done() == []


@pytest.mark.parametrize("version", ["", "v18.19.0", "v20.9.0"])
def test_without_a_usable_node_the_rest_is_set_up_and_it_is_said(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    if version:
        for name in ("node", "npm"):
            (bin_dir / name).write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
            (bin_dir / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_dir))
    assert setup.screens() is False
    said = capsys.readouterr().out
    assert "The API is served without them" in said
    assert (version or "none is here") in said


def test_without_a_network_pips_failure_says_what_to_do(setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "pip", lambda *_arguments: 1)
    lock = tmp_path / "runtime.txt"
    lock.write_text("thing==1 \\\n    --hash=sha256:0\n", encoding="utf-8")
    with pytest.raises(setup.Failed, match="PIP_INDEX_URL"):
        setup.packages(lock)


def test_an_old_python_is_told_so_instead_of_a_traceback() -> None:
    old = next((path for name in ("python3.10", "python3.9", "python3.8") if (path := shutil.which(name)) and _works(path)), None)
    if old is None:
        pytest.skip("no Python older than 3.11 here")
    ran = subprocess.run([old, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "needs Python 3.11 or newer" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_make_without_a_python_says_what_to_install(tmp_path: Path) -> None:
    for name in ("sh", "echo"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    make = shutil.which("make") or ""
    ran = subprocess.run(
        [make, "setup"],
        cwd=SCRIPT.parents[1],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0
    assert "apt install python3 python3-venv" in ran.stdout + ran.stderr


def _works(python: str) -> bool:
    """A shim may stand for a Python that isn't installed."""
    return subprocess.run([python, "-c", "pass"], capture_output=True, check=False, env=os.environ | {"PYENV_VERSION": ""}).returncode == 0
