"""How much the auditor of timers takes: `python -m tests.bench.timer_audit [CASES]`.

Each case is captured, accepted, triaged, assigned, signed, offered up and supervised, tells some deadlines and has four running clocks at
the end. Cases are made from a few recorded by the core, with ids of their own; records are decoded as from a broker.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec

from schemas import ids
from schemas.avro.incident_event.event import IncidentEvent
from schemas.codec import codec
from schemas.headers import SRC
from services.audit.timers import TimersReport
from services.audit.timers.watch import Watch
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up
from tests.unit.test_incident_life_cycle import NOW, command

HOUR = 3_600_000
BATCH = 500
PARTITIONS = 12
STEPS = ("accept", "triage", "assign", "sign", "offer_up", "supervise")
replace = msgspec.structs.replace


def recorded(start: int) -> list[IncidentEvent]:
    """One case with four running clocks: handle, total, and the replies to an offer and to a supervision."""
    state, events, at = None, [], start
    for number, name in enumerate(("capture", *STEPS, "wake")):
        more = {"org": "water", "actor_level": "city", "actor_org": "440300-desk", "rung": "supervise", "grade": 4, "occurred_at": at}
        more |= {"actor_division": "440000", "division": "440305", "incident_type": "S01" if name == "capture" else ""}
        asked = wake_up(ids.case_id("live", "p", "1"), at, "live") if name == "wake" else command(name, str(number), **more)
        decision = decide(state, asked, Source("incident.commands", 0, number), at)
        state = decision.state
        events += [emit.record for emit in decision.emits if isinstance(emit.record, IncidentEvent)]
        at += HOUR if name != "supervise" else 30 * HOUR
    assert state
    assert sum(not clock.stopped_at for clock in state.clocks) == 4, [clock.purpose for clock in state.clocks if not clock.stopped_at]
    return events


def records(cases: int) -> Iterator[tuple[int, list[Any]]]:
    write, models = codec(IncidentEvent).encode, [recorded(NOW + minute * 60_000) for minute in range(0, 600, 7)]
    batch: dict[int, list[Any]] = {}
    for number in range(cases):
        case_id, partition = ids.case_id("live", "bench", str(number)), number % PARTITIONS
        for event in models[number % len(models)]:
            value = write(replace(event, case_id=case_id))
            source = b"incident.commands:%d:%d:%d" % (partition, number * 100 + event.case_seq, 0)
            batch.setdefault(partition, []).append(
                SimpleNamespace(key=case_id.encode(), value=value, headers=[(SRC, source)], timestamp=event.received_at)
            )
        if len(batch[partition]) >= BATCH:
            yield partition, batch.pop(partition)
    yield from batch.items()


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 250_000
    report = TimersReport("live")
    watch, spent, before = Watch(report), 0.0, rss()
    for partition, some in records(cases):
        since = time.process_time()
        watch.take(partition, some)
        spent += time.process_time() - since
    held = rss()
    since = time.process_time()
    end = max(watch.reach.values())
    watch.finish(lambda _: end, 60_000, {})
    events, clocks = report.figures["events"], report.figures["running_clocks"]
    print(
        f"{report.figures['cases']:,} cases, {clocks:,} running clocks, {events:,} events, {report.figures['firings']:,} firings: "
        f"{events / spent:,.0f} events per CPU-second, end {time.process_time() - since:.1f} s; memory {held:,.0f} MB "
        f"({(held - before) * 1e6 / cases:,.0f} bytes a case); exact: {report.exact} {report.counts} {dict(report.not_looked_at)}"
    )


def rss() -> float:
    """Highest so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
