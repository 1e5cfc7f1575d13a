"""Laws of a rehearsal: under the version in force it says what was recorded; a draft changes what its rules change, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import ids
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.notification.event import Notification
from schemas.policies import latest
from schemas.state.incident_case.event import IncidentCase
from services.rehearse.comparing import Window, compared
from services.rehearse.playing import Breach, Recorded, Rehearsal
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up
from tests.property.test_case_laws import DAY, Step, lived, logs, wakes
from tests.unit.test_incident_life_cycle import CASE

ALWAYS = Window(0, 1 << 62)


def recorded(log: list[Step], case: str = CASE) -> list[Recorded]:
    """A case's records as they stand in the log."""
    return [
        Recorded(at, "incident.commands", 0, offset, msgspec.structs.replace(command, case_id=case))
        for offset, (command, at) in enumerate(log)
    ]


def notified(log: list[Step]) -> list[Notification]:
    """What the lane wrote for the notifier."""
    state, found = None, []
    for offset, (command, at) in enumerate(log):
        decision = decide(state, command, Source("incident.commands", 0, offset), at)
        found += [emit.record for emit in decision.emits if isinstance(emit.record, Notification)]
        state = decision.state
    return found


def awake(log: list[Step], end: int) -> list[Step]:
    """The log with a wake-up at each moment at which the case wants one, as a wheel that never stands still writes them."""
    state: IncidentCase | None = None
    found: list[Step] = []
    for asked, at in [*log, (wake_up(CASE, 0, "live"), end)]:
        while state and 0 < state.next_due <= at:
            found.append((wake_up(CASE, state.next_due, "live"), state.next_due))
            state = decide(state, found[-1][0], Source("incident.commands", 0, len(found)), found[-1][1]).state
        found.append((asked, at))
        state = decide(state, asked, Source("incident.commands", 0, len(found)), at).state
    return found


def passing(state: IncidentCase) -> IncidentCase:
    """Without what says when a case was last looked at, and by which commands, refused ones too."""
    return msgspec.structs.replace(state, now=0, recent=b"")


def rehearsed(records: Iterable[Recorded], version: str, end: int) -> Rehearsal:
    rehearsal = Rehearsal(version)
    for one in records:
        rehearsal.take(one)
    rehearsal.finish(end)
    return rehearsal


def breaches(events: list[IncidentEvent]) -> list[tuple[str, str, str, int]]:
    return sorted((one.case_id, one.clock, one.clock_holder, one.clock_due_at) for one in events if one.type == "incident.clock_due")


def places(found: list[Breach]) -> list[tuple[str, str, str, int]]:
    return sorted(one[:4] for one in found)


@settings(max_examples=60, deadline=None)
@given(logs(), st.lists(st.integers(0, 400 * DAY), max_size=10))
def test_rehearsing_the_version_in_force_says_exactly_the_recorded_breaches_and_pages(log: list[Step], times: list[int]) -> None:
    """However often a case was woken, its breaches are those of a wheel that never stood still; its pages and it itself are where it did
    not."""
    history = wakes(log, times)
    end = history[-1][1]
    prompt = awake(log, end)
    life = lived(prompt)
    assert breaches(lived([*history, (wake_up(CASE, 0, "live"), end)]).events) == breaches(life.events)
    rehearsal = rehearsed(recorded(history), latest(), end)
    assert places(rehearsal.before.breaches) == breaches(life.events)
    assert places(rehearsal.after.breaches) == breaches(life.events)
    for play in (rehearsal.before, rehearsal.after):
        assert [page.at for page in play.pages] == [record.occurred_at for record in notified(prompt)]
        assert passing(play.cases[CASE]) == passing(life.state)
    assert not rehearsal.impossible
    assert not rehearsal.undecided


@settings(max_examples=30, deadline=None)
@given(st.lists(logs(longest=12), min_size=2, max_size=4))
def test_cases_do_not_touch_each_other_and_a_report_of_the_same_version_shows_no_change(many: list[list[Step]]) -> None:
    cases = [ids.case_id("live", "p", str(number)) for number in range(len(many))]
    records = [recorded(log, case) for log, case in zip(many, cases, strict=True)]
    end = max(log[-1][1] for log in many)
    together = rehearsed(sorted((one for each in records for one in each), key=lambda one: one.at), latest(), end)
    alone = [rehearsed(each, latest(), end) for each in records]
    assert places(together.before.breaches) == places([breach for one in alone for breach in one.before.breaches])
    report = compared(together, ALWAYS)
    for name in ("breaches", "pages", "night_pages", "nights"):
        assert all(row["in_force"] == row["draft"] for row in report[name])
    assert report["becomes_late"] == report["no_longer_late"] == {"cases": 0, "first": []}
    assert report["impossible"] == []
