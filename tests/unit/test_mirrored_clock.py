"""The clock of a mirrored case runs to its source's target, by the source's own times, and rouses nobody."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.incident_report.event import IncidentReport
from schemas.avro.outcome.event import Outcome
from schemas.errors import InvalidPayload
from schemas.realms import Realm
from schemas.state.clock import Clock
from schemas.state.incident_case.event import IncidentCase, Segment
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.domain.incident.intake import command_of
from streams.domain.incident.settling import wake_up
from tests.helpers import assert_can_be_stored
from tests.unit.test_incident_clocks import at
from tests.unit.test_incident_life_cycle import CASE, command

OPENED, DUE = "23 08:00", "25 08:00"


class Told:
    """A mirrored case and what its department tells of it."""

    def __init__(self) -> None:
        self.state: IncidentCase | None = None
        self.events: list[IncidentEvent] = []

    def fact(self, version: int, state: str, when: str, *, heard: str = "", due: str = DUE, **more: Any) -> str:
        """`when`: the source's time. `heard`: when it came to us. "applied", or why it was refused."""
        asked = command(
            "observe", f"v{version}-{when}-{due}", source_version=version, state=state, occurred_at=at(when), due_at=at(due) if due else 0,
            **{"holder": "group"} | more,
        )  # fmt: skip
        said = self._decide(asked, at(heard or when))
        (outcome,) = [record for record in said if isinstance(record, Outcome)]
        return outcome.reason or outcome.outcome

    def wake(self, when: str) -> list[str]:
        return [record.type for record in self._decide(wake_up(CASE, at(when), "live"), at(when)) if isinstance(record, IncidentEvent)]

    def _decide(self, asked: Any, now: int) -> list[Any]:
        decision = decide(self.state, asked, Source("incident.commands", 0, len(self.events)), now)
        assert_can_be_stored(decision)
        self.state = decision.state
        said = [emit.record for emit in decision.emits]
        self.events += [record for record in said if isinstance(record, IncidentEvent)]
        assert {type(record) for record in said} <= {IncidentEvent, Outcome}, "nobody is told"
        return said

    @property
    def clock(self) -> Clock:
        assert self.state
        (clock,) = self.state.clocks
        return clock

    @property
    def breached(self) -> str:
        """ "" in time, "late", or "withdrawn": late by what we knew, in time by what came after."""
        if not self.clock.breached_at:
            return ""
        return "withdrawn" if self.clock.retracted else "late"


def opened() -> Told:
    told = Told()
    assert told.fact(1, "captured", OPENED) == "applied"
    return told


def test_it_runs_from_the_opening_to_the_target_and_tells_its_marks_but_nobody() -> None:
    told = opened()
    assert told.state
    assert (told.clock.purpose, told.clock.policy, told.clock.unit) == ("total", "source", "ms")
    assert (told.clock.started_at, told.clock.due_at, told.state.source_due_at) == (at(OPENED), at(DUE), at(DUE))
    assert told.state.next_due == at("24 20:00"), "three quarters of two days"
    assert told.wake("27 00:00") == ["incident.clock_warning", "incident.clock_due", "incident.clock_overdue"]
    assert {event.tell for event in told.events} == {""}
    assert (told.breached, told.state.next_due, told.events[-1].light) == ("late", 0, "deep_red")
    first = told.events[0]
    assert (first.light, first.due_at, first.source_due_at, first.clock, first.clocks[0].due_at) == (
        "green", at(DUE), at(DUE), "total", at(DUE),
    )  # fmt: skip


@pytest.mark.parametrize(("closed", "breached"), [("24 12:00", ""), (DUE, ""), ("25 08:01", "late"), ("28 12:00", "late")])
def test_closed_by_its_target_or_not(closed: str, breached: str) -> None:
    told = opened()
    told.fact(2, "closed", closed)
    assert (told.breached if told.breached != "withdrawn" else "", told.clock.stopped_at) == (breached, at(closed))
    assert told.state
    assert told.state.next_due == 0


def test_what_is_told_late_comes_out_as_if_told_in_time() -> None:
    told = opened()
    told.wake("26 00:00")
    assert told.breached == "late"
    told.fact(2, "closed", "24 12:00", heard="12-20 09:00")
    assert (told.breached, told.clock.stopped_at, told.clock.breached_at) == ("withdrawn", at("24 12:00"), at(DUE))
    assert told.events[-1].clock_breached_at == 0


@pytest.mark.parametrize(("closed", "breached"), [("24 12:00", ""), ("26 12:00", "late")])
def test_a_closing_that_comes_before_the_opening_says_all(closed: str, breached: str) -> None:
    told = Told()
    assert told.fact(2, "closed", closed, heard="27 09:00") == "applied"
    assert told.fact(1, "captured", OPENED, heard="27 09:01") == "stale_version"
    assert (told.breached, told.clock.stopped_at) == (breached, at(closed))


def test_a_note_on_a_closed_case_does_not_close_it_later_and_a_correction_closes_it_earlier() -> None:
    told = opened()
    told.fact(2, "closed", "24 12:00")
    told.fact(3, "closed", "27 12:00")
    told.fact(4, "evaluated", "28 12:00")
    assert (told.breached, told.clock.stopped_at) == ("", at("24 12:00"))
    told = opened()
    told.fact(2, "closed", "26 12:00")
    assert told.breached == "late"
    told.fact(3, "closed", "25 07:59", heard="27 12:00")
    assert (told.breached, told.clock.stopped_at) == ("withdrawn", at("25 07:59"))


def test_a_case_that_its_source_opens_again_runs_on_to_the_same_target() -> None:
    told = opened()
    told.fact(2, "closed", "24 12:00")
    told.fact(3, "handling", "24 15:00")
    assert (told.clock.stopped_at, told.breached) == (0, "")
    assert told.wake("25 08:00") == ["incident.clock_warning", "incident.clock_due"]
    told.fact(4, "closed", "25 10:00")
    assert told.breached == "late"
    told = opened()
    told.wake("26 00:00")
    told.fact(2, "closed", "24 12:00", heard="26 00:01")
    told.fact(3, "handling", "26 00:02")
    assert told.breached == "late", "its target has passed, and it is open"


def test_a_target_that_moves_moves_the_clock() -> None:
    told = opened()
    told.wake("25 09:00")
    told.fact(2, "handling", "25 09:30", due="30 08:00")
    assert (told.breached, told.clock.due_at, told.clock.started_at) == ("withdrawn", at("30 08:00"), at(OPENED))
    assert told.wake("30 09:00") == ["incident.clock_warning", "incident.clock_due"]
    assert (told.breached, told.clock.breached_at) == ("late", at("30 08:00"))
    told.fact(3, "handling", "30 09:30", due="26 08:00")
    assert (told.breached, told.clock.breached_at) == ("late", at("26 08:00")), "dated anew"
    told.fact(4, "closed", "29 12:00", heard="30 10:00", due="")
    assert told.clock.breached_at == at("26 08:00"), "what a fact does not say stays"
    told.fact(5, "closed", "29 12:00", heard="30 10:01", due="12-01 08:00")
    assert (told.breached, told.clock.due_at) == ("withdrawn", at("12-01 08:00"))


def test_each_change_of_its_clock_is_counted_and_no_other_word_touches_it() -> None:
    told = opened()
    assert (told.clock.epoch, told.clock.stopped_at, told.clock.retracted) == (1, 0, False), "begun, and set to its target"
    assert (told.clock.holder, told.clock.level) == ("group", "county")
    before = told.clock
    told.fact(2, "handling", "23 09:00")
    assert (told.clock, told.events[-1].clocks, told.events[-1].clock) == (before, (), "")
    told.fact(3, "closed", "24 12:00")
    assert (told.clock.epoch, told.clock.retracted, told.events[-1].clock) == (2, False, "total")
    told.fact(4, "evaluated", "24 13:00")
    assert (told.clock.epoch, told.events[-1].clocks) == (2, ())
    told.fact(5, "handling", "24 15:00")
    assert (told.clock.epoch, told.clock.stopped_at) == (3, 0)
    told.fact(6, "handling", "24 16:00")
    assert told.clock.epoch == 3


def test_a_breach_withdrawn_by_an_early_end_stands_again_when_the_case_is_opened_at_its_target() -> None:
    for heard, breached in (("25 07:59", "withdrawn"), (DUE, "late")):
        told = opened()
        told.wake("25 08:00")
        assert told.state
        told.state = msgspec.structs.replace(told.state, now=0)
        told.fact(2, "closed", "24 12:00", heard="25 07:00")
        assert told.breached == "withdrawn"
        told.fact(3, "handling", "24 15:00", heard=heard)
        assert told.breached == breached, "its target lies ahead, or is here"


# --- what a fact moves ------------------------------------------------------------------------------------------------------


def test_a_fact_moves_place_and_kind_and_the_title_with_them() -> None:
    told = opened()
    told.fact(2, "handling", "23 09:00", division="440304001", incident_type="", grade=3, holder="other")
    case, event = told.state, told.events[-1]
    assert case
    assert (case.division, case.county, case.level, case.incident_type) == ("440304001", "440304", "town", "M01001")
    assert case.title == "供水井盖异常 · " + case.title.split(" · ")[1]
    assert case.title.split(" · ")[1].startswith("深圳市福田区")
    assert (case.grade, case.holder, case.reassignments, case.source_version, case.round) == (3, "other", 1, 2, 1)
    assert (event.county_from, event.county, event.type_from, event.incident_type) == ("440305", "440304", "M01001", "M01001")
    told.fact(3, "handling", "23 10:00", division="440304001", incident_type="S01")
    assert told.state
    assert (told.state.incident_type, told.state.county, told.state.grade) == ("S01", "440304", 3)
    assert told.state.title == told.events[-1].title != case.title
    assert told.state.title.split(" · ")[1] == case.title.split(" · ")[1]
    kept = told.state.title
    told.state = msgspec.structs.replace(told.state, title="as it was")
    told.fact(4, "handling", "23 11:00", division="440304001", incident_type="S01")
    told.fact(5, "handling", "23 11:30", division="440304001", incident_type="")
    assert told.state.title == "as it was", "what is told again moves nothing"
    assert kept != "as it was"


@pytest.mark.parametrize(
    ("first", "then", "moved"),
    [("a", "b", 1), ("a", "a", 0), ("a", "", 0), ("", "b", 0)],
)  # fmt: skip
def test_another_body_is_a_reassignment_unless_the_source_counts_itself(first: str, then: str, moved: int) -> None:
    for own, counted in ((-1, moved), (0, 0), (7, 7)):
        told = Told()
        told.fact(1, "captured", OPENED, holder=first)
        told.fact(2, "handling", "23 09:00", holder=then, reassignments=own)
        assert told.state
        assert (told.state.reassignments, told.state.holder) == (counted, then or first)


@pytest.mark.parametrize(
    ("before", "after", "reopened"),
    [("closed", "handling", 1), ("reported", "handling", 1), ("handling", "handling", 0), ("closed", "evaluated", 0),
     ("handling", "closed", 0)],
)  # fmt: skip
def test_what_leaves_an_end_for_work_was_opened_again_unless_the_source_counts_itself(before: str, after: str, reopened: int) -> None:
    for own, counted in ((-1, 2 + reopened), (0, 0), (9, 9)):
        told = Told()
        told.fact(1, before, OPENED, reopens=2)
        told.fact(2, after, "23 09:00", reopens=own)
        assert told.state
        assert (told.state.reopens, told.state.round) == (counted, 1 + reopened)
        assert told.events[-1].rule == ("source_reopened" if reopened else "")


def test_a_first_fact_begins_with_the_counts_of_its_source() -> None:
    for given, counted in ((-1, 0), (0, 0), (1, 1), (5, 5)):
        told = Told()
        told.fact(1, "captured", OPENED, reassignments=given, reopens=given)
        assert told.state
        assert (told.state.reassignments, told.state.reopens, told.events[-1].rule) == (counted, counted, "")


def test_a_version_that_was_told_already_is_stale_and_none_is_no_version() -> None:
    told = Told()
    told.fact(3, "captured", OPENED)
    assert told.fact(3, "handling", "23 09:00") == "stale_version"
    assert told.fact(0, "handling", "23 09:30") == "applied"
    assert told.state
    assert told.state.source_version == 3
    assert told.fact(4, "handling", "23 10:00") == "applied"


def test_a_target_before_the_opening_is_late_from_the_first() -> None:
    told = Told()
    told.fact(1, "captured", OPENED, due="20 08:00")
    assert told.breached == "late"
    told.fact(2, "closed", "23 09:00", due="20 08:00")
    assert told.breached == "late"


def test_without_a_target_there_is_no_clock_and_it_may_come_later() -> None:
    told = Told()
    told.fact(1, "captured", OPENED, due="")
    assert told.state
    assert (told.state.clocks, told.state.next_due) == ((), 0)
    told.fact(2, "handling", "23 09:00")
    assert told.clock.started_at == at(OPENED)


def test_the_ledger_of_a_mirrored_case_is_by_its_sources_times() -> None:
    told = Told()
    told.fact(1, "captured", OPENED, heard="28 00:00", holder="a")
    told.fact(2, "handling", "23 10:00", heard="28 00:00", holder="b")
    told.fact(3, "handling", "23 09:00", heard="28 00:00", holder="c")  # a time that runs backwards
    told.fact(4, "closed", "24 12:00", heard="28 00:00", holder="c")
    told.fact(5, "handling", "24 15:00", heard="28 00:00", holder="b")
    assert told.state
    assert told.state.segments == (
        Segment("a", "county", at(OPENED), at("23 10:00")), Segment("b", "county", at("23 10:00"), at("23 10:00")),
        Segment("c", "county", at("23 10:00"), at("24 12:00")), Segment("b", "county", at("24 15:00"), 0),
    )  # fmt: skip
    assert [event.held_ms for event in told.events if event.type == "incident.observed"] == [0, 7_200_000, 0, 93_600_000, 0]


REPORT: dict[str, Any] = {
    "external_id": "1",
    "source_version": 1,
    "type": "M01001",
    "division": "440305",
    "occurred_at": "2026-11-23T08:00:00+08:00",
}


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"due_at": "2026-11-25T08:00:00"}, "/due_at"),
        ({"due_at": "1999-11-25T08:00:00Z"}, "/due_at"),
        ({"due_at": "2101-11-25T08:00:00Z"}, "/due_at"),
        ({"due_at": "2026-11-25T08:00:00+08:00", "state": None}, "/due_at"),
    ],
)
def test_a_target_that_is_none_is_refused_with_its_place(given: dict[str, Any], pointer: str) -> None:
    report = IncidentReport(**REPORT | {"state": "handling"} | given)
    with pytest.raises(InvalidPayload) as refused:
        command_of(report, "demo", Realm.LIVE, Source("intake.demo", 0, 1), at(DUE))
    assert refused.value.pointer == pointer


def test_a_department_writes_its_target_in_its_record() -> None:
    report = IncidentReport(**REPORT, state="handling", due_at="2026-11-25T08:00:00+08:00")
    assert command_of(report, "demo", Realm.LIVE, Source("intake.demo", 0, 1), at(DUE)).due_at == at(DUE)
