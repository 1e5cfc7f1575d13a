"""Identities are the same everywhere and say what they should."""

from __future__ import annotations

import uuid
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import geohash, ids
from schemas.divisions import county_of, divisions

CASE = ids.case_id("live", "demo-producer", "X-1")


def test_a_case_id_is_the_uuid5_of_realm_producer_and_key() -> None:
    assert str(uuid.uuid5(ids.NAMESPACE, "case\x1flive\x1fdemo-producer\x1fX-1")) == CASE


@given(st.text(), st.text())
def test_ids_agree_with_the_standard_library(producer: str, key: str) -> None:
    try:
        expected = str(uuid.uuid5(ids.NAMESPACE, f"command\x1flive\x1f{producer}\x1f{key}"))
    except UnicodeEncodeError:
        return
    assert ids.command_id("live", producer, key) == expected


def test_realm_producer_and_key_each_make_another_case() -> None:
    others = (("sandbox", "demo-producer", "X-1"), ("live", "b", "X-1"), ("live", "b", "X-2"))
    assert len({CASE, *(ids.case_id(*other) for other in others)}) == 4


@given(st.sampled_from(sorted(divisions())), st.integers(946_684_800_000, 4_102_444_800_000), st.uuids())
def test_a_case_number_holds_county_and_day_in_china_and_checks(division: str, occurred_at: int, case: uuid.UUID) -> None:
    number = ids.case_number(str(case), division, occurred_at)
    county, day, code = number.split("-")
    assert county == county_of(division)
    assert day == datetime.fromtimestamp(occurred_at / 1000, ids.CHINA).strftime("%Y%m%d")
    assert len(code) == 8
    assert ids.is_case_number(number)


def test_a_case_number_never_changes() -> None:
    moment = int(datetime.fromisoformat("2026-11-22T23:30:00+08:00").timestamp() * 1000)
    assert ids.case_number("6f0c5a1e-4d0b-5c58-9d53-0d6a1f4b7c21", "440305001", moment) == FROZEN_NUMBER


FROZEN_NUMBER = "440305-20261122-DW65M7JS"


@given(st.data())
def test_one_wrong_character_is_found(data: st.DataObject) -> None:
    number = ids.case_number(CASE, "440305", 1_795_000_000_000)
    place = data.draw(st.sampled_from([i for i, c in enumerate(number) if c != "-"]))
    wrong = data.draw(st.sampled_from([c for c in ids.ALPHABET if c != number[place]]))
    assert not ids.is_case_number(number[:place] + wrong + number[place + 1 :])


@pytest.mark.parametrize(
    ("lon", "lat", "expected"),
    [(-5.603, 42.605, "ezs42s"), (10.40744, 57.64911, "u4pruy"), (180, 90, "zzzzzz"), (-180, -90, "000000")],
)
def test_a_cell_is_the_geohash_of_the_point(lon: float, lat: float, expected: str) -> None:
    assert geohash.cell(lon, lat) == expected
