"""Lateness that climbs until somebody answers: who is told, told again, acknowledges, or could not be reached. Times worked out by hand.

Monday 23 November 2026; business is 8:30-12:00 and 14:00-17:30. A municipal matter (M01) is accepted within 2 working hours, and its county
has an hour of business to acknowledge; a fire (A20) within 15 minutes, and county and city have 5.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.notification.event import Notification
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up
from streams.domain.incident.telling import urgency_of
from tests.unit.test_incident_clocks import Desk, at, handled
from tests.unit.test_incident_life_cycle import CASE, captured, command

HALF = 30_000


def told(pages: list[Notification]) -> list[tuple[str, str, str, int]]:
    return [(page.cause, page.target_kind, page.target, page.step) for page in pages]


def steps(events: list[IncidentEvent]) -> list[tuple[str, str, int]]:
    """What the ladder did: event, rule and number of the step."""
    return [(e.type.removeprefix("incident."), e.rule, e.step) for e in events if e.step]


def test_a_step_pages_each_one_it_tells_with_the_clock_the_step_and_when_to_acknowledge() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.wake("23 09:15")
    assert told(desk.pages) == [("ran_late", "desk", "440305-desk", 1), ("ran_late", "desk", "440300-desk", 1)]
    event, (first, second) = desk.events[-1], desk.pages
    assert (event.type, event.step, event.ack_by, event.tell) == ("incident.ran_late", 1, at("23 09:20"), "desk+superior_desk")
    assert (first.target_level, second.target_level) == ("county", "city")
    assert (first.kind, first.type, first.clock, first.clock_holder) == ("incident", "page", "accept", "440305-desk")
    assert (first.clock_due_at, first.ack_by, first.occurred_at) == (at("23 09:15"), at("23 09:20"), at("23 09:15"))
    assert (first.case_seq, first.category, first.urgency, first.command_id) == (event.case_seq, "A20600", 2, "")
    assert first.notification_id != second.notification_id
    assert event.src_position < first.src_position < second.src_position


def test_an_hour_to_acknowledge_is_an_hour_of_business_and_minutes_are_minutes() -> None:
    desk = Desk("M01001", "23 08:30")
    for when in ("23 10:30", "23 11:30", "23 14:30", "23 15:30"):
        desk.wake(when)
    assert [(e.occurred_at, e.ack_by) for e in desk.events if e.step] == [
        (at("23 10:30"), at("23 11:30")),
        (at("23 11:30"), at("23 14:30")),  # half an hour before noon, half an hour after two
        (at("23 14:30"), at("23 15:30")),
        (at("23 15:30"), 0),
    ]
    evening = Desk("A20600", "23 20:00")
    evening.wake("23 20:15")
    assert evening.events[-1].ack_by == at("23 20:20")


def test_an_acknowledgement_stops_the_chain_and_neither_the_clock_nor_the_steps_to_come() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.wake("23 09:15")
    assert desk.do("acknowledge", "23 09:16", actor_level="town") == "nothing_awaited"
    assert desk.do("acknowledge", "23 09:16", actor_level="city", purpose="sign") == "nothing_awaited"
    assert desk.do("acknowledge", "23 09:16", actor_level="city", actor_org="440300-desk", purpose="accept") == "applied"
    event = desk.events[-1]
    assert (event.type, event.clock, event.step, event.tell) == ("incident.acknowledged", "accept", 1, "desk+superior_desk")
    assert (desk.case.awaiting, desk.clock("accept").stopped_at) == ((), 0)
    assert desk.do("acknowledge", "23 09:17", actor_level="city") == "nothing_awaited"
    desk.wake("23 09:23")
    assert told(desk.pages)[2:] == [("ran_late", "head", "440305-desk", 2), ("ran_late", "desk", "440300-desk", 2)]
    assert desk.events[-1].occurred_at == at("23 09:22") + HALF, "one and a half times fifteen minutes"


def test_the_holders_own_level_may_acknowledge_what_only_its_superior_was_told() -> None:
    desk = Desk("A20600", "23 09:00", division="440305001")
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:06", grade=3)
    desk.do("assign", "23 09:07", org="street", level="town")
    desk.do("sign", "23 09:08", actor_person="signer")
    assert desk.clock("handle").level == "town"
    while desk.events[-1].step < 4:
        desk.wake(desk.case.next_due)
    assert {(one.purpose, one.level) for one in desk.case.awaiting} == {("handle", "city")}, "it went on from the county to the city"
    assert desk.do("acknowledge", desk.case.now, actor_level="county", purpose="handle") == "nothing_awaited"
    assert desk.do("acknowledge", desk.case.now, actor_level="town", purpose="handle") == "applied"


def test_a_page_that_reached_nobody_makes_the_next_step_come_at_once() -> None:
    desk = handled()
    desk.wake("27 14:40")
    missed = {"purpose": "handle", "org": "water", "reason": "nobody_on_duty", "actor_division": "440000"}
    assert desk.do("nobody_notified", "27 14:41", **missed) == "applied"
    assert steps(desk.events)[1:] == [("no_one_notified", "", 1), ("ran_late", "no_one_notified", 2)]
    assert {e.occurred_at for e in desk.events[-2:]} == {at("27 14:41")}
    assert (desk.events[-2].reason, desk.events[-2].clock, desk.events[-2].tell) == ("nobody_on_duty", "handle", "desk")
    assert told(desk.pages)[1:] == [("no_one_notified", "desk", "440305-desk", 2), ("no_one_notified", "head", "440305-desk", 2)]


def test_after_the_last_step_it_is_said_that_nobody_could_be_reached() -> None:
    desk = Desk("M01001", "23 08:30")
    desk.wake("23 11:30")
    assert desk.do("nobody_notified", "23 11:31", purpose="accept", org="440305-desk") == "applied"
    assert steps(desk.events)[-2:] == [("no_one_notified", "", 2), ("unacknowledged", "no_one_notified", 2)]
    assert not desk.case.awaiting


@pytest.mark.parametrize(
    "stale",
    [
        {"amount": 1},
        {"until": 1},
        {"purpose": "sign"},
        {"org": "440300-desk"},
        {"whom": "head", "level": "city"},
    ],
)
def test_a_page_that_was_answered_or_sent_anew_since_is_not_jumped_over(stale: dict[str, Any]) -> None:
    desk = Desk("A20600", "23 09:00")
    desk.wake("23 09:23")
    missed = {"purpose": "accept", "org": "440305-desk", "amount": 2, "until": desk.pages[-1].ack_by}
    before = desk.case
    assert desk.do("nobody_notified", "23 09:23", **missed | stale) == "nothing_awaited"
    assert (desk.case.awaiting, desk.case.climbs, desk.case.seq) == (before.awaiting, before.climbs, before.seq)
    assert desk.do("nobody_notified", "23 09:24", **missed) == "applied"
    assert desk.do("nobody_notified", "23 09:24", **missed) == "nothing_awaited"


def test_one_who_cannot_be_reached_is_no_longer_waited_for_while_another_may_still_answer() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.wake("23 09:23")
    missed = {"purpose": "accept", "org": "440305-desk", "amount": 2}
    assert desk.do("nobody_notified", "23 09:24", **missed, whom="head", level="county") == "applied"
    assert steps(desk.events)[-1] == ("no_one_notified", "", 2)
    assert [(one.whom, one.level) for one in desk.case.awaiting] == [("superior_desk", "city")]
    desk.wake("23 09:28")
    assert told(desk.pages)[-1] == ("told_again", "desk", "440300-desk", 2)
    assert desk.do("nobody_notified", "23 09:29", **missed, whom="desk", level="city") == "applied"
    assert steps(desk.events)[-1] == ("unacknowledged", "no_one_notified", 2)


def test_what_is_done_or_rests_is_waited_for_no_longer() -> None:
    done = Desk("A20600", "23 09:00")
    done.wake("23 09:15")
    done.do("accept", "23 09:16")
    assert not done.case.awaiting
    resting = handled()
    resting.wake("27 15:00")
    assert resting.case.awaiting
    asked = {"reason": "expert_appraisal", "until": at("30 16:00"), "actor_person": "chief", "actor_level": "city"}
    assert resting.do("suspend", "27 15:10", **asked) == "applied"
    assert not resting.case.awaiting
    closed = handled()
    closed.wake("27 15:00")
    closed.do("withdraw", "27 15:10")
    assert (closed.case.awaiting, closed.case.next_due) == ((), 0)


def test_a_supervision_that_a_step_orders_names_the_step_and_its_desk_hears_of_it() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:06")
    desk.do("assign", "23 09:10", org="fire")
    desk.wake("23 10:10")
    ordered = [e for e in desk.events if e.type == "incident.supervised"]
    assert [(e.step, e.ack_by, e.tell) for e in ordered] == [(3, 0, "")], "it tells nobody, so nobody must acknowledge"
    (one,) = [handed for handed in desk.handovers if handed.kind == "supervised"]
    assert (one.from_desk, one.to_desk, one.to_org, one.rung, one.rule) == (
        "440300-desk",
        "440305-desk",
        "fire",
        "remind",
        "lateness_ladder",
    )
    assert one.due_at == desk.case.supervised[0].reply_due


@pytest.mark.parametrize(
    ("incident_type", "grade", "urgency"),
    [("M01001", 0, 3), ("M01001", 4, 3), ("M01001", 3, 2), ("M01001", 2, 1), ("A20600", 0, 2), ("A20600", 1, 1), ("S01", 0, 3)],
)
def test_urgency_follows_grade_and_type(incident_type: str, grade: int, urgency: int) -> None:
    assert urgency_of(captured(incident_type=incident_type, grade=grade)) == urgency


def test_the_notifiers_word_is_not_taken_from_a_desk_of_another_place() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.wake("23 09:15")
    asked = command("nobody_notified", "n", purpose="accept", org="440305-desk", actor_division="440106")
    said = decide(desk.case, asked, Source("incident.commands", 0, 99), at("23 09:16")).emits
    assert [getattr(emit.record, "reason", "") for emit in said] == ["out_of_scope"]


def test_what_one_record_causes_is_bounded_and_the_rest_comes_with_the_next() -> None:
    desk = Desk("A20600", "23 09:00")
    late = desk.clock("accept")
    many = tuple(msgspec.structs.replace(late, holder=f"desk-{number}") for number in range(60))
    desk.state = msgspec.structs.replace(desk.case, clocks=many, state="handling")
    orgs = tuple(f"org-{number}" for number in range(50))
    now, rounds = at("23 12:00"), 0
    while not rounds or desk.case.awaiting:
        rounds += 1
        now = max(now, desk.case.next_due) if rounds > 1 else now
        asked = command("convene", f"c{rounds}", orgs=orgs) if rounds == 1 else wake_up(CASE, now, "live")
        emits = decide(desk.case, asked, Source("incident.commands", 0, 100 + rounds), now)
        desk.state = emits.state
        assert max(emit.position for emit in emits.emits) <= 255
        desk.events += [emit.record for emit in emits.emits if isinstance(emit.record, IncidentEvent)]
    assert rounds > 4
    assert len([e for e in desk.events if e.type == "incident.clock_due"]) == 60
    assert len([e for e in desk.events if e.type == "incident.unacknowledged"]) == 60
    assert len([e for e in desk.events if e.type == "incident.told_again"]) == 120
