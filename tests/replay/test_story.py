"""The worked incident of the README comes out, line by line, as it was written down."""

from __future__ import annotations

from tests.replay.story import GOLDEN, STEPS, told


def test_the_story_from_a_grid_to_the_province_and_back_is_told_as_it_was_written_down() -> None:
    assert told() == GOLDEN.read_text(encoding="utf-8").splitlines(), "if it should differ: python -m tests.replay.story --write"


def test_the_story_goes_through_every_level_and_two_refusals() -> None:
    assert [level for _, name, level, _, _ in STEPS if name in ("capture", "take", "assign_down")] == [
        "grid", "town", "county", "province", "province",
    ]  # fmt: skip
    assert sum("✗" in line for line in told()) == 2
