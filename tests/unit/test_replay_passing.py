"""Time that is let pass in a realm on log time: what was due after the last record is told, each at its own moment, once."""

from __future__ import annotations

from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.codec import codec
from schemas.headers import WAKE
from schemas.murmur import partition_of
from schemas.realms import Realm
from schemas.topics import DEAD_LETTERS, INCIDENT_EVENTS
from services.audit.timers import TimersReport
from services.audit.timers.watch import Watch
from services.commands.replay import _moment
from services.replay.passing import time_passed
from streams.agents.case import CaseProcessor
from streams.engine.value import Output
from tests.timers import LOG, Worker, record
from tests.unit.test_incident_life_cycle import CASE, NOW, command

HOUR, DAY = 3_600_000, 86_400_000


def events(outputs: list[Output]) -> list[IncidentEvent]:
    assert not [output for output in outputs if output.topic.endswith(DEAD_LETTERS.name)]
    return [codec(IncidentEvent).decode(output.value) for output in outputs if output.topic.endswith(INCIDENT_EVENTS.name)]


def test_each_partition_has_a_key_of_its_own_that_is_no_case() -> None:
    found = time_passed(Realm.REPLAY, NOW, 12)
    assert sorted(found) == list(range(12))
    assert all(partition_of(key, 12) == partition for partition, (key, _) in found.items())
    assert {codec(IncidentCommand).decode(value).case_id.encode() for _, value in found.values()} == {key for key, _ in found.values()}


def test_what_falls_due_after_the_last_record_is_told_at_its_own_time_and_told_once() -> None:
    asked = codec(IncidentCommand).encode(command("capture", realm="replay"))
    worker = Worker(LOG, processor=CaseProcessor())
    _, first = worker.run([record(LOG, 0, NOW, CASE.encode(), asked)])
    key, value = time_passed(Realm.REPLAY, NOW + 30 * DAY, 1)[0]
    passed = [record(LOG, offset, NOW + 30 * DAY, key, value, [(WAKE, b"")]) for offset in (1, 2)]
    _, told = worker.run(passed[:1])
    _, again = worker.run(passed[1:])
    said = events(first) + events(told)
    marks = [event for event in said if event.clock_due_at]
    assert {"incident.clock_warning", "incident.clock_due", "incident.clock_overdue"} <= {event.type for event in marks}
    assert all(NOW < event.occurred_at == event.received_at <= NOW + 30 * DAY for event in marks), "each as if it had been woken"
    assert events(again) == []
    report = TimersReport("replay")
    watch = Watch(report)
    for event in said:
        watch.one(0, event)
    watch.finish(lambda _: NOW + 30 * DAY, 0, {})
    assert report.exact, report.document()
    assert (report.lateness()["max"], len(report.pending)) == (0, 0)


def test_a_moment_is_one_of_the_past() -> None:
    assert _moment("2026-11-22T08:00:00+08:00", Realm.REPLAY) == 1_795_305_600_000
    assert _moment("", Realm.LIVE) == 0
