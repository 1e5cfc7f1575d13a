"""Logs of incidents for the auditor of timers: recorded by the pure core in memory, with deadlines that pass, and ways to spoil them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas import ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.state.incident_case.event import IncidentCase
from services.audit.timers import TimersReport
from services.audit.timers.firing import firing_of
from services.audit.timers.table import Waiting
from services.audit.timers.watch import Watch
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up
from streams.domain.incident.table import CELLS, COMMANDS
from tests.unit.test_incident_life_cycle import NOW, READY, command

HOUR, DAY = 3_600_000, 86_400_000
PAUSES = (0, 1, 60_000, HOUR, 5 * HOUR, DAY, 3 * DAY, 10 * DAY)
TYPES = ("M01001", "A20600", "S01", "L01", "M06001", "A10100", "A20100")
OFTEN = frozenset(
    {
        "take", "return", "resume", "unshelve", "suspend", "shelve", "extend", "report", "verify_fail", "offer_up", "reply_supervision",
        "lift_supervision", "acknowledge", "nobody_notified", "draft_report", "sign_report", "withdraw_breach", "supervise",
    }
)  # fmt: skip
"""What moves clocks and is seldom allowed: drawn more often."""
LINE = ("accept", "triage", "assign", "sign")
ENDS = frozenset({"merge_into", "withdraw", "void", "decline", "archive", "verify_ok", "self_handle"})
replace = msgspec.structs.replace


@dataclass
class Life:
    """One case: its events, where it ends, and by when all of it was told."""

    events: list[IncidentEvent]
    state: IncidentCase
    until: int

    @property
    def firings(self) -> list[int]:
        """Places of what the case did by itself."""
        return [at for at, event in enumerate(self.events) if firing_of(event)]


def asked(name: str, state: IncidentCase, number: int, at: int, chance: random.Random) -> IncidentCommand:
    case_id = state.case_id
    level = chance.choice(["county", "city", "province"])
    more: dict[str, Any] = {
        "reason": chance.choice(["expert_appraisal", "legal_proceedings"]),
        "grade": chance.randrange(5),
        "org": "water",
    }
    more |= {"actor_level": level, "actor_org": f"{level}-desk"} | (READY.get(name, ({}, {}))[1] if chance.random() < 0.8 else {})
    more |= {"until": at + chance.choice(PAUSES[3:])} if name in ("suspend", "shelve") else {}
    more |= {"division": ""} if name != "amend" else {}
    more |= {"incident_type": chance.choice(["", "", *TYPES])} if name == "triage" else {"incident_type": ""}
    if name == "nobody_notified" and state.awaiting:
        one = chance.choice(state.awaiting)
        more |= {"purpose": one.purpose, "org": one.holder, "level": one.level, "whom": chance.choice(["", "desk", "head"])}
    elif name == "acknowledge":
        more |= {"actor_level": chance.choice(["county", "city"]), "purpose": chance.choice(["", "", "reply"])}
    if name in ("draft_report", "sign_report"):
        told = any(one.signed_at for one in state.filed)
        stage = chance.choice(["next", "final"]) if told else "first"
        more |= {"actor_level": "county", "level": "", "stage": stage if name == "draft_report" else ""}
    more |= {"actor_person": f"person {number % 4}", "actor_division": "440000", "occurred_at": at - chance.choice([0, 0, HOUR])}
    return command(name, f"{case_id} {number}", case_id=case_id, **more)


def lived(seed: int, spoil: Callable[[int, IncidentCase], IncidentCase] = lambda _, state: state) -> Life:
    """`spoil(number, state)`: what a fault makes of a state between two records."""
    chance = random.Random(seed)
    case_id = ids.case_id("live", "p", str(seed))
    at = NOW + chance.randrange(30 * DAY)
    entered = {"actor_role": "desk", "actor_level": "town", "division": "440305001"} if chance.random() < 0.3 else {}
    first = command(
        "capture", case_id, case_id=case_id, incident_type=chance.choice(TYPES), occurred_at=at - chance.choice([0, HOUR]), **entered
    )
    records, state = [(first, at)], None
    events: list[IncidentEvent] = []
    for number in range(chance.randrange(2, 25)):
        if number:
            at += chance.choice(PAUSES)
            allowed = [name for name in sorted(COMMANDS) if state and (name, state.state) in CELLS and name not in ENDS]
            line = [name for name in LINE if name in allowed and (name != "triage" or (state and state.state == "accepted"))]
            moving = [name for name in allowed if name in OFTEN] if chance.random() < 0.6 else []
            name = line[-1] if line and chance.random() < 0.7 else chance.choice(moving or allowed or ["wake"])
            if state and state.awaiting and chance.random() < 0.4:
                name = chance.choice(["acknowledge", "nobody_notified"])
            elif state and state.grade and "draft_report" in allowed and chance.random() < 0.3:
                name = "sign_report" if any(not one.signed_at for one in state.filed) else "draft_report"
            record = asked(name, state, number, at, chance) if state and name != "wake" else wake_up(case_id, at, "live")
            records = [(record, at)]
        for record, moment in records:
            state = take(state, record, number, moment, events)
        assert state
        state = spoil(number, state)
    assert state
    return woken(state, at, chance, events)


def followed(seed: int) -> Life:
    """A mirrored case: a department's system tells its state and its target, changes both, and tells late."""
    chance = random.Random(seed)
    case_id = ids.case_id("live", "d", str(seed))
    at = NOW + chance.randrange(30 * DAY)
    state: IncidentCase | None = None
    events: list[IncidentEvent] = []
    for number in range(1, chance.randrange(2, 9)):
        due = at + chance.choice([-DAY, HOUR, DAY, 3 * DAY, 10 * DAY]) if chance.random() < 0.5 else 0
        fact = command(
            "observe", f"{case_id} {number}", case_id=case_id, state=chance.choice(["captured", "handling", "reported", "closed"]),
            source_version=number, holder="fire", due_at=due, occurred_at=at - chance.choice([0, 0, HOUR, 5 * DAY]), incident_type="M01001",
        )  # fmt: skip
        state = take(state, fact, number, at, events)
        at += chance.choice(PAUSES)
    assert state
    return woken(state, at, chance, events)


def woken(state: IncidentCase, at: int, chance: random.Random, events: list[IncidentEvent]) -> Life:
    """For two months the wheel wakes the case at each of its own moments, a little late."""
    until, number = at + 60 * DAY, 1_000
    while 0 < state.next_due <= until:
        number += 1
        held = take(state, wake_up(state.case_id, state.next_due, "live"), number, state.next_due + chance.randrange(500), events)
        assert held
        state = held
    return Life(events, state, until)


def take(state: IncidentCase | None, record: IncidentCommand, number: int, at: int, events: list[IncidentEvent]) -> IncidentCase | None:
    decision = decide(state, record, Source("incident.commands", 0, number), at)
    events += [emit.record for emit in decision.emits if isinstance(emit.record, IncidentEvent)]
    return decision.state


def numbered(events: Iterable[IncidentEvent]) -> list[IncidentEvent]:
    """With the numbers they would have had."""
    return [replace(event, case_seq=number) for number, event in enumerate(events, 1)]


def audited(lives: Sequence[Life], late_after: int = 0) -> TimersReport:
    """Each in a partition of its own, with the table as its state says."""
    report = TimersReport("live")
    watch, table = Watch(report), {}
    for partition, life in enumerate(lives):
        for event in life.events:
            watch.one(partition, event)
        due = life.state.next_due
        table[life.state.case_id.encode()] = Waiting(0, life.events[-1].case_seq, due, due, quarantined=False)
    watch.finish(lambda partition: lives[partition].until, late_after, table)
    return report
