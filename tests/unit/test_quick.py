"""The inner loop's fewer examples: of every property, and never by default."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FEWEST, QUICKER, quicken


@pytest.mark.parametrize(("full", "quick"), [(100 * QUICKER, 100), (FEWEST + 1, FEWEST)])
def test_a_quickened_property_is_tried_with_a_part_of_its_examples(full: int, quick: int) -> None:
    tried: list[int] = []

    @settings(max_examples=full, database=None, deadline=None)
    @given(st.integers())
    def law(number: int) -> None:
        tried.append(number)

    law()
    assert len(tried) == full
    tried.clear()
    quicken(law)
    law()
    assert len(tried) == quick
