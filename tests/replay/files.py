"""The real files, and what their last rows say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

from services.replay.mapping import load
from services.replay.reader import open_rows
from services.replay.rows import Mapped, RowMapper

DATA = Path(__file__).parents[3] / "shared" / "data"
MAPPINGS = Path(__file__).parents[1] / "mappings"
FILES = {
    "montco_911": "montco_911_2015_2017.csv.gz",
    "nyc_ems": "nyc_ems_2013_2015.csv.gz",
    "servicenow": "servicenow_incident_events.csv.gz",
    "boston_311": "boston_311_2011h2.csv.gz",
}


class Last(NamedTuple):
    """A case as its file leaves it."""

    state: str
    reassignments: int
    reopens: int


def data_file(name: str) -> Path:
    """Skips the test, and says why, where the file is not there."""
    path = DATA / FILES[name]
    if not path.exists():
        pytest.skip(f"{path} is not there: real files are not part of the repository")
    return path


def mapped_rows(name: str, path: Path, limit: int | None = None) -> Iterator[Mapped]:
    mapping = load(MAPPINGS / f"{name}.toml")
    header, rows = open_rows(path, mapping.file)
    mapper = RowMapper(mapping, header)
    for row in islice(rows, limit):
        if row.fault:
            raise row.fault
        yield mapper(row.row)


def last_rows(mapped: Iterator[Mapped]) -> dict[str, Last]:
    """By external id; of facts in stream order."""
    return {row.external_id: Last(row.body["state"], row.body["reassignments"], row.body["reopens"]) for row in mapped}
