"""The streams of the sink, as an explicit table: which topic becomes which tables."""

from __future__ import annotations

from dataclasses import dataclass

from schemas import topics
from schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class Stream:
    """One topic, or several alike, in all served realms. `facts` holds one row a record; `rollups` are filled by views `<rollup>_mv` over
    `<facts>_in`."""

    name: str
    topic: Topic
    type: str  # schema name of its records
    facts: str
    rollups: tuple[str, ...] = ()
    marked: bool = True  # its records carry a `src` header and its facts the src columns
    prefix: str = "liandong-sink"  # of the consumer group; another for a second warehouse on the same Kafka
    more: tuple[Topic, ...] = ()  # topics of the same type, retention and rule of marks as `topic`

    @property
    def topics(self) -> tuple[Topic, ...]:
        return (self.topic, *self.more)

    @property
    def inlet(self) -> str:
        """The Null table whose views fill facts and rollups."""
        return f"{self.facts}_in"

    @property
    def group(self) -> str:
        """Kafka consumer group."""
        return f"{self.prefix}-{self.name}"


EVENTS = Stream(
    "events", topics.INCIDENT_EVENTS, "incident_event", "incident_events",
    ("case_now", "desk_now", "incident_events_by_minute", "incident_events_by_hour"),
)  # fmt: skip
ALARM_EVENTS = Stream("alarm_events", topics.ALARM_EVENTS, "alarm_event", "alarm_events", ("alarm_now", "alarm_events_by_hour"))
NOTIFICATIONS = Stream("notifications", topics.NOTIFICATIONS, "notification", "notifications")
PAGES = Stream("pages", topics.PAGES, "page", "pages")
DUTY_EVENTS = Stream("duty_events", topics.DUTY_EVENTS, "duty_event", "duty_events", marked=False)
HANDOVERS = Stream("handovers", topics.DESKS["village"], "handover", "handovers", more=tuple(topics.DESKS.values())[1:])
DELTAS = Stream("deltas", topics.LIVE_DELTAS, "live_delta", "live_deltas", ("state_totals", "flow_by_minute", "flow_by_hour", "openings"))
OUTCOMES = Stream("outcomes", topics.OUTCOMES, "outcome", "outcomes", ("outcome_counts",))
SEALED = Stream("sealed", topics.SEALED, "sealed", "sealed", marked=False)
DEAD_LETTERS = Stream("dead_letters", topics.DEAD_LETTERS, "dead_letter", "dead_letters")
AUDIT = Stream("audit", topics.AUDIT, "audit_entry", "audit", marked=False)

STREAMS: tuple[Stream, ...] = (
    EVENTS, ALARM_EVENTS, NOTIFICATIONS, PAGES, DUTY_EVENTS, HANDOVERS, DELTAS, OUTCOMES, SEALED, DEAD_LETTERS, AUDIT,
)  # fmt: skip
