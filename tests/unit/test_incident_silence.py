"""When nobody answers a page: how far silence climbs, from when it counts, and what a downtime, a pause and a paper do to a ladder.

Monday 23 November 2026, as in test_incident_escalation.py.
"""

from __future__ import annotations

from schemas.avro.incident_event.event import IncidentEvent
from tests.unit.test_incident_clocks import Desk, at, handled
from tests.unit.test_incident_escalation import HALF, steps, told


def woken(desk: Desk, until: str) -> Desk:
    """Each deadline at its own moment, as the wheel does."""
    while 0 < desk.case.next_due <= at(until):
        desk.wake(desk.case.next_due)
    return desk


def timed(events: list[IncidentEvent]) -> list[tuple[int, str, str, int]]:
    return [(e.occurred_at, *step) for e, step in zip([e for e in events if e.step], steps(events), strict=True)]


def test_who_keeps_silent_before_the_due_time_is_told_again_and_what_is_meant_for_the_due_time_keeps_its_own() -> None:
    desk = woken(handled(), "27 14:36")
    assert not desk.pages
    woken(desk, "12-02 10:00")
    assert timed(desk.events) == [
        (at("27 14:37") + HALF, "ran_late", "lateness_ladder", 1),  # three quarters of 39.5 hours of business since Monday 11:00
        (at("27 15:37") + HALF, "told_again", "unacknowledged", 1),
        (at("27 16:37") + HALF, "unacknowledged", "unacknowledged", 1),  # the clock is due on Monday: the ladder waits for that
        (at("30 17:30"), "ran_late", "lateness_ladder", 2),
        (at("12-01 09:30"), "told_again", "unacknowledged", 2),
        (at("12-01 10:30"), "unacknowledged", "unacknowledged", 2),
    ]
    assert told(desk.pages) == [
        ("ran_late", "desk", "440305-desk", 1),
        ("told_again", "desk", "440305-desk", 1),
        ("ran_late", "desk", "440305-desk", 2),
        ("ran_late", "head", "440305-desk", 2),
        ("told_again", "desk", "440305-desk", 2),
        ("told_again", "head", "440305-desk", 2),
    ]
    assert not desk.case.awaiting
    assert desk.clock("handle").stopped_at == 0, "what nobody answers runs on"


def major(grade: int, type_: str = "A20600") -> Desk:
    """A fire in a town of 深圳, in the hands of the county's body."""
    desk = Desk(type_, "23 09:00", division="440305001")
    desk.do("accept", "23 09:01")
    desk.do("triage", "23 09:02", grade=grade)
    desk.do("assign", "23 09:03", org="street", level="town")
    desk.do("sign", "23 09:04", actor_person="signer")
    return desk


def of_handling(desk: Desk) -> list[tuple[str, str, int]]:
    return [(e.type.removeprefix("incident."), e.rule, e.step) for e in desk.events if e.step and e.clock == "handle"]


def test_in_a_major_matter_silence_climbs_at_once_to_the_province_and_each_paper_waits_for_its_share() -> None:
    """The clock of three days ends on Thursday at 24:00; three quarters of it are over on Wednesday. The town's superiors are county, city
    and province; each has a quarter of an hour to answer, three times."""
    desk = woken(major(2), "26 12:00")
    first = desk.clock("handle")
    assert first.due_at == at("27 00:00")
    warned = next(e for e in desk.events if e.clock == "handle" and e.step).occurred_at
    assert of_handling(desk)[:12] == [
        ("ran_late", "lateness_ladder", 1),
        ("told_again", "unacknowledged", 1),
        ("told_again", "unacknowledged", 1),
        ("ran_late", "unacknowledged", 2),
        ("told_again", "unacknowledged", 2),
        ("told_again", "unacknowledged", 2),
        ("ran_late", "unacknowledged", 3),
        ("told_again", "unacknowledged", 3),
        ("told_again", "unacknowledged", 3),
        ("ran_late", "unacknowledged", 4),
        ("told_again", "unacknowledged", 4),
        ("told_again", "unacknowledged", 4),
    ]
    reached = {(page.step, page.target): page.occurred_at - warned for page in desk.pages if page.clock == "handle"}
    assert reached[5, "440000-desk"] == (4 * 3 + 2) * 15 * 60_000, "the province, within four hours"
    assert not [e for e in desk.events if e.type == "incident.supervised" and e.clock == "handle"], "no paper for silence"
    woken(desk, "12-10 00:00")
    (paper, *_) = [e for e in desk.events if e.type == "incident.supervised" and e.clock == "handle"]
    half = (first.due_at - first.started_at) // 2
    assert (paper.occurred_at, paper.step, paper.tell, paper.ack_by) == (first.due_at + half, 3, "", 0), "told before, ordered now"


def test_in_a_lesser_matter_silence_before_the_due_time_reaches_nobody_above() -> None:
    desk = woken(major(3), "30 12:00")
    assert {page.step for page in desk.pages if page.clock == "handle"} == {1}
    assert of_handling(desk)[-1] == ("unacknowledged", "unacknowledged", 1)


def test_after_a_downtime_each_step_is_told_once_and_counts_from_then_who_must_answer() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.wake("23 12:00")
    assert timed(desk.events) == [
        (at("23 09:15"), "ran_late", "lateness_ladder", 1),
        (at("23 09:22") + HALF, "ran_late", "lateness_ladder", 2),
    ]
    assert [e.ack_by for e in desk.events if e.step] == [at("23 12:05")] * 2
    assert {page.ack_by for page in desk.pages} == {at("23 12:05")}
    desk.wake("23 13:00")
    assert timed(desk.events)[2:] == [(at("23 12:05"), "told_again", "unacknowledged", 2)]
    assert desk.events[-1].ack_by == at("23 13:05"), "and so again, however late"
    assert desk.do("acknowledge", "23 13:04", actor_level="city", purpose="accept") == "applied"
    assert not desk.case.awaiting


def test_a_step_is_put_off_by_a_pause_as_the_warning_is() -> None:
    """五日 of business from Monday 11:00; hours of two of its days lie in a pause that moves no end of a day, so it brings the 75 % on."""
    desk = handled()
    before = desk.case.next_due
    asked = {"reason": "expert_appraisal", "actor_person": "chief", "actor_level": "city"}
    assert desk.do("suspend", "27 09:00", until=at("27 17:00"), **asked) == "applied"
    woken(desk, "30 12:00")
    warning, step = [e for e in desk.events if e.type == "incident.clock_warning" and e.clock == "handle"], timed(desk.events)
    assert before == at("27 14:37") + HALF
    assert [e.occurred_at for e in warning] == [at("27 17:00")], "brought on to an hour within the pause: told when it ends"
    assert step[0][:2] == (at("27 17:00"), "ran_late")


def test_a_step_that_tells_nobody_leaves_who_was_told_before_it_waited_for() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.do("accept", "23 09:05")
    desk.do("triage", "23 09:06")
    desk.do("assign", "23 09:10", org="fire")
    woken(desk, "23 09:56")
    assert {(one.purpose, one.step) for one in desk.case.awaiting} == {("sign", 2)}
    desk.wake("23 10:10")
    assert [e.step for e in desk.events if e.type == "incident.supervised"] == [3]
    assert {one.step for one in desk.case.awaiting} == {2}
