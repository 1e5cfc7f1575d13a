"""Laws of what people read of cases: ledgers sum, deadlines are explained whatever happened, any parameters are a question or a refusal."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.problems import Problem
from services.warehouse.read_port import deadlines, ledger, search, work
from services.warehouse.read_port.parameters import Parameters
from tests.property.test_case_laws import DAY, Step, lived, logs, wakes
from tests.read_stage import rows_of

NOW = 1_795_300_000_000
VALUES = st.text(max_size=30) | st.sampled_from(["true", "work", "red", "440305", "A20", "2026-11-22", "WzEsMiwzLCJhIl0", "open", "9" * 30])
QUERIES = st.dictionaries(st.sampled_from([*work.NAMES, *search.NAMES, "as_of", "realm"]) | st.text(max_size=12), VALUES, max_size=6)


@settings(max_examples=80, deadline=None)
@given(logs(), st.lists(st.integers(0, 400 * DAY), max_size=5), st.integers(0, 500 * DAY))
def test_a_ledger_sums_to_the_total_and_says_what_the_case_itself_remembers(log: list[Step], times: list[int], later: int) -> None:
    life = lived(wakes(log, times))
    if not life.events:
        return
    rows = rows_of(life.events)
    now = max(life.state.now, *(at for _, at in log)) + later
    spans = ledger.spans(rows, now)
    assert all(a.until <= b.since for a, b in itertools.pairwise(spans))
    whole = ledger.document(rows, rows, now)
    for part in ("holders", "levels"):
        assert sum(row["total_ms"] for row in whole[part]) == whole["total_ms"]
    assert whole["total_ms"] == sum(whole[f"{name}_ms"] for name in ledger.CONDITIONS) == sum(span.until - span.since for span in spans)
    held: dict[tuple[str, str], int] = {}
    for segment in life.state.segments:
        key = (segment.holder, segment.level)
        held[key] = held.get(key, 0) + (segment.until or now) - segment.since
    assert {(row["holder"], row["level"]): row["total_ms"] for row in whole["holders"]} == {key: ms for key, ms in held.items() if ms}


@settings(max_examples=60, deadline=None)
@given(logs(), st.lists(st.integers(0, 400 * DAY), max_size=5), st.integers(0, 500 * DAY))
def test_every_clock_of_any_case_is_explained_as_of_any_moment(log: list[Step], times: list[int], back: int) -> None:
    life = lived(wakes(log, times))
    if not life.events:
        return
    rows, last = rows_of(life.events), max(life.state.now, *(at for _, at in log))
    found = deadlines.document(rows, last)["clocks"]
    assert [(c["purpose"], c["holder"], c["started_at"], c["due_at"], c["stopped_at"] or 0) for c in found] == [
        (c.purpose, c.holder, c.started_at, c.due_at, c.stopped_at) for c in life.state.clocks
    ]
    assert all(c["sentence"]["zh"] and c["sentence"]["en"] and c["policy"]["source"] for c in found)
    then = deadlines.document(rows, last - back)["clocks"]
    assert [c["started_at"] for c in then] == [c["started_at"] for c in found][: len(then)]


def judged(ask: Callable[[], Any]) -> Problem | None:
    try:
        ask()
    except Problem as problem:
        return problem
    return None


@settings(max_examples=400, deadline=None)
@given(QUERIES)
def test_any_parameters_are_a_question_or_a_refusal_that_points(query: dict[str, str]) -> None:
    def moment() -> None:
        parameters = Parameters(query, ("as_of",))
        assert parameters.moment("as_of", NOW) <= NOW or parameters.errors
        parameters.check()

    for ask in (lambda: work.asked(query), lambda: search.asked(query, NOW), moment):
        problem = judged(ask)
        if problem is not None:
            assert problem.status == 422
            assert problem.errors
            assert all(pointer.startswith("/") and detail for pointer, detail in problem.errors)
