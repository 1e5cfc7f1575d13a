"""Invented places: deterministic, on every county, weighted as stated."""

from __future__ import annotations

from collections import Counter

import pytest

from schemas.divisions import counties
from services.replay.errors import MappingError
from services.replay.places import first_filled, invented, villages_by_county


def test_the_same_place_is_the_same_county_on_every_machine() -> None:
    equal, villages = invented("equal"), invented("villages")
    found = [equal("0:NORRISTOWN"), equal("0:ABINGTON"), villages("0:NORRISTOWN"), villages("0:ABINGTON")]
    assert found == [
        "441481",
        "441202",
        "441602",
        "441302",
    ]


def test_equal_weights_reach_every_county_about_as_often() -> None:
    counts = Counter(invented("equal")(str(number)) for number in range(20_000))
    assert set(counts) == {county.code for county in counties()}
    assert max(counts.values()) < 2 * min(counts.values())


def test_village_weights_follow_the_number_of_villages() -> None:
    counts = Counter(invented("villages")(str(number)) for number in range(50_000))
    villages = villages_by_county()
    largest = max(villages, key=lambda code: villages[code])
    assert counts[largest] / 50_000 == pytest.approx(villages[largest] / sum(villages.values()), rel=0.15)


def test_cities_without_counties_stand_in_for_them() -> None:
    assert villages_by_county()["441900"] > 0
    assert sum(villages_by_county().values()) == 26_842


def test_the_first_filled_column_counts_and_equal_texts_of_two_columns_differ() -> None:
    assert first_filled(["", "19401"]) == "1:19401"
    assert first_filled(["19401", ""]) == "0:19401"
    assert not first_filled(["", ""])


def test_an_unknown_weight_is_refused() -> None:
    with pytest.raises(MappingError):
        invented("population")
