"""The kinds of cases that are audited: one row a kind. What a row needs to know of life cycles and tables stands here, written anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas import topics
from schemas.topics import Topic

ENDED = frozenset({"closed", "evaluated", "archived", "declined", "merged", "withdrawn"})
FILED = frozenset({("closed", "evaluated"), ("closed", "archived"), ("evaluated", "archived")})
REOPENABLE = frozenset({"closed", "evaluated"})
RAISED_AGAIN = frozenset({"alarm.reopened", "alarm.raised"})


@dataclass(frozen=True, slots=True)
class Deltas:
    """The signed deltas of a kind's events, and the rollups that count them."""

    topic: Topic
    group: str  # consumer group of the lane that makes them: what it has committed, it has said
    stream: str  # of the sink
    totals: str  # table: cases by the fields of `place`
    openings: str  # table: one row for each first event
    opening: tuple[str, ...]  # its columns, fields of that event


@dataclass(frozen=True, slots=True)
class Kind:
    """`place`: the fields by which cases are counted; each has a twin `<name>_from` (see `twins`) that repeats it as it was before."""

    name: str
    commands: Topic
    group: str  # consumer group of the lane that decides them, by realm: what it has committed, it has said
    events: Topic
    event: str  # schema name of an event; its last fields are the case as it stands after it
    table: Topic
    state: str  # schema name of the state in the table: fields named alike say the same
    stream: str  # of the sink
    facts: str
    now: str  # table: the newest row of each case
    place: tuple[str, ...]
    twins: tuple[str, ...]
    may_follow: Callable[[str, Any], bool]  # state before, event: False when nothing may come after that state
    deltas: Deltas | None = None


def incident_may_follow(before: str, event: Any) -> bool:
    """After an end come only filing and re-opening; a department's own system may also say "reported" again."""
    if before not in ENDED:
        return True
    if event.mirrored:
        return event.state in ENDED or event.state == "reported" or event.rule == "source_reopened"
    return (before, event.state) in FILED or (before in REOPENABLE and event.type == "incident.reopened")


def alarm_may_follow(before: str, event: Any) -> bool:
    """After its end an alarm is opened again, or its line's next round begins."""
    return before != "closed" or event.type in RAISED_AGAIN


KINDS: tuple[Kind, ...] = (
    Kind(
        "incident", topics.INCIDENT_COMMANDS, "liandong.{realm}.case", topics.INCIDENT_EVENTS, "incident_event",
        topics.CASE_TABLE, "incident_case", "events", "incident_events", "case_now",
        ("county", "incident_type", "state"), ("county_from", "type_from", "state_from"), incident_may_follow,
        Deltas(
            topics.LIVE_DELTAS, "liandong.analytics", "deltas", "state_totals", "openings", ("case_id", "county", "realm", "received_at")
        ),
    ),
    Kind(
        "alarm", topics.ALARM_COMMANDS, "liandong.{realm}.alarm", topics.ALARM_EVENTS, "alarm_event", topics.ALARM_TABLE, "alarm_case",
        "alarm_events", "alarm_events", "alarm_now", ("county", "state"), ("county_from", "state_from"), alarm_may_follow,
    ),
)  # fmt: skip
