"""A breach that is contested, and who rules on it. A municipal matter (M01) of Monday 23 November: accepted within 2 working hours."""

from __future__ import annotations

import pytest

from tests.unit.test_incident_clocks import Desk, at

COUNTY = {"purpose": "accept", "org": "", "reason": "holiday", "actor_level": "county", "actor_org": "440305-desk"}
CITY = {"purpose": "accept", "org": "", "reason": "seen", "actor_level": "city", "actor_org": "440300-desk"}


def late(**more: str) -> Desk:
    """Due at 10:30, accepted at 11 and the breach contested at noon."""
    desk = Desk("M01001", "23 08:30")
    desk.do("accept", "23 11:00")
    assert desk.do("contest", "23 12:00", **COUNTY | more) == "applied"
    return desk


def test_a_breach_that_is_withdrawn_stays_beside_its_withdrawal() -> None:
    desk = late()
    assert desk.do("withdraw_breach", "24 09:00", **CITY) == "applied"
    clock, (contest,) = desk.clock("accept"), desk.case.contests
    assert (clock.breached_at, clock.retracted, clock.stopped_at) == (at("23 10:30"), True, at("23 11:00"))
    assert (contest.by, contest.since, contest.ruled_by, contest.ruled_at) == ("440305-desk", at("23 12:00"), "440300-desk", at("24 09:00"))
    assert (contest.upheld, contest.breached_at) == (False, at("23 10:30"))
    told = {event.type: event for event in desk.events}
    contested, withdrawn = told["incident.contested"], told["incident.breach_withdrawn"]
    assert (contested.clock, contested.clock_holder, contested.clock_breached_at) == ("accept", "440305-desk", at("23 10:30"))
    assert (withdrawn.clock_breached_at, withdrawn.clocks) == (0, (clock,)), "the event has both figures"
    assert contested.clocks == ()


def test_a_breach_that_is_upheld_stands_and_is_not_contested_again() -> None:
    desk = late()
    assert desk.do("contest", "23 12:01", **COUNTY) == "already_contested"
    before = desk.case.clocks
    assert desk.do("uphold_breach", "24 09:00", **CITY) == "applied"
    assert desk.case.contests[0].upheld
    assert desk.case.clocks == before
    assert desk.do("contest", "24 09:01", **COUNTY) == "already_contested"
    assert desk.do("withdraw_breach", "24 09:02", **CITY) == "not_contested", "it was ruled on"


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("contest", COUNTY | {"purpose": "total"}, "not_breached"),
        ("contest", COUNTY | {"purpose": "handle"}, "clock_unknown"),
        ("contest", COUNTY | {"org": "water"}, "clock_unknown"),
        ("contest", COUNTY | {"reason": ""}, "reason_missing"),
        ("contest", COUNTY | {"actor_org": ""}, "org_missing"),
        ("contest", COUNTY | {"actor_level": "city"}, "level_too_high"),
        ("contest", COUNTY | {"actor_level": ""}, "level_too_high"),
        ("contest", COUNTY | {"actor_level": "town", "actor_org": "440305001-desk"}, "applied"),
        ("uphold_breach", CITY, "not_contested"),
    ],
)
def test_who_may_contest_what(name: str, given: dict[str, str], why: str) -> None:
    desk = Desk("M01001", "23 08:30")
    desk.do("accept", "23 11:00")
    assert desk.do(name, "23 12:00", **given) == why


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"actor_level": "county", "actor_org": "fire"}, "level_too_low"),
        ({"actor_org": "440305-desk"}, "same_org"),
        ({"purpose": "sign"}, "not_contested"),
        ({"org": "water"}, "not_contested"),
        ({"reason": ""}, "reason_missing"),
        ({"actor_level": "province", "actor_org": "440000-desk"}, "applied"),
    ],
)
def test_a_level_above_rules(given: dict[str, str], why: str) -> None:
    desk = late()
    assert desk.do("withdraw_breach", "24 09:00", **CITY | given) == why


def test_a_running_clock_whose_breach_was_withdrawn_stops_without_one() -> None:
    desk = Desk("M01001", "23 08:30")
    desk.wake("23 12:00")
    desk.do("contest", "23 12:00", **COUNTY)
    desk.do("withdraw_breach", "23 12:10", **CITY)
    desk.do("accept", "24 09:00")
    clock = desk.clock("accept")
    assert (clock.stopped_at, clock.breached_at, clock.retracted) == (at("24 09:00"), at("23 10:30"), True)


def test_a_breach_is_ruled_on_after_the_case_is_closed() -> None:
    desk = late()
    assert desk.do("withdraw", "24 08:40", reason="reporter") == "applied"
    assert desk.do("withdraw_breach", "24 09:00", **CITY) == "illegal_transition", "withdrawn is neither open nor closed"
    desk = Desk("M01001", "23 08:30")
    desk.do("self_handle", "23 11:00", actor_person="grid worker", evidence=True)
    desk.do("contest", "23 12:00", **COUNTY)
    desk.do("verify_ok", "24 08:40", actor_person="another")
    assert desk.do("withdraw_breach", "24 09:00", **CITY) == "applied"
    assert desk.clock("accept").retracted
    assert desk.events[-1].held_ms == 0
