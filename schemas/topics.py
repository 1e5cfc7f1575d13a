"""The one table of topics. Adding a topic is adding a row here; tests reject orphans.

A topic's name in the live realm is the name below; in another realm it is prefixed: `sandbox.incident.events`.
Partition counts are fixed for life (keys hash onto them): 12 embedded, 48 in production.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from schemas.realms import Realm

DAY_MS = 86_400_000
MESSAGE_BYTES = 2 << 20
WRAPPED_BYTES = 16 << 20  # letters and tables hold the largest records of other topics, and several of them for a moment


class Exactness(StrEnum):
    EXACT = "exact"  # every record counts once, end to end, by `src` marks and block numbers
    AT_LEAST_ONCE = "at least once"  # a repeat is possible and harmless


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    key: str
    types: tuple[str, ...]  # event types (folders of schemas/avro or schemas/state); empty: raw bytes
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    retention_days: int  # -1: for ever
    exactness: Exactness = Exactness.EXACT
    compacted: bool = False
    dead_letters: str = "dead.letters"  # where unreadable records of this topic go; "" : nobody decodes it
    per_department: bool = False  # `name` is a prefix: intake.<department>
    per_realm: bool = True  # False: one topic serves all realms, under its plain name

    def in_realm(self, realm: Realm | str, department: str = "") -> str:
        """The name on the broker."""
        name = f"{self.name}.{department}" if self.per_department else self.name
        return name if realm == Realm.LIVE or not self.per_realm else f"{realm}.{name}"

    def config(self, realm: Realm) -> dict[str, str]:
        """Broker configuration. History keeps its own record times and is never deleted by age."""
        log_time = realm.time_source == "log" and self.per_realm
        retention = -1 if log_time or self.retention_days < 0 else self.retention_days * DAY_MS
        config = {
            "message.timestamp.type": "CreateTime" if log_time else "LogAppendTime",
            "retention.ms": str(retention),
            "cleanup.policy": "compact" if self.compacted else "delete",
            "max.message.bytes": str(MESSAGE_BYTES if self.dead_letters else WRAPPED_BYTES),
        }
        if log_time:
            config["message.timestamp.before.max.ms"] = "9223372036854775807"
        if self.compacted:
            config |= {"min.compaction.lag.ms": "3600000", "min.cleanable.dirty.ratio": "0.1", "segment.ms": "3600000"}
        return config


INTAKE = Topic("intake", "any", ("incident_report",), ("departments",), ("relay",), 30, per_department=True)
INCIDENT_COMMANDS = Topic("incident.commands", "case_id", ("incident_command",), ("gateway", "relay", "case", "notifier"), ("case",), 30)
INCIDENT_EVENTS = Topic("incident.events", "case_id", ("incident_event",), ("case",), ("analytics", "sink"), -1)
ALARM_COMMANDS = Topic("alarm.commands", "case_id", ("alarm_command",), ("gateway", "notifier"), ("alarm",), 30)
ALARM_EVENTS = Topic("alarm.events", "case_id", ("alarm_event",), ("alarm",), ("sink",), -1)
NOTIFICATIONS = Topic("notifications", "case_id", ("notification",), ("alarm", "case"), ("sink", "notifier"), 30)
PAGES = Topic("pages", "case_id", ("page",), ("notifier",), ("sink", "notifier"), 30)
DUTY_EVENTS = Topic(
    "duty.events", "desk or person", ("duty_event",), ("notifier",), ("sink", "notifier"), 30, exactness=Exactness.AT_LEAST_ONCE
)
DESKS: dict[str, Topic] = {  # hand-overs by the level that must look now; mirrored between clusters
    level: Topic(f"desk.{level}", "case_id", ("handover",), ("case",), ("sink",), -1)
    for level in ("village", "town", "county", "city", "province")
}
OUTCOMES = Topic("outcomes", "case_id", ("outcome",), ("case", "alarm"), ("sink",), 30)
LIVE_DELTAS = Topic("live.deltas", "case_id", ("live_delta",), ("analytics",), ("sink", "dashboard"), 7)
SEALED = Topic("incident.sealed", "case_id", ("sealed",), ("gateway",), ("sink",), -1)
DEAD_LETTERS = Topic(
    "dead.letters", "original key", ("dead_letter",), ("relay", "case", "alarm", "analytics"), ("sink",), -1, dead_letters=""
)
AUDIT = Topic("audit", "case_id", ("audit_entry",), ("gateway",), ("sink",), -1)
PEOPLE = Topic(
    "people",
    "kind/id",
    ("people_record",),
    ("gateway",),
    ("gateway", "notifier"),
    -1,
    Exactness.AT_LEAST_ONCE,
    compacted=True,
    dead_letters="",
    per_realm=False,
)  # fmt: skip; its readers log what they can't read, and pass over it
CONFIG = Topic(
    "config", "policies/<realm>/<moment>", ("activation",), ("gateway",), ("gateway", "relay"), -1, Exactness.AT_LEAST_ONCE, compacted=True,
    dead_letters="", per_realm=False,
)  # fmt: skip
CASE_TABLE = Topic("case-table-changelog", "case_id", (), ("case",), ("case",), -1, compacted=True, dead_letters="")
ALARM_TABLE = Topic("alarm-table-changelog", "case_id", (), ("alarm",), ("alarm",), -1, compacted=True, dead_letters="")
ANALYTICS_TABLE = Topic(
    "analytics-table-changelog", "mark", (), ("analytics",), ("analytics",), -1, compacted=True, dead_letters="", per_realm=False
)

TOPICS: tuple[Topic, ...] = (
    INTAKE, INCIDENT_COMMANDS, INCIDENT_EVENTS, ALARM_COMMANDS, ALARM_EVENTS, NOTIFICATIONS, PAGES, DUTY_EVENTS, *DESKS.values(), OUTCOMES,
    LIVE_DELTAS, SEALED, DEAD_LETTERS, AUDIT, PEOPLE, CONFIG, CASE_TABLE, ALARM_TABLE, ANALYTICS_TABLE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CaseKind:
    """A kind of case: its commands are the only input of its lane, its events the only output about its cases."""

    name: str
    commands: Topic
    events: Topic


INCIDENT = CaseKind("incident", INCIDENT_COMMANDS, INCIDENT_EVENTS)
ALARM = CaseKind("alarm", ALARM_COMMANDS, ALARM_EVENTS)
KINDS: tuple[CaseKind, ...] = (INCIDENT, ALARM)  # the order is frozen: the ledger of acknowledgements numbers them


LOG = "/"
"""Between the name of another log (a Kafka cluster's id) and a topic's: "<cluster>/incident.events" is that topic in that log. Copies of a
repartitioning name their old places so; no topic's name holds one."""


def unlabelled(topic_name: str) -> str:
    """The topic's name without a log's."""
    return topic_name.rpartition(LOG)[2]


@lru_cache(maxsize=1024)
def realm_of(topic_name: str) -> Realm:
    """The realm a broker topic name belongs to."""
    head = unlabelled(topic_name).split(".", 1)[0]
    return Realm(head) if head in (Realm.DRILL, Realm.REPLAY, Realm.SANDBOX) else Realm.LIVE
