"""上报 as a file: a fire (A20) in a county of Shenzhen. Graded 2 it is reported to city and province, within two hours a hop."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.policy.terms import Starts
from schemas.state.incident_case.event import Filed, Segment
from streams.domain.incident import filing, rules
from streams.domain.incident.decide import decide
from tests.unit.test_incident_clocks import Desk, at
from tests.unit.test_incident_life_cycle import NOW, SOURCE, captured, command

DRAFTER, SIGNER = {"actor_person": "clerk"}, {"actor_person": "head"}
CITY = {"actor_level": "city", "actor_org": "440300-desk", "level": "province"}


def fire(grade: int = 2, type_: str = "A20600") -> Desk:
    desk = Desk(type_, "23 09:00")
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:10", grade=grade)
    return desk


def filed(desk: Desk, stage: str, when: str, **more: Any) -> str:
    """Drafted and signed in one moment; "applied", or why it was refused."""
    drafted = desk.do("draft_report", when, stage=stage, **DRAFTER | more)
    return drafted if drafted != "applied" else desk.do("sign_report", when, stage=stage, **SIGNER | more)


def test_a_signed_first_report_ends_the_hop_and_the_level_that_was_told_owes_the_next() -> None:
    desk = fire()
    assert desk.do("draft_report", "23 09:40", stage="first", paper="深南应急〔2026〕1号", **DRAFTER) == "applied"
    hop = desk.clock("report_up")
    assert (hop.level, hop.due_at, hop.stopped_at) == ("county", at("23 11:10"), 0), "a draft reports nothing"
    assert desk.do("sign_report", "23 10:00", stage="first", **SIGNER) == "applied"
    first, second = [clock for clock in desk.case.clocks if clock.purpose == "report_up"]
    assert (first.stopped_at, second.level, second.holder, second.due_at) == (at("23 10:00"), "city", "440300-desk", at("23 12:00"))
    (file,) = desk.case.filed
    assert (file.stage, file.level, file.paper, file.drafter, file.signer) == ("first", "city", "深南应急〔2026〕1号", "clerk", "head")
    assert (file.drafted_at, file.signed_at) == (at("23 09:40"), at("23 10:00"))
    drafted, signed = [event for event in desk.events if "report_" in event.type]
    assert (drafted.type, drafted.stage, drafted.target, drafted.clocks) == ("incident.report_drafted", "first", "440300-desk", ())
    assert (signed.type, signed.stage, signed.paper, signed.clock) == ("incident.report_signed", "first", file.paper, "report_up")
    assert signed.clocks == (first, second, desk.clock("supplement"))
    assert (desk.case.holder, desk.case.upstream) == ("440305-desk", None), "who holds the case is another thing"
    assert filed(desk, "first", "23 11:00", **CITY) == "applied"
    assert [clock.stopped_at for clock in desk.case.clocks if clock.purpose == "report_up"] == [at("23 10:00"), at("23 11:00")]


def test_stages_have_their_order_and_nothing_follows_the_final_report() -> None:
    desk = fire(type_="A10100")
    assert filed(desk, "next", "23 09:30") == "stage_out_of_order"
    assert filed(desk, "first", "23 09:31") == "applied"
    assert filed(desk, "first", "23 09:32") == "stage_out_of_order", "there is one first report to a level"
    for stage in ("next", "check", "next", "final"):
        assert filed(desk, stage, "23 10:00") == "applied"
    assert filed(desk, "next", "23 10:01") == "stage_out_of_order"
    assert filed(desk, "next", "23 10:01", **CITY) == "stage_out_of_order", "each level has its own file"
    assert [one.stage for one in desk.case.filed] == ["first", "next", "check", "next", "final"]


def test_a_draft_that_comes_too_late_is_not_signed_and_a_newer_draft_takes_an_older_ones_place() -> None:
    desk = fire(type_="A10100")
    filed(desk, "first", "23 09:30")
    desk.do("draft_report", "23 09:40", stage="next", paper="1", **DRAFTER)
    desk.do("draft_report", "23 09:41", stage="next", paper="2", **SIGNER)
    assert [(one.stage, one.paper, one.drafter) for one in desk.case.filed] == [("first", "", "clerk"), ("next", "2", "head")]
    assert filed(desk, "final", "23 10:00") == "applied"
    assert desk.do("sign_report", "23 10:01", stage="next", **DRAFTER) == "stage_out_of_order"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"stage": "second"}, "stage_unknown"),
        ({"stage": ""}, "stage_unknown"),
        ({"actor_person": ""}, "person_missing"),
        ({"actor_level": "city"}, "level_too_high"),
        ({"level": "grid"}, "no_level_above"),
        ({"actor_level": "town", "level": "county"}, "applied"),
    ],
)
def test_who_drafts_what(given: dict[str, str], why: str) -> None:
    assert fire().do("draft_report", "23 09:30", **{"stage": "first"} | DRAFTER | given) == why


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (DRAFTER, "same_person"),
        ({"actor_person": ""}, "person_missing"),
        ({"actor_level": "province"}, "level_too_high"),
        ({"actor_level": "city"}, "level_too_high"),
        ({"stage": "next"}, "not_drafted"),
        ({"level": "province"}, "not_drafted"),
    ],
)
def test_who_signs_what(given: dict[str, str], why: str) -> None:
    desk = fire()
    desk.do("draft_report", "23 09:30", stage="first", **DRAFTER)
    assert desk.do("sign_report", "23 09:40", **{"stage": "first"} | SIGNER | given) == why


def test_who_names_no_level_signs_the_only_draft_and_must_name_one_of_several() -> None:
    desk = fire()
    assert desk.do("draft_report", "23 09:30", stage="first", level="province", **DRAFTER) == "applied"
    assert desk.do("sign_report", "23 09:31", stage="next", **SIGNER) == "not_drafted"
    assert desk.do("draft_report", "23 09:32", stage="first", level="city", **DRAFTER) == "applied"
    assert desk.do("sign_report", "23 09:33", stage="first", **SIGNER) == "several_drafts"
    assert desk.do("sign_report", "23 09:34", stage="first", level="city", **SIGNER) == "applied"
    assert desk.do("sign_report", "23 09:35", **SIGNER) == "applied", (
        "the province's is the only one left, though the next hop is the city's"
    )
    assert [(one.level, one.signed_at) for one in desk.case.filed] == [("province", at("23 09:35")), ("city", at("23 09:34"))]
    assert desk.do("sign_report", "23 09:36", **SIGNER) == "not_drafted"


def landslide(captured: str = "23 09:00", level: str = "town") -> Desk:
    """A disaster that a desk below the county enters: graded 2, whoever is below the county tells it within half an hour of the receipt."""
    place = {"village": "440305001003", "town": "440305001"}[level]
    return Desk("A10100", captured, division="440305001003", actor_role="desk", actor_level=level, actor_org=f"{place}-desk")


def test_a_hop_that_counts_from_the_receipt_gives_no_time_to_who_grades_late() -> None:
    desk = landslide()
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:20", grade=2)
    hop = desk.clock("report_up")
    assert (hop.level, hop.started_at, hop.due_at) == ("town", at("23 09:00"), at("23 09:30"))
    late = landslide()
    late.do("accept", "23 09:05")
    late.do("triage", "23 09:40", grade=2)
    assert late.clock("report_up").breached_at == at("23 09:30"), "told at once: it was late before it was graded"


def test_the_receipt_is_that_of_the_first_level_of_the_hop_and_a_grade_that_rises_is_a_new_duty() -> None:
    desk = landslide(level="village")
    desk.do("offer_up", "23 09:04", level="town", actor_level="village")
    assert desk.do("take", "23 09:06", actor_level="town", actor_org="440305001-desk") == "applied"
    desk.do("accept", "23 09:08")
    desk.do("triage", "23 09:10", grade=4)
    hop = desk.clock("report_up")
    assert (hop.holder, hop.started_at, hop.due_at) == ("440305001-desk", at("23 09:00"), at("23 11:00"))
    desk.do("triage", "23 10:50", grade=2)
    risen = desk.clock("report_up")
    assert (risen.started_at, risen.due_at) == (at("23 10:50"), at("23 11:20"))


def test_a_report_that_skips_a_level_ends_the_hops_below_it() -> None:
    """突发事件应对法 17: it may be reported past the next level."""
    desk = fire()
    assert filed(desk, "first", "23 10:00", level="province") == "applied"
    hops = [clock for clock in desk.case.clocks if clock.purpose == "report_up"]
    assert [(clock.level, clock.stopped_at) for clock in hops] == [("county", at("23 10:00"))], "the next hop leaves the platform"


def test_a_grade_that_rises_after_the_report_has_the_level_that_was_told_owe_the_next_hop() -> None:
    desk = fire(grade=4)
    filed(desk, "first", "23 10:00")
    assert not [clock for clock in desk.case.clocks if clock.purpose == "report_up" and not clock.stopped_at], "grade 4 ends at the city"
    desk.do("triage", "23 10:30", grade=2)
    hop = desk.clock("report_up")
    assert (hop.level, hop.holder, hop.due_at) == ("city", "440300-desk", at("23 12:30"))


def test_a_report_to_a_level_ends_no_hop_that_this_level_owes_itself() -> None:
    desk = fire()
    hop = desk.clock("report_up")
    assert filed(desk, "first", "23 09:30", actor_level="town", level="county") == "applied"
    assert [clock for clock in desk.case.clocks if clock.purpose == "report_up"] == [hop], "the county still owes the city its own"
    taken = Desk("A20600", "23 09:00")
    taken.do("accept", "23 09:05")
    taken.do("offer_up", "23 09:06")
    taken.do("take", "23 09:07", actor_level="city", actor_org="440300-desk")
    taken.do("triage", "23 09:10", grade=2)
    hop = taken.clock("report_up")
    assert hop.level == "city"
    assert filed(taken, "first", "23 09:30", level="city") == "applied"
    assert [clock for clock in taken.case.clocks if clock.purpose == "report_up"] == [hop]


@pytest.mark.parametrize(
    ("division", "level"),
    [("440305001", "county"), ("441900003", "town")],  # 东莞 has no county: the next level above that there is
)
def test_a_unit_reports_to_the_level_that_its_hop_ends_at(division: str, level: str) -> None:
    case = captured(division=division, incident_type="A20600", grade=2, holder_level="unit")
    asked = command(
        "draft_report", stage="first", level="", actor_level="unit", actor_person="clerk", actor_division="440000", paper="no 1"
    )
    after = decide(case, asked, SOURCE, NOW).state
    assert after
    assert after.filed == (Filed("first", level, "no 1", "clerk", NOW, "", 0),)


@pytest.mark.parametrize(("given", "kept"), [("", "drafted as"), ("signed as", "signed as")])
def test_a_signed_report_has_the_number_of_its_draft_or_the_one_it_was_signed_under(given: str, kept: str) -> None:
    desk = fire()
    desk.do("draft_report", "23 09:30", stage="first", paper="drafted as", **DRAFTER)
    desk.do("sign_report", "23 09:40", stage="first", paper=given, **SIGNER)
    assert desk.case.filed == (Filed("first", "city", kept, "clerk", at("23 09:30"), "head", at("23 09:40")),)
    assert desk.events[-1].paper == kept


def test_a_report_signed_late_is_late_and_one_on_a_closed_case_touches_no_clock() -> None:
    desk = fire()
    filed(desk, "first", "23 12:00")
    assert desk.events[-1].clock_breached_at == at("23 11:10")
    desk = Desk("M01001", "23 09:00")
    desk.do("self_handle", "23 09:10", actor_person="grid worker", evidence=True)
    desk.do("verify_ok", "23 09:20", actor_person="another")
    before = desk.case.clocks
    assert filed(desk, "first", "23 09:30") == "applied"
    assert desk.case.clocks == before


def test_a_closed_case_is_opened_again_within_thirty_days_and_no_later() -> None:
    for when, why in (("12-23 09:20", "applied"), ("12-23 09:21", "window_over")):
        desk = Desk("M01001", "23 09:00")
        desk.do("self_handle", "23 09:10", actor_person="grid worker", evidence=True)
        desk.do("verify_ok", "23 09:20", actor_person="another")
        desk.do("evaluate", "30 09:00")
        assert desk.do("reopen", when, person="p1") == why


def test_who_is_declined_is_told_where_to_turn() -> None:
    desk = Desk("S01", "23 09:00")
    assert desk.do("decline", "23 09:10", org="440305-housing") == "applied"
    assert (desk.events[-1].target, desk.case.holder) == ("440305-housing", "440305-desk")


@pytest.mark.parametrize(
    ("level", "begins"),
    [("unit", "arrival"), ("town", "arrival"), ("county", "second"), ("city", "second")],
)  # fmt: skip
def test_a_hop_from_the_receipt_counts_from_when_the_first_of_its_levels_had_the_case(level: str, begins: str) -> None:
    """The hop of a unit ends at the county: unit, village and town owe it, the county does not."""
    case = captured(
        incident_type="A20600", grade=2, arrived_at=NOW - 50,
        segments=(Segment("first", level, NOW - 40, NOW - 20), Segment("second", "village", NOW - 20, 0)),
    )  # fmt: skip
    owed = rules.hop_of(case, "unit")
    assert owed
    moments = {"arrival": NOW - 50, "second": NOW - 20}
    assert filing.owed_since(case, owed[0], Starts.RECEIVED, [], NOW) == moments[begins]


def test_a_level_below_the_one_that_owes_a_hop_does_not_start_it() -> None:
    case = captured(incident_type="A20600", grade=2, arrived_at=NOW - 30, segments=(Segment("first", "town", NOW - 40, 0),))
    owed = rules.hop_of(case, "county")
    assert owed
    assert filing.owed_since(case, owed[0], Starts.RECEIVED, [], NOW) == NOW


def test_a_hop_from_the_event_counts_from_it_in_the_first_round_only_and_one_that_was_owed_before_from_now() -> None:
    case = captured(
        incident_type="A20600", grade=2, opened_at=NOW - 50, arrived_at=NOW - 30, segments=(Segment("first", "town", NOW - 40, 0),)
    )
    owed = rules.hop_of(case, "unit")
    assert owed
    later, ahead = msgspec.structs.replace(case, round=2), msgspec.structs.replace(case, opened_at=NOW + 9)
    assert [filing.owed_since(one, owed[0], Starts.OCCURRED, [], NOW) for one in (case, later, ahead)] == [NOW - 50, NOW, NOW]
    assert [filing.owed_since(one, owed[0], Starts.RECEIVED, [], NOW) for one in (case, later)] == [NOW - 30, NOW]
    assert filing.owed_since(case, owed[0], Starts.EVENT, [], NOW) == NOW
    hop = fire().clock("report_up")
    assert filing.owed_since(case, owed[0], Starts.RECEIVED, [hop], NOW) == NOW
