"""The lanes: every agent of the platform, in one explicit list. A lane is one Faust app and group.

Alarms come first: their lane has the processor's full attention and a short fetch, all others yield to it. Processors are loaded by
the process that runs them only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.realms import Realm
from schemas.topics import ALARM_COMMANDS, ALARM_TABLE, ANALYTICS_TABLE, CASE_TABLE, INCIDENT_COMMANDS, INCIDENT_EVENTS, INTAKE, Topic

if TYPE_CHECKING:
    from streams.engine.runner import Processor

REHEARSAL_NICE = 5  # what realms other than live yield beside their lane's own
FETCH_WAIT_MS = 100
TOGETHER = "lanes"  # stem of the process that runs all lanes of one realm: rehearsals need no isolation from each other


@dataclass(frozen=True, slots=True)
class Lane:
    """`per_realm`: one app for each realm, so that a replay never slows the live one. `nice`: how far it yields the processor to
    others (0 to 19). `live_fetch_wait_ms`: how long a fetch may wait at the broker, in realm live; a record of a partition that the
    fetch under way does not ask for waits that long, and a short wait costs the broker as many more fetches."""

    name: str
    inputs: Topic
    processor: Callable[[], Processor]
    table: Topic | None
    per_realm: bool
    nice: int = 3
    live_fetch_wait_ms: int = FETCH_WAIT_MS

    def nice_in(self, realm: Realm | None) -> int:
        """`realm` None: a lane for all realms."""
        return self.nice + (REHEARSAL_NICE if realm not in (None, Realm.LIVE) else 0)

    def fetch_wait_ms(self, realm: Realm) -> int:
        return self.live_fetch_wait_ms if realm is Realm.LIVE else FETCH_WAIT_MS


def _relay() -> Processor:
    from streams.agents.relay import RelayProcessor

    return RelayProcessor()


def _alarm() -> Processor:
    from streams.agents.alarm import AlarmProcessor

    return AlarmProcessor()


def _case() -> Processor:
    from streams.agents.case import CaseProcessor

    return CaseProcessor()


def _analytics() -> Processor:
    from streams.agents.analytics import AnalyticsProcessor

    return AnalyticsProcessor()


LANES: tuple[Lane, ...] = (
    Lane("relay", INTAKE, _relay, None, per_realm=False),
    Lane("alarm", ALARM_COMMANDS, _alarm, ALARM_TABLE, per_realm=True, nice=0, live_fetch_wait_ms=20),
    Lane("case", INCIDENT_COMMANDS, _case, CASE_TABLE, per_realm=True),
    Lane("analytics", INCIDENT_EVENTS, _analytics, ANALYTICS_TABLE, per_realm=False),
)


def lanes_of(name: str) -> tuple[tuple[Lane, Realm | None], ...]:
    """What the worker process of this name runs: `relay` and `case-live` one lane, `lanes-sandbox` every lane of its realm. Empty for
    another name."""
    stem, _, realm = name.partition("-")
    if realm not in ("", *Realm):
        return ()
    return tuple(
        (lane, Realm(realm) if realm else None) for lane in LANES if lane.per_realm == bool(realm) and stem in (lane.name, TOGETHER)
    )


def process_names(realms: Iterable[Realm]) -> tuple[str, ...]:
    """Every worker process of a platform that serves these realms: what is live has one for each lane, a rehearsal one for all."""
    per_realm = [lane.name for lane in LANES if lane.per_realm]
    found = [lane.name for lane in LANES if not lane.per_realm]
    for realm in realms:
        found += [f"{name}-{realm}" for name in (per_realm if realm is Realm.LIVE else (TOGETHER,))]
    return tuple(found)
