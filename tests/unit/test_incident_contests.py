"""A breach that is contested, and who rules on it. A municipal matter (M01) of Monday 23 November: accepted within 2 working hours."""

from __future__ import annotations

import msgspec
import pytest

from schemas.state.incident_case.event import Contest, IncidentCase
from streams.domain.incident.decide import decide
from tests.unit.test_incident_clocks import Desk, at
from tests.unit.test_incident_life_cycle import DISPUTE, LATE, NOW, SOURCE, answer, captured, command

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
        ("contest", COUNTY | {"actor_level": "unit", "actor_org": "works"}, "applied"),
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


def test_a_contest_is_kept_whole_and_its_ruling_beside_it() -> None:
    desk = late()
    asked = Contest("accept", "440305-desk", at("23 08:30"), "440305-desk", "holiday", at("23 12:00"), 0, "", False, at("23 10:30"))
    assert desk.case.contests == (asked,)
    epoch = desk.clock("accept").epoch
    desk.do("withdraw_breach", "24 09:00", **CITY)
    assert desk.case.contests == (msgspec.structs.replace(asked, ruled_at=at("24 09:00"), ruled_by="440300-desk"),)
    assert desk.clock("accept").epoch == epoch + 1


def test_of_two_contests_only_the_one_that_is_meant_is_ruled_on_and_only_its_clock_is_withdrawn() -> None:
    """Both clocks ran late at one moment."""
    other = msgspec.structs.replace(LATE, purpose="handle", holder="water")
    asked = msgspec.structs.replace(DISPUTE, purpose="handle", holder="water")
    case = captured(state="handling", clocks=(LATE, other), contests=(DISPUTE, asked))
    ruling = command("withdraw_breach", purpose="handle", org="", actor_level="city", actor_org="440300-desk")
    after = decide(case, ruling, SOURCE, NOW).state
    assert after
    assert [one.ruled_at for one in after.contests] == [0, NOW]
    assert [(clock.purpose, clock.retracted) for clock in after.clocks] == [("accept", False), ("handle", True)]


def asked_again(case: IncidentCase) -> tuple[str, str]:
    """What comes of another contest of the same clock."""
    asked = command("contest", purpose="accept", org="", actor_level="county", actor_org="440305-desk")
    return answer(decide(case, asked, SOURCE, NOW))


def test_a_breach_that_is_dated_anew_is_another_breach() -> None:
    ruled = msgspec.structs.replace(DISPUTE, ruled_at=NOW, ruled_by="city")
    assert asked_again(captured(clocks=(LATE,), contests=(ruled,))) == ("refused", "already_contested")
    later = msgspec.structs.replace(LATE, breached_at=NOW)
    assert asked_again(captured(clocks=(later,), contests=(ruled,))) == ("applied", "")


def test_who_rules_stands_above_the_level_whose_clock_it_was_wherever_the_case_lies_now() -> None:
    ruling = command("uphold_breach", purpose="accept", org="", actor_level="city", actor_org="440300-desk")
    for level, clocks, why in (("city", (LATE,), "applied"), ("county", (), "applied"), ("city", (), "level_too_low")):
        case = captured(clocks=clocks, contests=(DISPUTE,), holder_level=level)
        outcome, reason = answer(decide(case, ruling, SOURCE, NOW))
        assert (reason or outcome) == why
