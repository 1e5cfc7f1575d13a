"""Recorded commands on the pure core, as they were and under another version of the policies. Pure.

What people did is held fixed: each command that changed a case then is asked again at its recorded time, whatever the draft would have made
them do. What a case does by itself, its deadlines, ladders and ends of suspensions, comes as it falls due.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.state.incident_case.event import IncidentCase
from streams.domain.core import Decision, Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up
from streams.domain.incident.table import CAPTURE, OBSERVE, WAKE
from streams.domain.notifications import HEAD

REPIN = "repin"
SETTLED = Source("rehearsal", 0, 0)  # of what falls due between two commands


class Recorded(msgspec.Struct, frozen=True):
    """A command and where and when it was appended (UTC milliseconds)."""

    at: int
    topic: str
    partition: int
    offset: int
    command: IncidentCommand

    @property
    def source(self) -> Source:
        return Source(self.topic, self.partition, self.offset)


class Breach(NamedTuple):
    """A clock that passed its due time."""

    case_id: str
    clock: str
    holder: str
    due_at: int  # UTC milliseconds
    level: str
    incident_type: str


class Page(NamedTuple):
    """Somebody is told that a clock runs late."""

    target: str
    level: str
    at: int  # UTC milliseconds


class Paper(NamedTuple):
    """A rung of supervision that a ladder issues."""

    level: str
    at: int


class Play:
    """One run over the record. `version`: of the policies that every case gets; "" as it was."""

    def __init__(self, version: str = "") -> None:
        self.version = version
        self.cases: dict[str, IncidentCase] = {}
        self.breaches: list[Breach] = []
        self.pages: list[Page] = []
        self.papers: list[Paper] = []

    def ask(self, recorded: Recorded) -> str:
        """Plays a command; answers its outcome: applied, repeated, or why it was refused."""
        command = recorded.command
        if self.version and command.name in (CAPTURE, OBSERVE):
            command = replace(command, policy_version=self.version)
        elif self.version and command.name == REPIN:
            return "applied"  # every case has the draft already
        self.settle(command.case_id, recorded.at, command.realm)
        decision = decide(self.cases.get(command.case_id), command, recorded.source, recorded.at)
        self._take(command.case_id, decision)
        outcome = next(emit.record for emit in decision.emits if isinstance(emit.record, Outcome))
        return outcome.reason or outcome.outcome

    def settle(self, case_id: str, at: int, realm: str) -> None:
        """Lets everything happen to a case that falls due by then, each at its own moment, as the wheel does."""
        while (state := self.cases.get(case_id)) and 0 < state.next_due <= at:
            self._take(case_id, decide(state, wake_up(case_id, state.next_due, realm), SETTLED, state.next_due))

    def finish(self, at: int, realm: str) -> None:
        """What falls due by the end."""
        for case_id in self.cases:
            self.settle(case_id, at, realm)

    def _take(self, case_id: str, decision: Decision[IncidentCase]) -> None:
        if decision.state:
            self.cases[case_id] = decision.state
        for emit in decision.emits:
            if isinstance(emit.record, IncidentEvent):
                self._hear(emit.record)
            elif isinstance(emit.record, Notification):
                self._page(emit.record)

    def _hear(self, event: IncidentEvent) -> None:
        if event.type == "incident.clock_due":
            self.breaches.append(
                Breach(event.case_id, event.clock, event.clock_holder, event.clock_due_at, _level(event), event.incident_type)
            )
        elif event.type == "incident.supervised" and event.cause == "rule":
            self.papers.append(Paper(event.actor_level, event.occurred_at))

    def _page(self, told: Notification) -> None:
        self.pages.append(Page(f"head of {told.target}" if told.target_kind == HEAD else told.target, told.target_level, told.occurred_at))


def _level(event: IncidentEvent) -> str:
    """Of the holder whose clock it is."""
    return next((one.level for one in event.clocks if (one.purpose, one.holder) == (event.clock, event.clock_holder)), event.holder_level)


def is_played(command: IncidentCommand) -> bool:
    """Whether a recorded command is one that is asked again: wake-ups come of themselves."""
    return command.name != WAKE


class Rehearsal:
    """The record as it was and under a draft, side by side."""

    def __init__(self, draft: str) -> None:
        self.before, self.after = Play(), Play(draft)
        self.commands = 0
        self.beginning = self.end = 0  # of the record, UTC milliseconds
        self.unknown: set[str] = set()  # cases whose beginning the record does not hold
        self.impossible: Counter[tuple[str, str]] = Counter()  # (command, why the draft refuses it): it changed a case then
        self.undecided: Counter[str] = Counter()  # errors of the core
        self.versions: set[str] = set()  # that were in force
        self._realm = ""

    def take(self, recorded: Recorded) -> None:
        """The next command of the record; of one case they come in their order."""
        self.beginning = min(self.beginning or recorded.at, recorded.at)
        self.end = max(self.end, recorded.at)
        command = recorded.command
        if not is_played(command):
            return
        self.commands += 1
        self._realm = command.realm
        if command.name not in (CAPTURE, OBSERVE) and command.case_id not in self.before.cases:
            self.unknown.add(command.case_id)
            return
        try:
            outcome = self.before.ask(recorded)
            if outcome != "applied":
                return  # it changed nothing then, and nobody would have done it otherwise
            self.versions.add(self.before.cases[command.case_id].policy_version)
            changed = self.after.ask(replace(recorded, command=replace(command, expected_seq=-1)))
        except Exception as error:
            self.undecided[type(error).__name__] += 1
            return
        if changed != "applied":
            self.impossible[command.name, changed] += 1

    def finish(self, at: int) -> None:
        """Lets what falls due by then happen in both. `at`: not beyond the record, for people would have gone on."""
        self.before.finish(at, self._realm)
        self.after.finish(at, self._realm)
