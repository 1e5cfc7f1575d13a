"""One audit of timers: read the log of events up to its ends, derive what had to be told, and compare; look at the case table too.

Everything moves while it reads, so ends are read first: in realms on wall time the clock, then the ends of the events, then those of the
changelog; in realms on log time what the case lane has committed stands in for the clock, for all that was due by the time of a record
that it has passed has been sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka.errors import KafkaError

from schemas.realms import Realm
from schemas.topics import CASE_TABLE, INCIDENT_COMMANDS, INCIDENT_EVENTS
from services.adapters.topic_log import CannotLook, Ends, Log, committed
from services.audit.timers.report import TimersReport
from services.audit.timers.table import Table
from services.audit.timers.watch import Watch

GROUP = "liandong.{realm}.case"  # of the lane that decides incidents
LATE_AFTER_MS = 60_000
Progress = Callable[[str, int, int], None]


async def audit_timers(
    realm: Realm,
    bootstrap: str,
    clock: Callable[[], int],
    progress: Progress = lambda _what, _read, _total: None,
    *,
    late_after: int = LATE_AFTER_MS,
) -> TimersReport:
    """`clock`: UTC milliseconds. `progress(what, read, total)`. `late_after`: milliseconds after which what is due and not told yet
    counts as missing; realms on log time give no grace."""
    report = TimersReport(realm.value)
    logs: list[Log] = []
    began = time.perf_counter()
    try:
        await _audit(realm, bootstrap, clock, progress, late_after, report, logs)
    except CannotLook as error:
        report.blocked.append(str(error))
    except KafkaError as error:
        report.blocked.append(f"Kafka does not answer ({type(error).__name__})")
    finally:
        for log in logs:
            await log.close()
    report.seconds = time.perf_counter() - began
    return report


async def _audit(
    realm: Realm, bootstrap: str, clock: Callable[[], int], progress: Progress, late_after: int, report: TimersReport, logs: list[Log]
) -> None:
    async def opened(topic: str) -> Log:
        logs.append(await Log(bootstrap, topic).open())
        return logs[-1]

    events = await opened(INCIDENT_EVENTS.in_realm(realm))
    changelog = await opened(CASE_TABLE.in_realm(realm))
    watch, table = Watch(report), Table()
    now = clock()
    by_log = realm.time_source == "log"
    passed = await _passed(realm, bootstrap, opened) if by_log else {}
    ends = await events.ends()
    states = await changelog.ends()
    if any(events.begin.values()):
        report.blocked.append(f"{events.topic} does not begin at its first record: what stood before is not known")
    await events.read_to(ends, watch.take, _said(progress, "events"))
    await changelog.read_to(states, table.take, _said(progress, "states"))

    def horizon(partition: int) -> int:
        return max(passed.get(partition, 0), watch.reach.get(partition, 0)) if by_log else now

    await asyncio.to_thread(watch.finish, horizon, 0 if by_log else late_after, table.cases)


def _said(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda read, total: progress(what, read, total)


async def _passed(realm: Realm, bootstrap: str, opened: Callable[[str], Any]) -> Mapping[int, int]:
    """The time of the last record that the case lane has committed, by partition."""
    topic = INCIDENT_COMMANDS.in_realm(realm)
    done = await committed(bootstrap, GROUP.format(realm=realm.value), topic)
    commands: Log = await opened(topic)
    commands.skip_to({partition: offset - 1 for partition, offset in done.items()})
    found: Ends = {}

    def take(partition: int, records: Any) -> None:
        found[partition] = max(found.get(partition, 0), *(record.timestamp for record in records))

    await commands.read_to(done, take)
    return found
