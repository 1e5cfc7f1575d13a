"""The simulated day: repeatable, believable by its own figures, legal by the incident's table."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from schemas import bounds
from schemas.divisions import division
from schemas.event_types import event_types
from services.embedded.simulation_plan import OpenCases, Planned, Step, figures, plan_day, plan_minute, rest_of
from streams.domain.incident.table import COMMANDS, OPEN, State

MONDAY = date(2026, 11, 23)
MINUTE = 29_923_200  # 2026-11-23 08:00 UTC, a Monday afternoon in China


@pytest.fixture(scope="module")
def day() -> list[Planned]:
    return list(plan_day("test", MONDAY, 6.0))


def walk(steps: tuple[Step, ...], state: str = State.CAPTURED) -> str:
    """The state after `steps`, by the incident's table; AssertionError at the first that is not allowed."""
    handler = ""
    for step in steps:
        row = COMMANDS[step.command]
        assert state in row.sources, (state, step)
        if step.command in ("report", "self_handle"):
            handler = step.by
        if step.command.startswith("verify"):
            assert step.by != handler
        state = row.target or state
    return state


def test_the_same_seed_plans_the_same_day_and_another_seed_another() -> None:
    assert plan_minute("a", MINUTE, 60) == plan_minute("a", MINUTE, 60)
    assert plan_minute("a", MINUTE, 60) != plan_minute("b", MINUTE, 60)


def test_a_day_is_in_time_order_with_keys_of_its_own(day: list[Planned]) -> None:
    assert [planned.at for planned in day] == sorted(planned.at for planned in day)
    assert len({planned.key for planned in day}) == len(day)


def test_the_hour_curve_shows(day: list[Planned]) -> None:
    hours = Counter(planned.body["occurred_at"][11:13] for planned in day)
    assert hours["10"] > 3 * hours["04"]


def test_the_mean_rate_over_a_week_is_the_rate_asked_for() -> None:
    week = sum(len(list(plan_day("test", date(2026, 11, number), 2.0))) for number in range(23, 30))
    assert week / (7 * 24 * 60) == pytest.approx(2.0, rel=0.03)


def test_what_is_posted_is_known_to_the_registers(day: list[Planned]) -> None:
    for planned in day:
        assert planned.body["type"] in event_types()
        assert division(planned.body["division"]).level == "town"
        assert bounds.parse_time(planned.body["occurred_at"]) == (planned.at, 480)


def test_all_21_cities_have_matters(day: list[Planned]) -> None:
    assert len({planned.body["division"][:4] for planned in day}) == 21


def test_every_script_is_allowed_by_the_table_and_ends_the_case(day: list[Planned]) -> None:
    ends = Counter(walk(planned.steps) for planned in day)
    assert not set(ends) & OPEN
    assert ends[State.CLOSED] > ends[State.EVALUATED] > ends[State.DECLINED] > 0


def test_only_types_of_the_list_are_settled_on_the_spot(day: list[Planned]) -> None:
    for planned in day:
        if planned.steps[0].command == "self_handle":
            assert event_types()[planned.body["type"]].self_handle
            assert planned.steps[0].body["evidence"] is True


def test_some_are_returned_fail_the_check_and_come_back(day: list[Planned]) -> None:
    commands = Counter(step.command for planned in day for step in planned.steps)
    assert min(commands[name] for name in ("object", "verify_fail", "reopen", "decline", "self_handle", "evaluate")) > 0


def test_the_time_to_the_scene_follows_the_real_quantiles(day: list[Planned]) -> None:
    signed = sorted(
        step.delay_s / 0.3 for planned in day if planned.body["type"].startswith("L") for step in planned.steps if step.command == "sign"
    )
    response = figures()["response_s"]["by_grade"]
    assert response["1"][0] < signed[len(signed) // 2] < response["4"][-1]


@pytest.mark.parametrize("state", sorted(OPEN - {State.SIGNED}))
def test_a_leftover_of_an_earlier_run_is_brought_to_its_end(state: State) -> None:
    assert walk(rest_of("test", "case", state, "440305001"), state) == State.CLOSED


def test_nothing_is_left_to_do_for_an_ended_case() -> None:
    assert rest_of("test", "case", State.CLOSED, "440305001") == ()


def steps(*delays: float) -> tuple[Step, ...]:
    return tuple(Step(delay, f"step{number}", "desk", {}) for number, delay in enumerate(delays))


def test_open_cases_give_each_step_once_when_it_is_due_and_only_after_the_step_before() -> None:
    cases = OpenCases(speed=60)
    cases.captured("a", "case-a", steps(60, 120), now=0)
    assert cases.next_actions(999) == []
    (first,) = cases.next_actions(1000)
    assert (first.step.command, first.expected_seq, first.case_id) == ("step0", 1, "case-a")
    assert cases.next_actions(10_000) == []
    cases.done("a", 10_000)
    assert cases.next_actions(11_999) == []
    (second,) = cases.next_actions(12_000)
    assert (second.step.command, second.expected_seq) == ("step1", 2)
    assert second.key != first.key
    cases.done("a", 12_000)
    assert len(cases) == 0


def test_a_case_that_somebody_took_is_let_go() -> None:
    cases = OpenCases(speed=1)
    cases.captured("a", "case-a", steps(1), now=0)
    assert len(cases) == 1
    cases.next_actions(1000)
    cases.dropped("a")
    assert len(cases) == 0
    assert cases.next_actions(10_000) == []
