"""Boston's requests as mirrored cases: what the clock says in the end is what the file's label says, on every row that has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.replay.mapping import load
from services.replay.reader import open_rows
from services.replay.rows import RowMapper
from tests.replay import boston
from tests.replay.core import lived
from tests.replay.files import MAPPINGS, data_file


@pytest.mark.data
@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "with late tellings shuffled in"])
def test_the_final_clock_of_every_labelled_request_says_what_its_label_says(shuffled: bool, tmp_path: Path) -> None:
    rows = boston.requests(data_file("boston_311"))
    expected = boston.labels(rows, "boston:")
    assert len(expected) == boston.LABELLED
    boston.write(boston.told(rows, "boston:", shuffled), tmp_path / "told.csv")
    mapping = load(MAPPINGS / "boston_311_cases.toml")
    header, lines = open_rows(tmp_path / "told.csv", mapping.file)
    mapper = RowMapper(mapping, header)
    life = lived(mapper(line.row) for line in lines)
    found = {number: boston.is_late(clock) for number, held in life.clocks.items() for clock in held.values()}
    assert boston.differences(expected, found) == {}
    assert {number: state.clocks for number, state in life.states.items() if state.clocks} == {
        number: tuple(held.values()) for number, held in life.clocks.items() if held
    }, "the events' clocks are the case's"
    assert life.notified == 0, "its own system rouses whom it wants"
    assert life.told > 0
    assert set(life.refused) == ({"stale_version"} if shuffled else set())
    withdrawn = sum(clock.retracted for held in life.clocks.values() for clock in held.values())
    assert (withdrawn > 0) is shuffled, "told late, so breached by what we knew, and withdrawn"
