"""Clocks, lateness, overlays and the ledger of an incident: moments worked out by hand from the policies of 2026.1.

Sunday 22 November 2026; business is 8:30-12:00 and 14:00-17:30. A municipal matter (M01): accepted within 2 working hours, in all 10
working days. A request (S01): signed within a working day, handled within 5. A fire (A20): accepted within 15 minutes.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from schemas.avro.handover.event import Handover
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.state.clock import Clock, Pause
from schemas.state.incident_case.event import IncidentCase
from streams.agents.case import CaseProcessor
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up
from tests.helpers import assert_can_be_stored
from tests.unit.test_incident_life_cycle import CASE, command

CHINA = timezone(timedelta(hours=8))


def at(text: str | int) -> int:
    """ "23 08:30" of November 2026 in China, UTC milliseconds; "12-04 17:30" of another month; a number is one already."""
    if isinstance(text, int):
        return text
    day, clock = text.split()
    month, _, date = day.rpartition("-")
    hours, minutes = map(int, clock.split(":"))
    return int(datetime(2026, int(month or 11), int(date), hours, minutes, tzinfo=CHINA).timestamp() * 1000)


class Desk:
    """One case and who works on it."""

    def __init__(self, incident_type: str, captured: str, **more: Any) -> None:
        self.state: IncidentCase | None = None
        self.events: list[IncidentEvent] = []
        self.pages: list[Notification] = []
        self.handovers: list[Handover] = []
        self.number = 0
        self.do("capture", captured, incident_type=incident_type, **more)

    def do(self, name: str, when: str | int, **more: Any) -> str:
        """ "applied", or why it was refused."""
        self.number += 1
        moment = at(when)
        values: dict[str, Any] = {"actor_level": "county", "actor_org": "440305-desk", "actor_division": "440000", "occurred_at": moment}
        values |= {"division": "440305", "incident_type": ""} | more
        asked = command(name, str(self.number), **values)
        said = self._decide(asked, moment)
        (outcome,) = [record for record in said if isinstance(record, Outcome)]
        return outcome.reason or outcome.outcome

    def wake(self, when: str | int) -> list[IncidentEvent]:
        """What the case says by itself then."""
        said = self._decide(wake_up(CASE, at(when), "live"), at(when))
        assert not [record for record in said if isinstance(record, Outcome)]
        return [record for record in said if isinstance(record, IncidentEvent)]

    def _decide(self, asked: Any, moment: int) -> list[Any]:
        decision = decide(self.state, asked, Source("incident.commands", 0, self.number), moment)
        assert_can_be_stored(decision)
        self.state = decision.state
        said = [emit.record for emit in decision.emits]
        self.events += [record for record in said if isinstance(record, IncidentEvent)]
        self.pages += [record for record in said if isinstance(record, Notification)]
        self.handovers += [record for record in said if isinstance(record, Handover)]
        return said

    @property
    def case(self) -> IncidentCase:
        assert self.state
        return self.state

    def clock(self, purpose: str) -> Clock:
        return [clock for clock in self.case.clocks if clock.purpose == purpose][-1]


def handled(incident_type: str = "S01") -> Desk:
    """Captured on Monday at 9, in the hands of the water works since 11."""
    desk = Desk(incident_type, "23 09:00")
    desk.do("accept", "23 09:30")
    desk.do("triage", "23 10:00", grade=4)
    desk.do("assign", "23 10:30", org="water")
    assert desk.do("sign", "23 11:00", actor_person="signer") == "applied"
    return desk


def test_an_answer_ends_the_clock_of_what_it_answers_and_of_nothing_else_that_was_asked_in_that_moment() -> None:
    desk = handled()
    assert desk.do("offer_up", "25 09:00") == "applied"
    order = {"rung": "remind", "actor_org": "440300-desk", "actor_level": "city"}
    assert desk.do("supervise", "25 09:00", **order) == "applied"
    assert desk.do("supervise", "25 09:00", **order | {"rung": "supervise"}) == "applied"
    assert desk.do("return", "25 10:00", reason="busy", actor_level="city", actor_org="440300-desk") == "applied"
    waiting = [(clock.holder, clock.due_at) for clock in desk.case.clocks if clock.purpose == "reply" and not clock.stopped_at]
    assert waiting == [("water", at("30 17:30"))], "the papers wait on, until the third working day"
    assert desk.do("reply_supervision", "25 11:00", rung="remind") == "applied"
    assert [clock.holder for clock in desk.case.clocks if clock.purpose == "reply" and not clock.stopped_at] == ["water"]
    assert desk.do("reply_supervision", "25 12:00", rung="supervise") == "applied"
    assert not [clock for clock in desk.case.clocks if clock.purpose == "reply" and not clock.stopped_at]


def test_accept_and_total_run_from_the_capture_and_accepting_stops_the_first() -> None:
    desk = Desk("M01001", "22 20:00")  # a Sunday evening
    assert (desk.clock("accept").due_at, desk.clock("total").due_at) == (at("23 10:30"), at("12-04 17:30"))
    assert desk.case.next_due == at("23 10:00"), "three quarters of two hours from 8:30"
    desk.do("accept", "23 09:15")
    assert desk.clock("accept").stopped_at == at("23 09:15")
    assert not desk.clock("total").stopped_at


def test_a_deadline_that_passes_is_told_with_its_own_time_and_the_desk_is_told() -> None:
    desk = Desk("M01001", "23 08:30")
    said = desk.wake("23 15:00")
    assert [(e.type, e.occurred_at) for e in said] == [
        ("incident.clock_warning", at("23 10:00")),
        ("incident.clock_due", at("23 10:30")),
        ("incident.ran_late", at("23 10:30")),
        ("incident.clock_overdue", at("23 11:30")),
        ("incident.ran_late", at("23 11:30")),
    ]
    assert [(e.light_from, e.light) for e in said if "clock" in e.type] == [("green", "yellow"), ("yellow", "red"), ("red", "deep_red")]
    assert {(e.cause, e.clock, e.actor_org, e.command_id) for e in said} == {("timer", "accept", "", "")}
    assert said[2].tell == "desk"
    assert [(e.case_seq, e.state_from, e.holder_level_from) for e in said] == [
        (number, "captured", "county") for number in range(2, 2 + len(said))
    ]
    assert [e.src_position for e in said] == [0, 16, 17, 19, 20], "what is between are those who are told"
    assert desk.clock("accept").breached_at == at("23 10:30")
    assert desk.wake("23 15:01") == [], "told once"


def test_what_was_done_in_time_and_told_late_withdraws_the_breach_and_keeps_it() -> None:
    desk = Desk("M01001", "23 08:30")
    desk.do("accept", "23 15:00", occurred_at=at("23 10:29"))
    clock = desk.clock("accept")
    assert (clock.stopped_at, clock.breached_at, clock.retracted) == (at("23 10:29"), at("23 10:30"), True)


def test_a_suspension_moves_the_deadline_and_ends_by_itself() -> None:
    desk = handled()
    due = desk.clock("handle").due_at
    asked = {"reason": "expert_appraisal", "until": at("26 11:00")}
    assert desk.do("suspend", "24 11:00", actor_person="signer", actor_level="city", **asked) == "same_person"
    assert desk.do("suspend", "24 11:00", actor_person="chief", actor_level="county", **asked) == "level_too_low"
    assert desk.do("suspend", "24 11:00", actor_person="chief", actor_level="city", **asked | {"reason": "busy"}) == "ground_unknown"
    assert (
        desk.do("suspend", "24 11:00", actor_person="chief", actor_level="city", **asked | {"until": at("12-31 23:59") * 2}) == "too_long"
    )
    assert desk.do("suspend", "24 11:00", actor_person="chief", actor_level="city", **asked) == "applied"
    assert desk.clock("handle").pauses == (Pause("expert_appraisal", at("24 11:00"), 0, "chief"),)
    assert desk.do("report", "24 12:00") == "suspended"
    assert desk.case.next_due == at("26 11:00")
    (resumed,) = desk.wake("26 11:30")
    assert (resumed.type, resumed.rule, resumed.occurred_at) == ("incident.resumed", "suspension_over", at("26 11:00"))
    assert desk.clock("handle").due_at == due + 2 * 86_400_000, "two working days, none of them before a weekend"


def test_a_shelf_needs_the_level_above_and_a_review_at_which_the_case_comes_back() -> None:
    desk = handled()
    assert desk.do("shelve", "24 09:00", actor_level="city") == "review_missing"
    assert desk.do("shelve", "24 09:00", until=at("12-01 09:00")) == "level_too_low"
    assert desk.do("shelve", "24 09:00", actor_level="city", until=at("12-01 09:00")) == "applied"
    (back,) = desk.wake("12-01 09:00")
    assert (back.type, back.rule, back.review_at) == ("incident.unshelved", "review_due", 0)


def test_an_offer_to_the_city_is_answered_against_a_clock_and_the_ledger_says_who_had_it() -> None:
    desk = handled()
    assert desk.do("take", "24 09:00", actor_level="city") == "not_offered"
    desk.do("offer_up", "24 09:00")
    reply = desk.clock("reply")
    assert (reply.holder, reply.level, reply.stopped_at) == ("440300-desk", "city", 0)
    assert desk.case.holder == "water", "the holder keeps its duty until the offer is taken"
    assert desk.do("take", "24 10:00", actor_level="county") == "level_too_low"
    desk.do("take", "24 10:00", actor_level="city", actor_org="440300-desk")
    assert (desk.case.holder, desk.case.holder_level, desk.clock("reply").stopped_at) == ("440300-desk", "city", at("24 10:00"))
    handle = [clock for clock in desk.case.clocks if clock.purpose == "handle"]
    assert [(clock.holder, bool(clock.stopped_at)) for clock in handle] == [("water", True), ("440300-desk", False)]
    assert [(one.holder, one.since, one.until) for one in desk.case.segments] == [
        ("440305-desk", at("23 09:00"), at("23 10:30")),
        ("water", at("23 10:30"), at("24 10:00")),
        ("440300-desk", at("24 10:00"), 0),
    ]
    assert desk.events[-1].held_ms == at("24 10:00") - at("23 10:30")
    desk.do("assign_down", "24 11:00", actor_level="city", level="county", org="fire")
    assert (desk.case.holder, desk.case.holder_level, desk.case.upstream) == ("fire", "county", None)


def test_an_offer_that_is_returned_leaves_the_case_where_it_was() -> None:
    desk = handled()
    desk.do("offer_up", "24 09:00", level="province")
    assert desk.do("return", "24 10:00", actor_level="city") == "level_too_low"
    assert desk.do("return", "24 10:00", actor_level="province") == "applied"
    assert (desk.case.upstream, desk.case.holder, desk.case.reassignments) == (None, "water", 0)


def test_an_offer_that_nobody_answered_ends_with_the_case_and_does_not_come_back_with_it() -> None:
    desk = handled()
    assert desk.do("offer_up", "23 14:10", reason="too_big") == "applied"
    assert desk.do("report", "23 14:20", evidence=True, actor_person="signer") == "applied"
    assert desk.do("verify_ok", "23 14:30", actor_person="other") == "applied"
    assert (desk.case.upstream, desk.events[-1].upstream_state) == (None, "")
    assert desk.do("reopen", "23 15:00", reason="came_back", person="villager") == "applied"
    assert desk.do("offer_up", "23 15:10", reason="too_big") == "applied"
    (running,) = [clock for clock in desk.case.clocks if clock.purpose == "reply" and not clock.stopped_at]
    assert running.started_at == at("23 15:10")


def test_joint_handling_closes_only_when_every_task_is_done_or_waived_by_the_convener() -> None:
    desk = handled()
    desk.do("convene", "24 09:00", orgs=("fire", "power"), actor_org="water")
    assert desk.do("report", "24 10:00") == "tasks_open"
    assert desk.do("task_done", "24 10:00", org="fire", actor_org="gas") == "not_convener"
    assert desk.do("task_done", "24 10:00", org="", actor_org="fire") == "applied"
    assert desk.do("task_waive", "24 10:00", org="power", actor_org="fire") == "not_convener"
    assert desk.do("task_waive", "24 10:00", org="power", actor_org="water") == "applied"
    assert desk.events[-1].open_tasks == 0
    assert desk.do("report", "24 11:00") == "applied"


def test_supervision_rises_by_rungs_is_answered_in_time_and_lifted_by_its_issuer_only() -> None:
    desk = handled()
    order = {"actor_level": "city", "actor_org": "440300-desk", "paper": "督〔2026〕1号"}
    assert desk.do("supervise", "24 09:00", rung="remind") == "level_too_low"
    assert desk.do("supervise", "24 09:00", rung="shout", **order) == "rung_unknown"
    assert desk.do("supervise", "24 09:00", rung="supervise", **order) == "applied"
    assert desk.do("supervise", "24 09:30", rung="remind", **order) == "rung_not_above"
    assert desk.events[-1].reply_due_at == desk.clock("reply").due_at == at("27 17:30"), "three working days"
    assert desk.do("reply_supervision", "25 09:00") == "applied"
    assert desk.clock("reply").stopped_at == at("25 09:00")
    assert desk.do("reply_supervision", "25 09:30") == "no_reply_owed"
    assert desk.do("lift_supervision", "25 10:00", actor_level="province", actor_org="440000-desk") == "not_issuer"
    assert desk.do("lift_supervision", "25 10:00", **order) == "applied"
    assert desk.events[-1].supervised_rung == ""


def test_who_does_not_sign_is_supervised_by_the_level_above_by_rule() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:06")
    desk.do("assign", "23 09:10", org="fire")  # to be signed within 30 minutes
    said = desk.wake("23 11:00")
    ordered = [e for e in said if e.type == "incident.supervised"]
    assert [(e.occurred_at, e.cause, e.actor_org, e.supervised_rung, e.clock) for e in ordered] == [
        (at("23 10:10"), "rule", "440300-desk", "remind", "sign")
    ]
    assert [one.issuer for one in desk.case.supervised] == ["440300-desk"]
    assert [event.case_seq for event in desk.events] == list(range(1, len(desk.events) + 1))
    assert {event.state_from for event in desk.events[1:]} == {"captured", "accepted", "triaged", "assigned"}


def test_who_is_told_again_is_told_with_the_level_of_the_desk_above_where_that_was_told() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.wake("23 09:15")
    (again,) = desk.wake("23 09:20")
    assert (again.type, again.tell, again.tell_level, again.state_from) == ("incident.told_again", "desk+superior_desk", "city", "captured")
    top = Desk("A20600", "23 09:00")
    top.state = msgspec.structs.replace(top.case, clocks=tuple(msgspec.structs.replace(one, level="province") for one in top.case.clocks))
    top.wake("23 09:15")
    (again,) = top.wake("23 09:20")
    assert (again.type, again.tell, again.tell_level) == ("incident.told_again", "desk", "")


def test_a_ladder_issues_no_second_paper_of_a_rung_that_stands() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:06")
    desk.do("assign", "23 09:10", org="fire")
    assert desk.do("supervise", "23 09:20", rung="remind", actor_level="city", actor_org="440300-desk") == "applied"
    desk.wake("23 11:00")
    assert [one.rung for one in desk.case.supervised] == ["remind"]


def test_an_offer_is_about_who_holds_the_case_and_stops_no_report_up() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:10", grade=2)
    hop = desk.clock("report_up")
    assert (hop.level, hop.started_at, hop.due_at) == ("county", at("23 09:10"), at("23 11:10"))
    desk.do("offer_up", "23 10:00", level="city")
    desk.do("take", "23 10:10", actor_level="city", actor_org="440300-desk")
    assert [clock for clock in desk.case.clocks if clock.purpose == "report_up"] == [hop]


def test_an_extension_is_granted_once_by_a_superior_before_the_deadline() -> None:
    desk = handled()
    due = desk.clock("handle").due_at
    assert desk.do("extend", "24 09:00", purpose="handle") == "level_too_low"
    assert desk.do("extend", "24 09:00", purpose="sign", actor_level="city") == "clock_unknown"
    assert desk.do("extend", "24 09:00", purpose="handle", amount=6, actor_level="city") == "too_long"
    assert desk.do("extend", "24 09:00", purpose="handle", amount=2, actor_level="city") == "applied"
    assert desk.clock("handle").due_at == due + 2 * 86_400_000
    assert desk.do("extend", "25 09:00", purpose="handle", actor_level="city") == "already_extended"
    assert [clock.extended for clock in desk.case.clocks if clock.purpose != "handle"] == [0, 0, 0]
    late = handled()
    assert late.do("extend", "12-20 09:00", purpose="handle", actor_level="city") == "already_due"


def test_a_higher_grade_does_not_put_a_deadline_into_the_past() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:10", grade=3)
    before = desk.clock("total")
    desk.do("triage", "24 09:10", grade=1)
    assert desk.clock("total").due_at > before.due_at
    desk.do("triage", "12-12 09:10", grade=3)
    assert desk.clock("total").due_at > at("12-12 09:10"), "15 days had passed by then"


def test_another_grade_leaves_the_answer_to_a_paper_as_it_was_ordered() -> None:
    desk = handled()
    desk.do("supervise", "24 09:00", rung="supervise", actor_level="city", actor_org="440300-desk")
    reply = desk.clock("reply")
    assert desk.do("triage", "24 09:30", grade=2) == "applied"
    assert desk.clock("reply") == reply


def test_a_reopened_case_runs_new_clocks_and_says_who_asked() -> None:
    desk = handled()
    desk.state = decide(desk.case, command("report", "r", actor_person="worker"), Source("t", 0, 90), at("24 10:00")).state
    desk.do("verify_ok", "24 11:00", actor_person="checker")
    assert desk.case.next_due == 0
    assert all(clock.stopped_at for clock in desk.case.clocks)
    assert desk.do("reopen", "25 09:00", actor_person="worker") == "same_person"
    assert desk.do("reopen", "25 09:00", person="neighbour") == "applied"
    assert (desk.events[-1].rule, desk.case.round, desk.case.reopens) == ("asked_by_affected", 2, 1)
    assert {(clock.purpose, clock.round) for clock in desk.case.clocks if not clock.stopped_at} == {("handle", 2), ("total", 2)}


@pytest.mark.parametrize("incident_type", ["M01001", "A20600", "S01"])
def test_the_due_time_is_read_from_a_stored_state_without_decoding_it(incident_type: str) -> None:
    from schemas.codec import codec

    state = Desk(incident_type, "23 09:00").case
    assert CaseProcessor().next_due(codec(IncidentCase).encode(state)) == state.next_due > 0


def test_a_mistake_is_set_right_and_a_wrong_press_is_undone() -> None:
    desk = Desk("M01001", "23 09:00")
    assert desk.do("amend", "23 09:05", division="") == "nothing_to_amend"
    assert desk.do("amend", "23 09:05", division="440304") == "applied"
    assert (desk.case.county, desk.case.holder, desk.case.title) == ("440304", "440304-desk", "供水井盖异常 · 深圳市福田区")
    assert desk.do("void", "23 09:06") == "applied"
    assert (desk.case.state, desk.events[-1].type) == ("withdrawn", "incident.voided")


def test_a_clock_begun_again_in_the_same_moment_is_the_same_clock() -> None:
    desk = Desk("S01", "23 09:00")
    desk.do("accept", "23 09:30")
    desk.do("triage", "23 10:00", grade=4)
    for name in ("assign", "object", "assign"):
        assert desk.do(name, "23 10:30", org="water") == "applied"
    (sign,) = [clock for clock in desk.case.clocks if clock.purpose == "sign"]
    assert (sign.stopped_at, sign.epoch, desk.events[-1].clocks) == (0, 2, (sign,))
