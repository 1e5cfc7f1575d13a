"""What the notifier writes when nobody could be told: a command to the case's own lane, whichever it is, before the page."""

from __future__ import annotations

import asyncio

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from schemas.realms import Realm
from services.notifier.decide import Plan, page_of
from services.notifier.who import nobody_notified
from services.notifier.work import Result
from services.notifier.writing import Writer
from streams.domain.core import Source
from tests.fakes import FakeProducer
from tests.pages import START, notification


def test_each_lane_gets_the_command_of_its_own_case_and_every_page_is_written() -> None:
    asked = [notification(1), notification(2, kind="alarm", clock="", round=3, step=1), notification(3, kind="alarm", clock="", case_seq=0)]
    results = []
    for number, one in enumerate(asked):
        page = page_of(one, f"p-{number}", Source("notifications", 0, number), START, Plan(START))
        results.append((Result(nobody_notified(one, page), page), one.case_id.encode(), START, ()))
    producer = FakeProducer()
    asyncio.run(Writer(producer).results(Realm.LIVE, results))
    (incident,), (alarm,) = producer.records("incident.commands"), producer.records("alarm.commands")
    assert (incident.key, codec(IncidentCommand).decode(incident.value).case_id) == (asked[0].case_id.encode(), asked[0].case_id)
    made = codec(AlarmCommand).decode(alarm.value)
    assert (alarm.key, made.case_id, made.round, made.step) == (asked[1].case_id.encode(), asked[1].case_id, 3, 1)
    assert [dict(record.headers)["ce_type"] for record in (incident, alarm)] == [b"liandong.incident_command", b"liandong.alarm_command"]
    assert len(producer.records("pages")) == 3
