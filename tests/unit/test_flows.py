"""Flow "4+2" and the rules of cases: data with their sources, complete over all states and types."""

from __future__ import annotations

import pytest

from schemas.case_rules import case_rules, needs_evidence, reopen_window_ms
from schemas.event_types import event_types
from schemas.flows import OUTSIDE, flow, flows, stage_of
from streams.domain.incident.table import State

FOUR_PLUS_TWO = flow("four_plus_two")


@pytest.mark.parametrize(
    ("state", "stage"),
    [
        ("captured", "登记受理"), ("accepted", "先行调解"), ("triaged", "风险研判"), ("assigned", "分类流转"), ("signed", "跟踪督办"),
        ("handling", "跟踪督办"), ("reported", "跟踪督办"), ("verifying", "跟踪督办"), ("closed", "案结事了"), ("evaluated", "案结事了"),
        ("archived", "案结事了"), ("declined", ""), ("withdrawn", ""), ("merged", ""),
    ],
)  # fmt: skip
def test_each_state_has_its_stage_of_four_plus_two(state: str, stage: str) -> None:
    found = stage_of(FOUR_PLUS_TWO, state)
    assert (found.title_zh if found else "") == stage


def test_a_supervised_case_is_followed_up_until_it_is_settled() -> None:
    found = {state: stage_of(FOUR_PLUS_TWO, state, supervised=True) for state in ("captured", "assigned", "handling", "closed", "merged")}
    assert {state: stage.code if stage else "" for state, stage in found.items()} == {
        "captured": "follow_up", "assigned": "follow_up", "handling": "follow_up", "closed": "settled", "merged": "",
    }  # fmt: skip


@pytest.mark.parametrize("code", flows())
def test_every_flow_covers_every_state_once_and_names_its_source(code: str) -> None:
    named = flow(code)
    covered = [state for stage in named.stages for state in stage.states]
    assert sorted([*covered, *OUTSIDE]) == sorted(State)
    assert named.source
    assert named.code == code
    assert named.supervised in {"", *(stage.code for stage in named.stages)}


def test_a_flow_that_is_none_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        flow("../case_rules")


def test_what_is_asked_of_cases_holds_for_every_type_and_has_a_source() -> None:
    for code in event_types():
        assert needs_evidence(code) is code.startswith("M")
        assert reopen_window_ms(code) == 30 * 86_400_000
    assert all(rule.source and rule.certainty for rules in (case_rules().evidence, case_rules().reopen) for rule in rules)
