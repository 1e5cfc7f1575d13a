"""Servicenow's cases as mirrored ones: the total clock, and who held each case for how long, against a plain recomputation from the rows.

The file names no target, so each case is given one as such desks set them: so many hours from its opening by its present priority.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.replay.rows import Mapped
from tests.replay.core import lived
from tests.replay.files import data_file, mapped_rows

HOURS = {"1": 8, "2": 24, "3": 72, "4": 168}
CLOSED = "Closed"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@dataclass
class Plain:
    """One case, read row by row without a word of our code."""

    opened: int
    held: Counter[str] = field(default_factory=Counter)  # milliseconds by group
    group: str = ""
    since: int = 0
    closed: int = 0
    due: int = 0

    def row(self, row: dict[str, str]) -> None:
        at = ms(row["sys_updated_at"])
        group = row["assignment_group"] or self.group
        if not self.closed:
            self.held[self.group] += at - self.since
        self.group, self.since = group, at
        self.due = target(row)
        self.closed = 0 if row["incident_state"] != CLOSED else self.closed or at


def target(row: dict[str, str]) -> int:
    return ms(row["opened_at"]) + HOURS[row["priority"]] * 3_600_000


def rows_of(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        return sorted(csv.DictReader(text), key=lambda row: (row["sys_updated_at"], int(row["seq"])))


@pytest.mark.data
def test_total_clock_and_ledger_of_every_case_are_those_of_a_plain_recomputation() -> None:
    path = data_file("servicenow")
    plain: dict[str, Plain] = {}
    rows = rows_of(path)
    for row in rows:
        at = ms(row["sys_updated_at"])
        plain.setdefault(row["number"], Plain(at, since=at, group=row["assignment_group"])).row(row)

    def with_targets() -> Iterator[Mapped]:
        for mapped, row in zip(mapped_rows("servicenow", path), rows, strict=True):
            assert mapped.external_id == f"servicenow:{row['number']}"
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=target(row))
            yield mapped._replace(body=mapped.body | {"due_at": moment.isoformat()})

    life = lived(with_targets())
    assert len(life.states) == len(plain) == 19_280
    ours: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for number, expected in plain.items():
        state = life.states[f"servicenow:{number}"]
        (clock,) = life.clocks[f"servicenow:{number}"].values()
        assert state.clocks == (clock,)
        assert (clock.started_at, clock.due_at, clock.stopped_at) == (expected.opened, expected.due, expected.closed)
        assert (clock.breached_at > 0 and not clock.retracted) == (expected.closed > expected.due)
        for segment in state.segments:
            ours[number][segment.holder.removeprefix("servicenow-group:")] += segment.until - segment.since
        assert +ours[number] == +expected.held, number
        ended = sum(after.since - before.until for before, after in zip(state.segments, state.segments[1:], strict=False))
        assert ours[number].total() == clock.stopped_at - clock.started_at - ended, "the ledger sums to the total"
    assert sum(len(held) > 1 for held in ours.values()) > 7_000, "many change hands"
    assert life.notified == 0
