"""补报: the window of 生产安全事故报告和调查处理条例 13 in which changed casualties are reported again. Monday 23 November 2026."""

from __future__ import annotations

import pytest

from schemas.calendar import calendar
from schemas.clocks import Light
from streams.domain.clocks.clock import light
from streams.domain.incident.rules import rule_of
from tests.unit.test_incident_clocks import Desk, at
from tests.unit.test_incident_reports import filed, fire
from tests.unit.test_incident_silence import woken


def reported(type_: str = "A20600") -> Desk:
    """A first report, signed at ten."""
    desk = fire(type_=type_)
    assert not windows(desk), "nothing was reported that could be supplemented"
    assert filed(desk, "first", "23 10:00") == "applied"
    return desk


def windows(desk: Desk) -> list[tuple[int, int, int]]:
    """Start, end and stop of each."""
    return [(clock.started_at, clock.due_at, clock.stopped_at) for clock in desk.case.clocks if clock.purpose == "supplement"]


@pytest.mark.parametrize(
    ("type_", "ends"),
    [
        ("A20600", "12-01 00:00"),  # a fire: seven days
        ("A20700", "12-01 00:00"),  # road traffic
        ("A20100", "12-24 00:00"),  # a mine: thirty
        ("A20800", "12-24 00:00"),  # on water: traffic, and not on a road
        ("A10100", ""),  # a disaster is no accident at work
    ],
)
def test_the_window_runs_from_the_day_of_the_accident_as_the_law_counts_it(type_: str, ends: str) -> None:
    assert windows(reported(type_)) == ([(at("23 09:00"), at(ends), 0)] if ends else [])


def test_it_asks_the_desk_before_it_closes_and_closes_unbreached() -> None:
    desk = reported()
    desk.do("assign", "23 10:10", org="fire")
    desk.do("sign", "23 10:20", actor_person="signer")
    woken(desk, "30 23:59")
    said = [(event.type, event.occurred_at, event.tell) for event in desk.events if event.clock == "supplement"]
    assert said[:2] == [("incident.clock_warning", at("30 05:42"), ""), ("incident.ran_late", at("30 05:42"), "desk")]
    woken(desk, "12-01 00:00")
    (closed,) = [event for event in desk.events if event.type == "incident.window_closed"]
    assert (closed.occurred_at, closed.clock_due_at, closed.clock_breached_at) == (at("12-01 00:00"), at("12-01 00:00"), 0)
    clock = desk.clock("supplement")
    assert (clock.stopped_at, clock.breached_at) == (at("12-01 00:00"), 0)
    rule = rule_of(desk.case.policy_version, clock.policy)
    assert light(clock, rule, calendar(clock.calendar), at("12-02 00:00")) is Light.YELLOW
    assert not [one for one in desk.case.awaiting if one.purpose == "supplement"]
    assert desk.do("contest", "12-01 09:00", purpose="supplement", org="") == "not_breached"
    before = len(desk.events)
    woken(desk, "12-20 00:00")
    assert not [event for event in desk.events[before:] if event.clock == "supplement"]


def test_no_file_ends_it_and_a_change_is_reported_also_after_the_final_report_until_it_closes() -> None:
    desk = reported()
    for stage, when in (("next", "24 09:00"), ("next", "25 09:00"), ("final", "26 09:00"), ("next", "27 09:00")):
        assert filed(desk, stage, when) == "applied", stage
        assert windows(desk) == [(at("23 09:00"), at("12-01 00:00"), 0)]
    assert filed(desk, "check", "27 10:00") == "stage_out_of_order"
    assert desk.do("draft_report", "30 23:00", stage="next", actor_person="clerk") == "applied"
    assert desk.do("sign_report", "12-01 00:00", stage="next", actor_person="head") == "stage_out_of_order"
    assert filed(desk, "next", "12-01 09:00") == "stage_out_of_order"


def test_a_report_that_comes_after_the_window_opens_none_and_a_second_report_no_second() -> None:
    late = fire()
    assert filed(late, "first", "12-01 00:00") == "applied"
    assert not windows(late)
    desk = reported()
    assert filed(desk, "first", "23 11:00", actor_level="city", actor_org="440300-desk", level="province") == "applied"
    assert len(windows(desk)) == 1


def test_another_type_has_another_window_or_none() -> None:
    desk = reported()
    desk.do("amend", "23 11:00", incident_type="A20400")
    assert windows(desk) == [(at("23 09:00"), at("12-24 00:00"), 0)]
    desk.do("amend", "23 12:00", incident_type="A10100")
    assert windows(desk) == [(at("23 09:00"), at("12-24 00:00"), at("23 12:00"))]
    desk.do("amend", "23 13:00", incident_type="A20600")
    assert windows(desk) == [(at("23 09:00"), at("12-01 00:00"), 0)]


def test_it_ends_with_the_case_and_goes_on_when_that_is_opened_again_in_time() -> None:
    for when, open_again in (("30 09:00", True), ("12-01 09:00", False)):
        desk = reported()
        desk.do("assign", "23 10:10", org="fire")
        desk.do("sign", "23 10:20", actor_person="signer")
        desk.do("report", "23 12:00", actor_person="signer", evidence=True)
        assert desk.do("verify_ok", "23 13:00", actor_person="another") == "applied"
        assert windows(desk) == [(at("23 09:00"), at("12-01 00:00"), at("23 13:00"))]
        assert filed(desk, "next", "24 09:00") == "applied", "the file stays open"
        assert desk.do("reopen", when, person="p1", reason="again") == "applied"
        assert windows(desk)[1:] == ([(at("23 09:00"), at("12-01 00:00"), 0)] if open_again else []), "of who handles it now"
