"""What is read out of mutmut's folder: counts by file, and every change that no test noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.mutants.results import CRASHED, KILLED, NO_TESTS, OPEN, SOURCE, SURVIVED, TIMEOUT, Part, Survivor, read, render

WRITTEN = """def x_add__mutmut_orig(a, b):
    total = a + b
    return total


def x_add__mutmut_1(a, b):
    total = a - b
    return total


def x_add__mutmut_2(a, b):
    total = None
    return total


def x_add__mutmut_3(a, b):
    total = b
    return total
"""
STEM = f"{SOURCE.replace('/', '.')}.sums.x_add__mutmut_"


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A folder as mutmut leaves it: of six mutants one is killed, two survive, and one each ended in another way."""
    folder = tmp_path / SOURCE
    folder.mkdir(parents=True)
    (folder / "sums.py").write_text(WRITTEN, encoding="utf-8")
    spans = {"x_add__mutmut_orig": [1, 3], "x_add__mutmut_1": [6, 8], "x_add__mutmut_2": [11, 13], "x_add__mutmut_3": [16, 18]}
    (folder / "sums.py.spans").write_text(json.dumps({"version": 1, "spans": spans}), encoding="utf-8")
    codes = {f"{STEM}{number}": code for number, code in enumerate((0, 1, 33, -24, None, -11), 1)}
    (folder / "sums.py.meta").write_text(json.dumps({"exit_code_by_key": codes}), encoding="utf-8")
    (folder / "empty.py.meta").write_text(json.dumps({"exit_code_by_key": {}}), encoding="utf-8")
    known = '[[equivalent]]\nfunction = "add"\nwas = "total = a + b"\nbecame = "total = b"\nwhy = "a is always 0"\n'
    known += '[[equivalent]]\nfunction = "add"\nwas = "gone"\nbecame = "x"\nwhy = "it was"\n'
    (tmp_path / "known.toml").write_text(known, encoding="utf-8")
    return tmp_path


def test_each_mutant_is_counted_by_how_it_ended_and_only_those_that_were_noticed_count(ran: Path) -> None:
    run = read(ran, ran / "known.toml")
    counts = {SURVIVED: 1, KILLED: 1, NO_TESTS: 1, TIMEOUT: 1, OPEN: 1, CRASHED: 1}
    assert run.parts == [Part(f"{SOURCE}/sums.py", counts)]
    assert (run.whole.total, run.whole.asked, run.whole.share) == (6, 5, 40.0), "a timeout is noticed; of what was not run nothing is known"
    assert Part("x", {OPEN: 3}).share == 0.0


def test_a_survivor_is_told_with_its_change_and_why_where_that_is_known(ran: Path) -> None:
    run = read(ran, ran / "known.toml")
    path = f"{SOURCE}/sums.py"
    assert run.survivors == [
        Survivor(f"{STEM}1", path, "add", SURVIVED, "total = a + b", "total = a - b"),
        Survivor(f"{STEM}3", path, "add", NO_TESTS, "total = a + b", "total = b", "a is always 0"),
    ]
    assert run.unknown == ["add: gone"]
    assert json.loads(json.dumps(run.as_json()))["survivors"][0]["became"] == "total = a - b"
    page = render(run, "make mutants", "abc", "2026-11-23 07:00")
    assert "**40.0 % of 5 noticed**, 1 are not asked yet; the goal is 85 %" in page
    assert "| sums.py add | `` total = a + b `` | `` total = a - b `` |  |" in page
    assert "## Not noticed: 1" in page
    assert "## Equivalent: 1" in page
    assert "| a is always 0 |" in page
