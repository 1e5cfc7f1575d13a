"""Boston's service requests as what their department would have told: each opening, and each closing, with the target.

The file's label ON TIME or OVERDUE is the yardstick: where a request has a target and was closed, our clock must say the same in the end.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.state.clock import Clock

LABELLED = 38_855  # closed requests with a target and a label
COLUMNS = ("number", "version", "moment", "at", "target", "department", "neighborhood", "ward", "case_id")
LATE = 0.3  # share of the closings that are told up to three months late
AFTER = 0.1  # share of the openings that are told after their closing
FARTHEST = timedelta(days=90)


def requests(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def labels(rows: Iterable[Mapping[str, str]], prefix: str) -> dict[str, bool]:
    """Whether a request was late, by external id: those that have a label, a target and a closing."""
    return {prefix + row["case_id"]: row["on_time"] == "OVERDUE" for row in rows if row["on_time"] and row["target"] and row["closed"]}


def told(rows: Iterable[Mapping[str, str]], prefix: str, shuffled: bool) -> list[dict[str, str]]:
    """The moments of all requests in the order in which they are told; `shuffled`: many of them late, and some openings last."""
    chance = random.Random(311)
    found: list[tuple[datetime, dict[str, str]]] = []
    for row in rows:
        shared = {name: row[name] for name in ("target", "department", "neighborhood", "ward", "case_id")} | {
            "number": prefix + row["case_id"]
        }
        opened, closed = datetime.fromisoformat(row["opened"]), datetime.fromisoformat(row["closed"]) if row["closed"] else None
        delays = (chance.random() < AFTER, chance.random() < LATE, chance.random() * FARTHEST) if shuffled else (False, False, FARTHEST)
        after, late, delay = delays
        heard = closed + delay if closed and late else closed
        found.append((heard + timedelta(hours=1) if after and heard else opened, shared | _moment("opened", "1", row["opened"])))
        if heard:
            found.append((heard, shared | _moment("closed", "2", row["closed"])))
    return [moment for _, moment in sorted(found, key=lambda pair: (pair[0], pair[1]["number"], pair[1]["version"]))]


def _moment(name: str, version: str, at: str) -> dict[str, str]:
    return {"moment": name, "version": version, "at": at}


def write(moments: Iterable[Mapping[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(moments)


def is_late(clock: Clock) -> bool:
    """What the clock says in the end."""
    return clock.breached_at > 0 and not clock.retracted


def differences(expected: Mapping[str, bool], found: Mapping[str, Any]) -> dict[str, tuple[bool, Any]]:
    """Requests where the clock says otherwise than the label, or nothing."""
    return {number: (late, found.get(number)) for number, late in expected.items() if found.get(number) is not late}
