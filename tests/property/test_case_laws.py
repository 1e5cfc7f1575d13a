"""Laws of the incident machine: whatever is asked, in whatever order and at whatever times, these hold.

Logs are drawn over every command, by people of every level, with hours and weeks between them, so that clocks run late, ladders climb,
suspensions end by themselves and shelves come up for review.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import ids
from schemas.avro.handover.event import Handover
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.state.clock import Clock
from schemas.state.incident_case.event import Awaiting, IncidentCase
from schemas.topics import DESKS, INCIDENT_COMMANDS
from streams.agents.case import CaseProcessor
from streams.domain.core import Decision, Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up
from streams.domain.incident.table import CELLS, COMMANDS, ENDED, UNREACHED, State
from streams.domain.incident.wanting import wanted
from tests.unit.test_incident_life_cycle import CASE, NOW, OTHER, READY, SOURCE, command

HOUR, DAY = 3_600_000, 86_400_000
PAUSES = (0, 1, 60_000, HOUR, 5 * HOUR, DAY, 3 * DAY, 10 * DAY, 45 * DAY)
LINE = ("accept", "triage", "assign", "sign", "report", "check", "verify_ok", "evaluate", "reopen")  # drawn more often: cases go further
ENDS = ("merge_into", "withdraw", "void", "decline", "archive")  # drawn less often, for the same reason
STATES = codec(IncidentCase)
Step = tuple[IncidentCommand, int]  # and its append time


@dataclass
class Life:
    """What came of a log."""

    states: list[IncidentCase] = field(default_factory=list)  # after each record
    events: list[IncidentEvent] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    pages: list[Notification] = field(default_factory=list)
    handovers: list[Handover] = field(default_factory=list)
    places: list[tuple[str, int, int]] = field(default_factory=list)  # of what readers of a topic get: topic, offset, position
    sent: list[tuple[str, IncidentCommand]] = field(default_factory=list)  # to other cases

    @property
    def state(self) -> IncidentCase:
        return self.states[-1]

    def take(self, decision: Decision[IncidentCase]) -> None:
        for emit in decision.emits:
            if emit.topic is not INCIDENT_COMMANDS:  # which keep the source of the command that they follow from
                self.places.append((emit.topic.name, emit.record.src_offset, emit.position))  # type: ignore[attr-defined]
            if isinstance(emit.record, IncidentEvent):
                self.events.append(emit.record)
            elif isinstance(emit.record, Outcome):
                self.outcomes.append(emit.record)
            elif isinstance(emit.record, Notification):
                self.pages.append(emit.record)
            elif isinstance(emit.record, Handover):
                assert emit.topic is DESKS[emit.record.to_level]
                self.handovers.append(emit.record)
            elif isinstance(emit.record, IncidentCommand):
                assert emit.topic is INCIDENT_COMMANDS
                self.sent.append((emit.key, emit.record))
        if decision.state:
            self.states.append(decision.state)


def lived(log: list[Step], start: IncidentCase | None = None, stored: bool = False) -> Life:
    """`stored`: each state goes through its bytes, as in a worker that restarts after every record."""
    life, state = Life(), start
    for offset, (asked, at) in enumerate(log):
        decision = decide(state, asked, Source("incident.commands", 0, offset), at)
        life.take(decision)
        state = decision.state
        if stored and state:
            state = STATES.decode(STATES.encode(state))
    return life


@st.composite
def logs(draw: st.DrawFn, longest: int = 30) -> list[Step]:
    """A capture and what follows, in time order."""
    at = NOW + draw(st.sampled_from(PAUSES))
    urgent = draw(st.sampled_from(["M01001", "A20600", "S01"]))
    log = [(command("capture", "capture", incident_type=urgent, occurred_at=at, actor_division="440000", person="p1"), at)]
    state = decide(None, log[0][0], SOURCE, at).state
    for number in range(draw(st.integers(0, longest))):
        at += draw(st.sampled_from(PAUSES))
        assert state
        name = draw(st.sampled_from(choices(state.state, draw(st.integers(0, 15)))))
        paged = draw(st.sampled_from(state.awaiting)) if state.awaiting and not draw(st.integers(0, 3)) else None
        name = draw(st.sampled_from(["acknowledge", UNREACHED])) if paged else name
        level = draw(st.sampled_from(["town", "county", "city", "province"]))
        org = draw(st.sampled_from(["fire", "water", f"{level}-desk"]))
        more: dict[str, Any] = {"reason": draw(st.sampled_from(["expert_appraisal", "legal_proceedings", "busy"])), "grade": number % 5}
        more |= READY.get(name, ({}, {}))[1] if draw(st.integers(0, 3)) else {}
        more |= {"until": at + draw(st.sampled_from(PAUSES))} if name in ("suspend", "shelve") else {}
        more |= {"division": ""} if name != "amend" else {}
        more |= {"incident_type": ""} if name != "triage" else {"incident_type": draw(st.sampled_from(["", "M06001", "A20600"]))}
        more |= answering(paged, draw(st.booleans())) if paged else {}
        given_levels = {"actor_level": level, "actor_org": org} | more
        told = at - draw(st.sampled_from([0, 0, HOUR, DAY]))
        asked = command(
            name, f"k{number}", actor_person=f"person {number % 4}", occurred_at=told, **{"actor_division": "440000"} | given_levels
        )
        log.append((asked, at))
        state = decide(state, asked, SOURCE, at).state
    return log


def answering(paged: Awaiting, exact: bool) -> dict[str, Any]:
    """Acknowledged by who was told, or reached nobody: that one, or the whole step."""
    one = {"whom": "head" if paged.whom == "head" else "desk", "level": paged.level, "until": paged.until} if exact else {}
    return {"purpose": paged.purpose, "org": paged.holder, "actor_level": paged.level} | one


def choices(state: str, chance: int) -> list[str]:
    """Mostly what the table allows in a state."""
    allowed = [name for name in sorted(COMMANDS) if (name, state) in CELLS]
    going = [name for name in allowed if name not in ENDS]
    line = [name for name in going if name in LINE]
    return (
        (sorted(COMMANDS) if chance == 0 else allowed if chance == 1 else line if chance > 9 and state != State.HANDLING else going)
        or allowed
        or sorted(COMMANDS)
    )


def wakes(log: list[Step], times: list[int]) -> list[Step]:
    """The log with wake-ups at these times among it."""
    end = log[-1][1]
    inside = [NOW + (time % max(1, end - NOW + 1)) for time in times]
    extra = [(wake_up(CASE, at, "live"), at) for at in inside if at >= log[0][1]]
    return sorted([*log, *extra], key=lambda step: step[1])


TELLING = {"incident.told_again", "incident.unacknowledged", "incident.ran_late", "incident.acknowledged", "incident.no_one_notified"}


def dated(life: Life) -> list[Any]:
    """What is said with the case's own moments: all but who was told, by when he must answer and what his silence brought on. `tell` and
    `ack_by` of a paper: silence may have told its step before."""
    passing = {"event_id": "", "received_at": 0, "src_offset": 0, "src_position": 0, "case_seq": 0, "wakes_at": 0, "tell": "", "ack_by": 0}
    said: list[Any] = [msgspec.structs.replace(event, **passing) for event in life.events if event.type not in TELLING]
    handed = {name: passing[name] for name in ("received_at", "src_offset", "src_position", "case_seq")}
    return said + [msgspec.structs.replace(one, handover_id="", **handed) for one in life.handovers]


def told(life: Life) -> list[Any]:
    """What is said, but for when and from which record we came to know it."""
    forget = {"received_at": 0, "src_offset": 0, "src_position": 0}
    said: list[Any] = [msgspec.structs.replace(event, event_id="", **forget) for event in life.events]
    said += [msgspec.structs.replace(page, notification_id="", **forget) for page in life.pages]
    return said + [msgspec.structs.replace(one, handover_id="", **forget) for one in life.handovers]


@settings(max_examples=60, deadline=None)
@given(logs())
def test_a_replay_through_stored_bytes_equals_the_life_in_memory(log: list[Step]) -> None:
    once, again = lived(log), lived(log, stored=True)
    assert (again.events, again.outcomes, again.sent) == (once.events, once.outcomes, once.sent)
    assert (again.pages, again.handovers) == (once.pages, once.handovers)
    assert again.state == once.state


@settings(max_examples=50, deadline=None)
@given(logs(), st.data())
def test_repeating_any_record_changes_nothing(log: list[Step], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(log) - 1))
    later = data.draw(st.integers(at, len(log) - 1))
    once, twice = lived(log), lived([*log[: later + 1], (log[at][0], log[later][1]), *log[later + 1 :]])
    assert twice.state == once.state
    assert told(twice) == told(once)
    assert Counter(one.outcome for one in twice.outcomes) == Counter(one.outcome for one in once.outcomes) + Counter(repeated=1)


@settings(max_examples=50, deadline=None)
@given(logs(), st.lists(st.integers(0, 400 * DAY), max_size=10))
def test_every_command_ends_once_and_says_one_event_of_its_own_if_applied(log: list[Step], times: list[int]) -> None:
    life = lived(wakes(log, times))
    assert [one.command_id for one in life.outcomes] == [asked.command_id for asked, _ in log]
    own = Counter(event.command_id for event in life.events if event.cause not in ("timer", "rule"))
    assert own == Counter(one.command_id for one in life.outcomes if one.outcome == "applied")
    assert [event.case_seq for event in life.events] == list(range(1, len(life.events) + 1))


@settings(max_examples=60, deadline=None)
@given(logs())
def test_positions_of_one_record_ascend_in_every_topic_and_are_no_ones_twice(log: list[Step]) -> None:
    life = lived(log)
    events = [place for place in life.places if place[0] == "incident.events"]
    assert {at for _, offset, at in events if (offset, at) == (offset, min(a for _, o, a in events if o == offset))} == {0}
    assert max(at for _, _, at in life.places) <= 255, "readers' marks have eight bits for it"
    assert len({(offset, at) for _, offset, at in life.places}) == len(life.places)
    for topic in {topic for topic, _, _ in life.places}:
        order = [(offset, at) for name, offset, at in life.places if name == topic]
        assert order == sorted(order), "what is not above the mark is dropped"


@settings(max_examples=60, deadline=None)
@given(logs(), st.lists(st.integers(0, 400 * DAY), max_size=20))
def test_clocks_marks_and_papers_do_not_depend_on_how_often_a_case_is_woken(log: list[Step], times: list[int]) -> None:
    end = (wake_up(CASE, 0, "live"), log[-1][1])
    seldom, often = lived([*log, end]), lived([*wakes(log, times), end])
    assert dated(often) == dated(seldom)
    passing = {"seq": 0, "next_due": 0, "recent": b"", "awaiting": (), "climbs": ()}
    assert msgspec.structs.replace(often.state, **passing) == msgspec.structs.replace(seldom.state, **passing)


@settings(max_examples=60, deadline=None)
@given(logs())
def test_the_ledger_has_no_gap_and_sums_to_the_time_the_case_was_open(log: list[Step]) -> None:
    life = lived(log)
    now = life.state.now
    changes = [(event.received_at, event.state not in ENDED) for event in life.events]
    spans = zip(changes, [*changes[1:], (now, False)], strict=True)
    total = sum(until - since for (since, is_open), (until, _) in spans if is_open)
    segments = life.state.segments
    assert sum((one.until or now) - one.since for one in segments) == total
    assert all(one.until and one.until <= following.since for one, following in itertools.pairwise(segments))
    held = [event.held_ms for event in life.events]
    assert sum(held) == sum(one.until - one.since for one in segments if one.until)


@settings(max_examples=60, deadline=None)
@given(logs())
def test_a_closed_case_has_no_live_timer_and_an_open_one_waits_for_what_comes_first(log: list[Step]) -> None:
    processor = CaseProcessor()
    for state in lived(log).states:
        due = processor.next_due(STATES.encode(state))
        assert due == (state.next_due or None)
        if state.state in ENDED:
            assert due is None
            assert state.state == State.MERGED or all(clock.stopped_at for clock in state.clocks)
        else:
            assert due == min((one.at for one in wanted(state)), default=None)
            assert due is None or due > state.now, "all that was due is settled"


@settings(max_examples=50, deadline=None)
@given(logs())
def test_the_last_event_says_how_the_case_stands(log: list[Step]) -> None:
    life = lived(log)
    event, state = life.events[-1], life.state
    shared = set(IncidentCase.__struct_fields__) & set(IncidentEvent.__struct_fields__)
    assert {"merged_into", "response_level", "holder", "round"} <= shared
    assert (event.case_seq, event.wakes_at) == (state.seq, state.next_due)
    assert set(event.clocks) <= set(state.clocks)
    for name in shared - {"clocks"}:  # only those that it changed: the law below
        assert getattr(event, name) == getattr(state, name), name


@settings(max_examples=80, deadline=None)
@given(logs(), st.lists(st.integers(0, 400 * DAY), max_size=5))
def test_the_last_versions_of_the_clocks_that_events_carry_are_the_cases_clocks_at_every_point(log: list[Step], times: list[int]) -> None:
    held: dict[tuple[str, str, int], Clock] = {}
    state = None
    for offset, (asked, at) in enumerate(wakes(log, times)):
        decision = decide(state, asked, Source("incident.commands", 0, offset), at)
        state = decision.state
        for emit in decision.emits:
            if isinstance(emit.record, IncidentEvent):
                new = {(clock.purpose, clock.holder, clock.started_at): clock for clock in emit.record.clocks}
                assert all(held.get(key) != clock for key, clock in new.items()), "only what changed"
                held |= new
        assert tuple(held.values()) == (state.clocks if state else ())


@settings(max_examples=50, deadline=None)
@given(logs(), st.sampled_from(PAUSES))
def test_merged_and_split_again_a_case_is_as_before_and_so_is_its_root(log: list[Step], pause: int) -> None:
    child = lived(log).state
    if child.state in ENDED:
        return
    root = lived([(command("capture", "root", case_id=OTHER, division="440305001", actor_division="440000"), child.now)]).state
    at = child.now
    merged = lived([(command("merge_into", "merge", target=OTHER, actor_division="440000"), at)], child)
    assert merged.state.state == State.MERGED
    ((to, absorb),) = merged.sent
    held = lived([(absorb, at)], root)
    assert (to, [one.case_id for one in held.state.merged]) == (OTHER, [CASE])
    assert held.events[0].earliest_at == min(root.opened_at, child.opened_at)
    back = lived([(command("split", "split", actor_division="440000"), at)], merged.state)
    ((to, release),) = back.sent
    freed = lived([(release, at)], held.state)
    passing = ("seq", "now", "recent", "segments")
    for before, after in ((child, back.state), (root, freed.state)):
        for name in set(IncidentCase.__struct_fields__) - set(passing):
            assert getattr(after, name) == getattr(before, name), name
    later = lived([(command("split", "split", actor_division="440000"), at + pause)], merged.state)
    unmerged = lived([(wake_up(CASE, 0, "live"), at + pause)], child)
    for name in ("clocks", "suspended", "shelved", "supervised", "climbs", "next_due"):
        assert getattr(later.state, name) == getattr(unmerged.state, name), "time lost by a wrong merge is nobody's gain"


@settings(max_examples=40, deadline=None)
@given(logs(), st.sampled_from(["none", "closed", "mirrored"]))
def test_a_merge_that_the_root_refuses_is_undone(log: list[Step], root: str) -> None:
    child = lived(log).state
    if child.state in ENDED:
        return
    other = lived([(command("capture", "root", case_id=OTHER), child.now)]).state
    roots = {
        "none": None, "closed": msgspec.structs.replace(other, state="closed"), "mirrored": msgspec.structs.replace(other, mirrored=True),
    }  # fmt: skip
    merged = lived([(command("merge_into", "merge", target=OTHER, actor_division="440000"), child.now)], child)
    asked = lived([(merged.sent[0][1], child.now)], roots[root])
    assert [one.outcome for one in asked.outcomes] == ["refused"]
    ((to, split),) = asked.sent
    assert (to, split.name, split.case_id) == (CASE, "split", CASE)
    back = lived([(split, child.now)], merged.state)
    assert (back.state.state, back.state.merged_into, back.sent) == (child.state, "", [])
    assert back.events[0].rule == "root_refused"
    assert ids.case_id("live", "p", "2") == OTHER
