"""What the policies of 2026.1 say of a case, in the words of the core: figures typed from the documents."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from schemas import clocks
from schemas.clocks import Unit, Until
from schemas.policies import Policies, policies
from schemas.policy.terms import Level, Starts
from streams.domain.clocks.clock import extend, start
from streams.domain.incident import rules
from streams.domain.incident.clocks import under
from tests.clocks import CAL, begun, due_of, paused, rule
from tests.clocks import at as moment_of
from tests.unit.test_incident_clocks import Desk, at
from tests.unit.test_incident_life_cycle import captured
from tests.unit.test_policies import drafted, written

TIMEOUT = """on_timeout.highest = "city"
on_timeout.source = "Liandong: an offer that nobody answers goes to the next level there is; no law says so, and the holder keeps its duty"
on_timeout.certainty = "D"
"""


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A version in which hearings last 48 hours, appraisals 8 working hours by the holder's own head, and no offer climbs by itself."""
    grounds = written(
        "suspension_incident",
        ('approver = "superior"', 'approver = "own_head"'),
        ('length = "30 working days"', 'length = "48 hours"'),
        ('length = "30 working days"', 'length = "8 working hours"'),
    )
    ladders = written("lateness_incident", (TIMEOUT, ""))
    draft, faults = drafted(tmp_path, suspension_incident=grounds, lateness_incident=ladders)
    assert not faults, faults

    def known(version: str) -> Policies:
        return draft if version == "2026.other" else policies(version)

    monkeypatch.setattr(rules, "policies", known)
    yield "2026.other"
    for cached in (rules.book, rules.limit, rules.rule_of, rules._steps):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("reference", "rule"),
    [
        (
            "sla_municipal 1/clocks/0",
            clocks.Rule("accept", "", "", Unit.WORKING_MS, 7_200_000, Until.MIDNIGHT, 750, 1500, 259_200_000, 0, pausable=False),
        ),
        (
            "sla_municipal 1/clocks/2",
            clocks.Rule("handle", "", "", Unit.WORKING_DAY, 2, Until.BUSINESS, 750, 1500, 259_200_000, 2, pausable=True),
        ),
        (
            "sla_petition 1/clocks/2",
            clocks.Rule("handle", "", "", Unit.CALENDAR_DAY, 60, Until.BUSINESS, 750, 1500, 259_200_000, 30, pausable=False),
        ),
        (
            "supervision_ladder 1/rungs/0",
            clocks.Rule("reply", "", "", Unit.WORKING_DAY, 1, Until.BUSINESS, 750, 1500, 86_400_000, 0, pausable=False),
        ),
    ],
)
def test_a_rule_is_the_documents_whole(reference: str, rule: clocks.Rule) -> None:
    found = rules.Book("2026.1").rules[reference]
    assert found == dataclasses.replace(rule, policy=reference, source=found.source)
    assert found.source
    assert rules.rule_of("2026.1", reference) == found


def test_the_rule_of_a_mirrored_clock_is_in_no_document_and_an_unknown_one_is_none() -> None:
    assert rules.rule_of("2026.1", "source") is rules.SOURCE
    with pytest.raises(StopIteration):
        rules.rule_of("2026.1", "sla_municipal 1/clocks/99")


def test_only_petitions_are_extended_by_the_head_of_the_body_itself() -> None:
    assert rules.Book("2026.1").by_head == {"sla_petition 1/clocks/2"}
    assert rules.granted_by_head("2026.1", "sla_petition 1/clocks/2")
    assert not rules.granted_by_head("2026.1", "sla_municipal 1/clocks/2")


def test_a_limit_says_what_starts_it_and_where_there_is_none_there_is_none() -> None:
    found = rules.limit("2026.1", "accept", "M01001", 0)
    assert found
    assert (found.rule.policy, found.starts) == ("sla_municipal 1/clocks/0", Starts.RECEIVED)
    assert rules.limit("2026.1", "tea", "M01001", 0) is None


@pytest.mark.parametrize(
    ("grade", "level", "to", "hours"),
    [(2, "county", Level.CITY, 2), (2, "unit", Level.COUNTY, 1), (2, "province", None, 0), (4, "city", None, 0), (0, "county", None, 0)],
)  # fmt: skip
def test_what_a_level_owes_to_the_one_above(grade: int, level: str, to: Level | None, hours: int) -> None:
    owed = rules.hop_of(captured(incident_type="A20600", grade=grade), level)
    assert (owed[0].to if owed else None) == to
    assert (owed[1].rule.budget if owed else 0) == hours * 3_600_000
    if owed:
        assert owed[1].starts is (Starts.OCCURRED if level == "unit" else Starts.EVENT)


@pytest.mark.parametrize(
    ("ground", "end"),
    [
        ("expert_appraisal", "2027-01-05"),  # 28 working days of 2026 after Monday 23 November, then 1 (not published yet) and 4 January
        ("legal_proceedings", "2027-05-25"),  # the 180th day, 22 May, is a Saturday
        ("emergency_response", "2026-12-04"),
        ("tea", ""),
    ],
)
def test_a_suspension_lasts_no_longer_than_its_ground_allows(ground: str, end: str) -> None:
    found = rules.longest_suspension(captured(), ground, at("23 09:00"))
    assert found == (int(datetime.fromisoformat(f"{end}T00:00:00+08:00").timestamp() * 1000) if end else 0)


def test_grounds_may_be_counted_in_hours_too_and_their_approver_is_the_policies(other: str) -> None:
    case, now = captured(policy_version=other), at("23 16:30")
    assert rules.longest_suspension(case, "petition_hearing", now) == at("25 16:30")
    assert rules.longest_suspension(case, "expert_appraisal", now) == at("24 17:30"), "one hour of Monday and seven of Tuesday"
    assert [rules.needs_superior(case, one) for one in ("petition_hearing", "expert_appraisal", "tea")] == [False, True, False]


@pytest.mark.parametrize(
    ("place", "level", "kind", "grade", "purpose", "steps"),
    [
        ("440305001", "town", "M01001", 4, "handle",
         [(750, "desk", "county", ""), (1000, "desk+head", "county", ""), (1500, "superior_desk", "county", "remind"),
          (2000, "superior_desk", "county", "supervise")]),
        ("440232113202", "village", "A20600", 1, "handle",
         [(750, "desk", "town", ""), (1000, "desk+head+superior_desk", "town", ""), (1500, "superior_desk", "town", "supervise"),
          (2000, "superior_desk", "county", "supervise"), (2500, "superior_desk", "city", "supervise"),
          (3000, "superior_desk", "province", "supervise")]),
        ("440232113202", "village", "S01", 4, "sign",
         [(1000, "desk", "town", ""), (1500, "head+superior_desk", "town", ""), (2000, "", "town", "remind"),
          (3000, "", "county", "remind")]),
        ("440305", "province", "S01", 4, "sign", [(1000, "desk", "", ""), (1500, "head", "", "")]),
        ("440305", "county", "S01", 4, "tea", []),
    ],
)  # fmt: skip
def test_a_ladder_climbs_the_levels_that_the_place_has(
    place: str, level: str, kind: str, grade: int, purpose: str, steps: list[tuple[int, str, str, str]]
) -> None:
    found = rules.steps(captured(division=place, incident_type=kind, grade=grade), purpose, level)
    assert [tuple(step) for step in found] == [(*step, number) for number, step in enumerate(steps, 1)]


def test_who_is_told_answers_within_what_the_ladder_says() -> None:
    fire, pipe = captured(incident_type="A20600", grade=1), captured(incident_type="M01001", grade=4)
    assert rules.ack(fire, "handle") == rules.Ack(Unit.MS, 900_000, 2, True)
    assert rules.ack(pipe, "handle") == rules.Ack(Unit.WORKING_MS, 3_600_000, 1, False)
    assert rules.ack(pipe, "tea") is None


def test_an_unanswered_offer_climbs_as_high_as_its_ladder_says(other: str) -> None:
    assert rules.highest_asked(captured(incident_type="A20600", grade=1)) == "province"
    assert rules.highest_asked(captured(incident_type="A20600", grade=4)) == "city"
    assert rules.highest_asked(captured(incident_type="M01001", policy_version=other)) == ""


def test_an_offer_whose_policy_climbs_nowhere_stays(other: str) -> None:
    desk = Desk("M01001", "23 09:00", policy_version=other)
    desk.do("offer_up", "23 09:10")
    due = desk.clock("reply").due_at
    desk.wake(due)
    assert desk.case.upstream
    assert (desk.case.upstream.level, desk.clock("reply").stopped_at) == ("city", 0)


def test_a_version_is_known_or_not() -> None:
    assert rules.is_known("2026.1")
    assert not rules.is_known("1999.1")


# --- a running clock under another rule -------------------------------------------------------------------------------------

FIVE = rule(Unit.WORKING_DAY, 5, extension=3)


def test_a_clock_under_another_rule_keeps_its_start_its_holder_its_pauses_and_what_it_was_extended_by() -> None:
    clock = start(FIVE, CAL, moment_of("2026-03-02 09:00"), "water", "town", 2)
    clock = paused(clock, FIVE, "2026-03-03 10:00", "2026-03-05 10:00")
    clock = extend(clock, FIVE, CAL, 3, moment_of("2026-03-05 11:00"))
    ten = dataclasses.replace(FIVE, policy="sla_test 2", budget=10, extension=2)
    moved = under(clock, ten, moment_of("2026-03-06 09:00"))
    assert (moved.started_at, moved.holder, moved.level, moved.round) == (clock.started_at, "water", "town", 2)
    assert (moved.pauses, moved.extended, moved.budget, moved.policy) == (clock.pauses, 2, 10, "sla_test 2")
    assert (due_of(moved), moved.epoch) == ("2026-03-20 17:30", clock.epoch + 1), "14 working days after the 2nd"
    assert under(clock, dataclasses.replace(ten, extension=9), clock.started_at).extended == 3
    hours = dataclasses.replace(ten, unit=Unit.MS, budget=9 * 86_400_000, extension=9)
    assert under(clock, hours, moment_of("2026-03-06 09:00")).extended == 0, "days of one rule are no hours of another"


def test_a_clock_is_not_put_into_the_past_by_another_rule() -> None:
    clock = begun(FIVE, "2026-03-02 09:00")
    two = dataclasses.replace(FIVE, policy="sla_test 2", budget=2)
    assert due_of(under(clock, two, moment_of("2026-03-04 17:30") - 1)) == "2026-03-04 17:30"
    assert under(clock, two, moment_of("2026-03-04 17:30")) is clock


@pytest.mark.parametrize("breached_at", [0, 1, 1_790_000_000_000])
def test_a_breach_before_another_rule_stays_and_is_withdrawn(breached_at: int) -> None:
    clock = msgspec.structs.replace(begun(FIVE, "2026-03-02 09:00"), breached_at=breached_at)
    moved = under(clock, dataclasses.replace(FIVE, policy="sla_test 2", budget=10), clock.started_at)
    assert (moved.breached_at, moved.retracted) == (breached_at, breached_at > 0)
