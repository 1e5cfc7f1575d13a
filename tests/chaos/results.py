"""What a run of the fault tests found, as a table scenario × invariant. `make chaos` and `make soak` write it to RESULTS.md.

An entry says what was judged, not what was hoped: a test that ended before the oracle spoke is an `error` (of the rig, the machine, or a
bound), never `held`; a control is good only when the oracle went red.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

INVARIANTS = {
    "I1": "every acknowledged record is answered and stored exactly once",
    "I2": "no offset is stored twice, none is skipped",
    "I3": "every rollup equals a recount of the facts",
    "I4": "the stored state of a case is the pure fold of its commands",
    "I5": "every timer fires once, never early",
    "I6": "a case's events are numbered without a gap, in order",
    "I7": "every rejected record is a dead letter, once, with its reason",
    "I8": "a committed offset is never above an unanswered record",
    "I9": "recovery within its bound, without a manual step",
    "I10": "memory stays within its bound",
}
FOLDER = Path(__file__).parent
KEPT = {"chaos": 2, "soak": 1}  # newest runs of each kind that RESULTS.md shows


@dataclass
class Entry:
    """One test. `verdict`: breaks by invariant; those that were not judged are absent."""

    scenario: str
    title: str
    control: bool = False
    verdict: dict[str, int] = field(default_factory=dict)
    details: dict[str, int] = field(default_factory=dict)
    windows: list[str] = field(default_factory=list)
    recoveries: list[tuple[float, float]] = field(default_factory=list)  # seconds, bound
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    failed: str = ""  # first line of what the test ended with, "" when it passed
    skipped: str = ""

    @property
    def result(self) -> str:
        """held, broken, red, green, error or skipped. `green` is a control that saw nothing: as bad as `broken`."""
        if self.skipped:
            return "skipped"
        if not self.verdict:
            return "error"
        broken = any(self.verdict.values())
        if self.control:
            return "error" if self.failed and broken else "red" if broken else "green"
        return "broken" if broken else "error" if self.failed else "held"


class Account:
    """What a test says of itself, in the fixture `account`."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def window(self, text: str) -> None:
        """Names the crash window that was hit."""
        self.entry.windows.append(text)

    def figure(self, name: str, value: float) -> None:
        """Something measured, with its unit in the name: "page p99 ms"."""
        self.entry.figures[name] = round(value, 3)

    def verdict(self, broken: Mapping[str, int], details: Mapping[str, int] | None = None) -> None:
        """Breaks by invariant (0: it held). May be called several times: counts add up."""
        for name, count in broken.items():
            assert name in INVARIANTS, name
            self.entry.verdict[name] = self.entry.verdict.get(name, 0) + count
        for name, count in (details or {}).items():
            if count:
                self.entry.details[name] = self.entry.details.get(name, 0) + count

    def recovered(self, seconds: float, bound: float) -> None:
        """How long it took until all was drained after the fault was over. Above its bound, I9 is broken."""
        self.entry.recoveries.append((round(seconds, 1), bound))
        self.verdict({"I9": int(seconds > bound)})

    def held(self) -> None:
        """Asserts that the oracle has spoken and found nothing."""
        assert self.entry.verdict, "the oracle was not asked"
        assert not any(self.entry.verdict.values()), f"{self.entry.verdict} {self.entry.details}"

    def red(self, *invariants: str) -> None:
        """Asserts that the oracle saw the fault in each of these."""
        for name in invariants:
            assert self.entry.verdict.get(name), f"the control stayed green in {name}: {self.entry.verdict} {self.entry.details}"


@dataclass
class Run:
    """One run of a kind (chaos or soak). `began` is UTC."""

    kind: str
    seed: int
    began: str
    command: str
    commit: str
    seconds: float = 0.0
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def save(self, folder: Path = FOLDER) -> Path:
        """Keeps the run as JSON and writes RESULTS.md anew from the newest runs of each kind."""
        results = folder / "results"
        results.mkdir(exist_ok=True)
        stem = self.began.replace(":", "").replace("-", "").replace(" ", "-")
        (results / f"{stem}-{self.kind}-{self.seed}.json").write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")
        for kind, count in KEPT.items():
            for old in sorted(results.glob(f"*-{kind}-*.json"))[:-count]:
                old.unlink()
        page = folder / "RESULTS.md"
        page.write_text(render([load(path) for path in sorted(results.glob("*.json"), reverse=True)]))
        return page


def load(path: Path) -> Run:
    read: dict[str, Any] = json.loads(path.read_text())
    return Run(**(read | {"entries": [entry_of(entry) for entry in read["entries"]]}))


def entry_of(read: dict[str, Any]) -> Entry:
    """An entry as `asdict` or JSON tells it."""
    return Entry(**(read | {"recoveries": [(seconds, bound) for seconds, bound in read["recoveries"]]}))


def render(runs: list[Run]) -> str:
    """The page: what each run did, newest first."""
    lines = [
        "# What the fault tests found",
        "",
        "Written by `make chaos` and `make soak`; not by hand. Defects they found: see DEFECTS.md.",
        "",
    ]
    lines += [f"- **{name}** {meaning}" for name, meaning in INVARIANTS.items()]
    lines += [
        "",
        "`·` held, `–` not judged there, a number: so many breaks. A control switches one guard off and must break something.",
        "",
    ]
    for run in runs:
        lines += _section(run)
    return "\n".join(lines)


def _section(run: Run) -> list[str]:
    counts: dict[str, int] = {}
    for entry in run.entries:
        counts[entry.result] = counts.get(entry.result, 0) + 1
    told = ", ".join(f"{count} {result}" for result, count in sorted(counts.items()))
    lines = [f"## {run.kind}, {run.began} UTC, seed {run.seed}", ""]
    lines += [f"`{run.command}` on {run.commit}, {run.seconds / 60:.0f} min: {told}.", ""]
    lines += [f"- {note}" for note in run.notes] + ([""] if run.notes else [])
    for control, head in ((False, "scenario"), (True, "control")):
        chosen = sorted((e for e in run.entries if e.control is control), key=lambda e: (_number(e.scenario), e.title))
        if chosen:
            lines += [f"| {head} | what | {' | '.join(INVARIANTS)} | recovery s (bound) | figures | result |"]
            lines += ["|" + " --- |" * (len(INVARIANTS) + 5)]
            lines += [_row(entry) for entry in chosen] + [""]
    return lines


def _row(entry: Entry) -> str:
    marks = ["–" if name not in entry.verdict else str(entry.verdict[name] or "·") for name in INVARIANTS]
    recovery = ", ".join(f"{seconds:g} ({bound:g})" for seconds, bound in entry.recoveries)
    what = entry.title + (f" [{'; '.join(dict.fromkeys(entry.windows))}]" if entry.windows else "")
    figures = ", ".join(f"{name} {value:g}" for name, value in entry.figures.items())
    why = f": {entry.skipped or entry.failed}" if entry.result in ("skipped", "error", "broken", "green") else ""
    cells = (entry.scenario, what, *marks, recovery, figures, f"{entry.result}{why}")
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _number(scenario: str) -> tuple[int, str]:
    digits = "".join(filter(str.isdigit, scenario))
    return (int(digits) if digits else 99, scenario)
