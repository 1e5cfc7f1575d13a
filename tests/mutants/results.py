"""What mutmut left behind, counted: by file, and each mutant that no test noticed with its change.

Read from mutmut's own folder, `mutants/` of the project: exit codes in `<file>.meta`, and where each version of a function stands in the
changed file in `<file>.spans`.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
SOURCE = "streams/domain"
GOAL = 85.0  # per cent of all mutants
KILLED, SURVIVED, NO_TESTS, TIMEOUT, CRASHED, OPEN = "killed", "survived", "no tests", "timeout", "crashed", "not run"
STATUSES = (KILLED, TIMEOUT, SURVIVED, NO_TESTS, CRASHED, OPEN)
NOTICED, UNNOTICED = (KILLED, TIMEOUT), (SURVIVED, NO_TESTS)
RAN = ROOT / "mutants"  # mutmut's own folder
BY_CODE: dict[int | None, str] = {1: KILLED, 3: KILLED, None: OPEN, 0: SURVIVED, 5: NO_TESTS, 33: NO_TESTS} | dict.fromkeys(
    (36, -24, 24, 152, 255), TIMEOUT
)
"""What mutmut means by an exit code. A timeout is noticed: the change never ended. Of any other code nothing is known."""


@dataclass(frozen=True)
class Survivor:
    """A change that no test noticed."""

    name: str  # as mutmut knows it; the number in it moves with the code
    file: str
    function: str
    status: str
    was: str  # the changed lines
    became: str
    equivalent: str = ""  # why no test can notice it, from equivalent.toml


@dataclass(frozen=True)
class Part:
    """Mutants of one file, or of all, by status."""

    path: str
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def asked(self) -> int:
        return self.total - self.counts.get(OPEN, 0)

    @property
    def share(self) -> float:
        """Noticed, per cent of those that were asked; 0 when none was."""
        return 100 * sum(self.counts.get(status, 0) for status in NOTICED) / self.asked if self.asked else 0.0


@dataclass
class Run:
    """How all mutants stand. `unknown`: entries of equivalent.toml that name no survivor."""

    parts: list[Part]
    survivors: list[Survivor]
    unknown: list[str] = field(default_factory=list)

    @property
    def whole(self) -> Part:
        counts: Counter[str] = Counter()
        for part in self.parts:
            counts.update(part.counts)
        return Part(SOURCE, dict(counts))

    def as_json(self) -> dict[str, Any]:
        told = [
            {"path": part.path, "share": round(part.share, 2), "asked": part.asked, **part.counts} for part in (self.whole, *self.parts)
        ]
        return {"goal": GOAL, "all": told[0], "files": told[1:], "survivors": [asdict(one) for one in self.survivors]}


def read(ran: Path = RAN, known: Path = FOLDER / "equivalent.toml") -> Run:
    """How the mutants stand now, also while mutmut is at work."""
    reasons = {(one["function"], one["was"], one["became"]): one["why"] for one in tomllib.loads(known.read_text())["equivalent"]}
    run, met = Run([], []), set()
    for meta in sorted((ran / SOURCE).rglob("*.py.meta")):
        codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
        if not codes:
            continue
        statuses = {name: BY_CODE.get(code, CRASHED) for name, code in codes.items()}
        path = meta.with_suffix("").relative_to(ran).as_posix()
        run.parts.append(Part(path, dict(Counter(statuses.values()))))
        versions = _Versions(meta.with_suffix(""))
        for name, status in statuses.items():
            if status in UNNOTICED:
                function, was, became = versions.change(name.rpartition(".")[2])
                key = (function, was, became)
                met.add(key)
                run.survivors.append(Survivor(name, path, function, status, was, became, reasons.get(key, "")))
    run.unknown = [f"{function}: {was}" for function, was, became in reasons if (function, was, became) not in met]
    return run


class _Versions:
    """The versions of each function in a file that mutmut has written."""

    def __init__(self, path: Path) -> None:
        self._lines = path.read_text(encoding="utf-8").splitlines()
        self._spans: dict[str, list[int]] = json.loads(path.with_name(path.name + ".spans").read_text())["spans"]

    def change(self, mutant: str) -> tuple[str, str, str]:
        """The function's name, the lines that were changed, and what became of them."""
        stem = mutant.partition("__mutmut_")[0]
        before, after = (self._body(name) for name in (f"{stem}__mutmut_orig", mutant))
        was, became = [], []
        for mark, start, end, other_start, other_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            if mark != "equal":
                was += before[start:end]
                became += after[other_start:other_end]
        name = stem.removeprefix("x_") if stem.startswith("x_") else stem.removeprefix("xǁ").replace("ǁ", ".")
        return name, "\n".join(was), "\n".join(became)

    def _body(self, name: str) -> list[str]:
        """Without the name, which differs; blank lines and indents say nothing."""
        first, last = self._spans[name]
        return [line.strip().replace(name, "") for line in self._lines[first - 1 : last] if line.strip()]


def render(run: Run, command: str, commit: str, began: str) -> str:
    """RESULTS.md."""
    whole = run.whole
    left = f", {whole.counts[OPEN]:,} are not asked yet" if whole.counts.get(OPEN) else ""
    lines = [
        "# What the tests of the core notice",
        "",
        f"Written by `make mutants`; not by hand. mutmut changes one thing in one function of `{SOURCE}` and asks the tests that reach it",
        "(tests.txt). Noticed: a test failed (killed), or it never ended (timeout). Not noticed: it survived, or no test reaches it.",
        "",
        f"`{command}` on {commit}, {began} UTC: **{whole.share:.1f} % of {whole.asked:,} noticed**{left}; the goal is {GOAL:g} %.",
        "",
        f"| file | {' | '.join(STATUSES)} | of | noticed |",
        "| --- |" + " ---: |" * (len(STATUSES) + 2),
    ]
    for part in (whole, *run.parts):
        cells = [str(part.counts.get(status, "") or "") for status in STATUSES]
        share = f"{part.share:.1f} %" if part.asked else ""
        lines.append(f"| {part.path} | {' | '.join(cells)} | {part.total} | {share} |")
    same = [one for one in run.survivors if one.equivalent]
    for title, said, chosen in (
        (
            "Not noticed",
            "Each is a test that is missing, or a change that nobody has looked at yet.",
            [s for s in run.survivors if not s.equivalent],
        ),
        ("Equivalent", "The changed code does the same (equivalent.toml). They count as not noticed all the same.", same),
    ):
        lines += ["", f"## {title}: {len(chosen)}", "", said, ""]
        lines += ["| function | was | became | |", "| --- | --- | --- | --- |"] if chosen else []
        lines += [_row(one) for one in chosen]
    return "\n".join(lines) + "\n"


def _row(one: Survivor) -> str:
    where = f"{one.file.removeprefix(SOURCE + '/')} {one.function}"
    return f"| {where} | {_code(one.was)} | {_code(one.became)} | {one.equivalent or (one.status if one.status != SURVIVED else '')} |"


def _code(text: str) -> str:
    shown = " ⏎ ".join(text.split("\n")) if text else ""
    return f"`` {shown} ``".replace("|", "\\|") if shown else "(nothing)"
