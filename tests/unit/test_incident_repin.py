"""A case that is given another version of the policies: in it a municipal matter takes 20 working days, is signed within one working hour
and handled within a calendar day; the reply to a reminder takes 3 working days, nobody is summoned to a talk, and a county reports a
grave accident to the city within an hour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from schemas import calendar
from schemas.calendar import Calendar
from schemas.errors import UnknownPolicy
from schemas.policies import Policies, latest, policies
from streams.domain.core import Source
from streams.domain.incident import clocks, repinning, rules, wanting
from streams.domain.incident.decide import decide
from tests.unit.test_incident_clocks import Desk, at
from tests.unit.test_incident_life_cycle import command
from tests.unit.test_policies import drafted, written

NEWER = "2026.newer"
PROVINCE = {"actor_level": "province", "actor_org": "440000-desk", "reason": "new_rules", "policy_version": NEWER}


@pytest.fixture(autouse=True)
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A second version that this release knows."""
    municipal = written("sla_municipal", ('"10 working days"', '"20 working days"'), ('"4 working hours"', '"1 working hour"'))
    ladder = written("supervision_ladder", ('"1 working day"', '"3 working days"'), ('code = "summon"', 'code = "talk"'))
    county = '{ of = "county", to = "city", within = "2 hours" }'
    report_up = written("report_up_accidents", (county, county.replace("2 hours", "1 hour")))
    draft, faults = drafted(tmp_path, sla_municipal=municipal, supervision_ladder=ladder, report_up_accidents=report_up)
    assert not faults

    def known(version: str) -> Policies:
        return draft if version == NEWER else policies(version)

    monkeypatch.setattr(rules, "policies", known)
    monkeypatch.setattr(rules, "versions", lambda: ("2026.1", NEWER))
    yield
    for cached in (rules.book, rules.limit, rules.rule_of, rules._steps):
        cached.cache_clear()


def test_running_clocks_take_the_rules_of_the_other_version_from_their_own_start() -> None:
    desk = Desk("M01001", "23 08:30")
    desk.do("accept", "23 09:00")
    stopped = desk.clock("accept")
    assert desk.clock("total").due_at == at("12-07 17:30")
    assert desk.do("repin", "24 09:00", **PROVINCE) == "applied"
    total, event = desk.clock("total"), desk.events[-1]
    assert (total.due_at, total.policy, total.epoch) == (at("12-21 17:30"), "sla_municipal 2/clocks/4", 1)
    assert (event.type, event.policy_version, event.reason) == ("incident.repinned", NEWER, "new_rules")
    assert event.clocks == (total,)
    assert desk.clock("accept") == stopped, "what ended stays as it ended"
    desk.do("triage", "24 09:10", grade=4)
    desk.do("assign", "24 09:20", org="water")
    assert desk.clock("sign").due_at == at("24 10:20"), "what begins from now on goes by the new version"


def test_a_clock_whose_deadline_would_lie_in_the_past_keeps_its_rule_and_still_runs_by_it() -> None:
    desk = Desk("M01001", "23 08:30")
    desk.do("accept", "23 09:00")
    desk.do("triage", "23 09:00", grade=4)
    desk.do("assign", "23 09:00", org="water")
    desk.do("repin", "23 10:30", **PROVINCE)
    sign = desk.clock("sign")
    assert (sign.due_at, sign.policy) == (at("23 15:00"), "sla_municipal 1/clocks/1")
    assert [event.type for event in desk.wake("23 15:00")] == ["incident.clock_warning", "incident.clock_due", "incident.ran_late"]
    assert desk.clock("sign").breached_at == at("23 15:00")
    desk.do("sign", "23 15:05", actor_person="signer")
    assert desk.do("suspend", "23 15:10", actor_level="city", reason="expert_appraisal", actor_person="boss") == "applied"


def test_the_reply_to_a_supervision_goes_by_the_other_version_too() -> None:
    desk = Desk("M01001", "23 08:30")
    desk.do("accept", "23 09:00")
    desk.do("supervise", "23 09:30", rung="remind", actor_level="city", actor_org="440300-desk")
    desk.do("repin", "23 10:00", **PROVINCE)
    reply, (paper,) = desk.clock("reply"), desk.case.supervised
    assert reply.policy.startswith("supervision_ladder 2/")
    assert paper.reply_due == reply.due_at == at("26 17:30")
    assert desk.events[-1].reply_due_at == at("26 17:30")


def test_what_was_ordered_by_a_rung_that_the_other_version_does_not_have_is_lifted_first() -> None:
    desk = Desk("M01001", "23 08:30")
    city = {"actor_level": "city", "actor_org": "440300-desk"}
    assert desk.do("supervise", "23 09:30", rung="summon", **city) == "applied"
    assert desk.do("repin", "23 10:00", **PROVINCE) == "rung_unknown"
    desk.do("lift_supervision", "23 10:10", **city)
    assert desk.do("repin", "23 10:20", **PROVINCE) == "applied"


def test_the_hop_of_a_report_goes_by_the_other_version_too_and_one_that_nobody_owes_stays() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:10", grade=2)
    hop = desk.clock("report_up")
    assert hop.due_at == at("23 11:10")
    ungraded = msgspec.structs.replace(desk.case, grade=0)
    assert desk.do("repin", "23 09:30", **PROVINCE) == "applied"
    assert (desk.clock("report_up").due_at, desk.clock("report_up").started_at) == (at("23 10:10"), at("23 09:10"))
    desk.state = ungraded
    assert desk.do("repin", "23 09:30", **PROVINCE) == "applied"
    assert desk.clock("report_up") == hop


def test_clocks_whose_rule_is_the_same_for_their_grade_stay_as_they_are() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:10", grade=1)
    desk.do("assign", "23 09:12", org="fire")
    desk.do("sign", "23 09:14", actor_person="signer")
    before = {clock.purpose: clock for clock in desk.case.clocks}
    assert desk.do("repin", "23 09:30", **PROVINCE) == "applied"
    assert {clock.purpose for clock in desk.case.clocks if clock != before[clock.purpose]} == {"report_up"}


def test_the_answer_to_an_offer_goes_on_by_its_rule_and_a_case_of_another_kind_loses_no_clock() -> None:
    desk = Desk("S01", "23 09:00")
    desk.do("accept", "23 09:30")
    desk.do("offer_up", "23 10:00")
    before = desk.case.clocks
    assert desk.do("repin", "23 10:30", **PROVINCE) == "applied"
    assert desk.case.clocks == before, "what has the same rule in both versions is not touched"
    assert desk.events[-1].clocks == ()
    assert desk.case.supervised == ()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"actor_level": "city"}, "level_too_low"),
        ({"actor_level": "city", "actor_role": "admin"}, "applied"),
        ({"reason": ""}, "reason_missing"),
        ({"policy_version": "1999.1"}, "policy_unknown"),
        ({"policy_version": "2026.1"}, "policy_unchanged"),
        ({"policy_version": ""}, "policy_unchanged"),
    ],
)
def test_who_may_give_a_case_another_version(given: dict[str, str], why: str) -> None:
    desk = Desk("M01001", "23 08:30")
    assert desk.do("repin", "23 09:00", **PROVINCE | given) == why


def test_a_year_that_was_published_since_moves_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk("M01001", "23 08:30")
    known = calendar.calendar()
    days = [known.day(calendar.date_of(calendar.number(known.published_until) - back)) for back in range(365, -1, -1)]
    first = calendar.date_of(calendar.number(known.published_until) - 365)
    holiday = calendar.Day(calendar.HOLIDAY, "节", "holiday")
    days[calendar.number(calendar.date_of(at("12-03 09:00") // 86_400_000)) - calendar.number(first)] = holiday
    newest = Calendar("cn-newest", first, days)
    monkeypatch.setattr(repinning, "LATEST", "cn-newest")
    for module in (repinning, clocks, wanting):
        monkeypatch.setattr(module, "calendar", lambda version: newest if version == "cn-newest" else calendar.calendar(version))
    assert desk.do("repin", "23 09:00", **PROVINCE | {"policy_version": "2026.1"}) == "applied"
    assert (desk.clock("total").due_at, desk.clock("total").calendar) == (at("12-08 17:30"), "cn-newest")
    assert (desk.case.calendar_version, desk.clock("total").epoch) == ("cn-newest", 1)
    warned = Desk("M01001", "23 08:30")
    warned.do("accept", "23 09:00")
    warned.wake("12-04 09:00")
    assert warned.clock("total").told
    assert warned.do("repin", "12-04 09:00", **PROVINCE | {"policy_version": "2026.1"}) == "applied"
    assert (warned.clock("total").due_at, warned.clock("total").told) == (at("12-08 17:30"), 0), "its warning lies ahead again"


def test_a_capture_pins_the_version_that_its_command_names_and_the_newest_otherwise() -> None:
    for named, pinned in ((NEWER, NEWER), ("", latest())):
        state = decide(None, command("capture", policy_version=named), Source("incident.commands", 0, 1), at("23 09:00")).state
        assert state is not None
        assert state.policy_version == pinned


def test_a_case_of_a_later_releases_version_is_not_decided() -> None:
    with pytest.raises(UnknownPolicy):
        decide(None, command("capture", policy_version="3000.1"), Source("incident.commands", 0, 1), at("23 09:00"))
    with pytest.raises(UnknownPolicy):
        rules.rule_of("3000.1", "sla_municipal 1/clocks/1")
