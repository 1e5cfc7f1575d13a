"""Who holds a case that was just entered, and where it goes when its place is set right."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.state.incident_case.event import IncidentCase
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from tests.unit.test_incident_life_cycle import command

VILLAGE, TOWN, COUNTY, CITY = "440232113202", "440232113", "440232", "440200"
DONGGUAN_TOWN = "441900003"


def entered(role: str, level: str, place: str = VILLAGE, **more: Any) -> IncidentCase:
    asked = command("capture", "c", actor_role=role, actor_level=level, division=place, actor_division="440000", **more)
    case = decide(None, asked, Source("incident.commands", 0, 1), 1_790_000_000_000).state
    assert case
    return case


@pytest.mark.parametrize(
    ("role", "level", "place", "holder", "held_at"),
    [
        ("desk", "grid", VILLAGE, f"{VILLAGE}-desk", "village"),
        ("desk", "village", VILLAGE, f"{VILLAGE}-desk", "village"),
        ("desk", "town", VILLAGE, f"{TOWN}-desk", "town"),
        ("desk", "grid", TOWN, f"{TOWN}-desk", "town"),
        ("desk", "county", VILLAGE, f"{COUNTY}-desk", "county"),
        ("desk", "city", VILLAGE, f"{COUNTY}-desk", "county"),
        ("desk", "province", VILLAGE, f"{COUNTY}-desk", "county"),
        ("desk", "nowhere", VILLAGE, f"{COUNTY}-desk", "county"),
        ("producer", "town", VILLAGE, f"{COUNTY}-desk", "county"),
        ("desk", "village", COUNTY, f"{COUNTY}-desk", "county"),
        ("producer", "city", DONGGUAN_TOWN, "441900-desk", "city"),
        ("desk", "town", DONGGUAN_TOWN, f"{DONGGUAN_TOWN}-desk", "town"),
    ],
)
def test_a_desk_below_the_county_holds_what_it_enters_and_the_county_all_else(
    role: str, level: str, place: str, holder: str, held_at: str
) -> None:
    case = entered(role, level, place)
    assert (case.holder, case.holder_level) == (holder, held_at)


@pytest.mark.parametrize(
    ("role", "level", "place", "holder", "held_at"),
    [
        ("desk", "village", "440232113203", "440232113203-desk", "village"),
        ("desk", "town", "440232112", "440232112-desk", "town"),
        ("desk", "village", "440305", "440305-desk", "county"),
        ("producer", "city", "440232112", "440232-desk", "county"),
        ("producer", "city", "440305", "440305-desk", "county"),
        ("producer", "city", DONGGUAN_TOWN, "441900-desk", "city"),
    ],
)
def test_a_case_at_a_duty_desk_moves_with_its_place(role: str, level: str, place: str, holder: str, held_at: str) -> None:
    case = entered(role, level)
    asked = command("amend", "a", division=place, actor_division="440000", actor_role="desk", actor_level="county")
    after = decide(case, asked, Source("incident.commands", 0, 2), 1_790_000_001_000).state
    assert after
    assert (after.division, after.holder, after.holder_level) == (place, holder, held_at)
