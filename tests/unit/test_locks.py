"""What is installed is what the project asks for, with hashes and without addresses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "deploy" / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = PROJECT["project"]["dependencies"]
DEV = RUNTIME + PROJECT["dependency-groups"]["dev"]


def locked(name: str) -> dict[str, list[Version]]:
    """Versions by package; more than one where they differ by Python."""
    found: dict[str, list[Version]] = {}
    for line in (LOCKS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"^([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^ ;\\]+)", line):
            found.setdefault(canonicalize_name(match[1]), []).append(Version(match[2]))
    return found


@pytest.mark.parametrize(
    ("lock", "wanted"), [("runtime", RUNTIME), ("dev", DEV), ("java", PROJECT["project"]["optional-dependencies"]["java"])]
)
def test_every_dependency_is_locked_within_its_range(lock: str, wanted: list[str]) -> None:
    versions = locked(lock)
    for requirement in map(Requirement, wanted):
        there = versions.get(canonicalize_name(requirement.name), [])
        assert there, f"{requirement.name} is not in {lock}.txt: run `make lock`"
        assert any(requirement.specifier.contains(version) for version in there), f"{requirement} is locked as {there}"


@pytest.mark.parametrize("lock", ["runtime", "dev", "java", "build", "mutants"])
def test_locks_carry_hashes_and_no_addresses(lock: str) -> None:
    text = (LOCKS / f"{lock}.txt").read_text(encoding="utf-8")
    packages = [block for block in re.split(r"\n(?=[A-Za-z0-9])", text) if "==" in block]
    assert packages
    assert all("--hash=sha256:" in block for block in packages)
    assert "://" not in text
    assert not re.search(r"^--(index|extra|find|trusted)", text, re.MULTILINE)
