"""Numbered events for tests of the warehouse: each is distinct, its source mark is its number, and what must be stored is known."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.alarm_event.event import AlarmEvent
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.live_delta.event import LiveDelta
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.codec import Codec, codec
from services.sink import marks

T = TypeVar("T", bound=msgspec.Struct)
COUNTIES = ("440305", "440106", "440303", "441900", "440607")
STATES = ("captured", "accepted", "triaged", "handling", "closed")
TYPES = ("A20600", "A20700", "A10200")
START_MS = 1_763_800_000_000


@cache
def _codec(cls: type[T]) -> Codec[T]:
    return codec(cls)


def encode(record: msgspec.Struct) -> bytes:
    return _codec(type(record)).encode(record)


@cache
def _empty(cls: type[msgspec.Struct]) -> dict[str, Any]:
    empty: dict[str, Any] = {"str": "", "int": 0, "bool": False}
    return {f.name: empty[str(cls.__annotations__[f.name])] for f in msgspec.structs.fields(cls) if f.required}


def made(cls: type[T], **given: Any) -> T:
    """A record with these fields, and the others empty."""
    return cls(**{**_empty(cls), **given})


def event(number: int, partition: int, realm: str = "live", **given: Any) -> IncidentEvent:
    """Event `number` of a partition: five to a case, walking through STATES."""
    case, step = divmod(number, len(STATES))
    county = COUNTIES[(case + partition) % len(COUNTIES)]
    fields: dict[str, Any] = {
        "event_id": f"{realm}-{partition}-{number}", "case_id": f"case-{realm}-{partition}-{case}", "case_seq": step + 1,
        "type": "incident.captured" if step == 0 else f"incident.{STATES[step]}", "kind": "incident", "division": county + "001",
        "level": "town", "realm": realm, "occurred_at": START_MS + number, "received_at": START_MS + number * 10, "cause": "fact",
        "src_topic": "incident.commands", "src_partition": partition, "src_offset": number,
        "command_id": command_id(realm, partition, number),
        "case_number": f"{county}-20251122-{case:08d}", "incident_type": TYPES[case % 3], "type_from": TYPES[case % 3] if step else "",
        "county": county, "county_from": county if step else "", "state": STATES[step], "state_from": STATES[step - 1] if step else "",
        "holder_level": "county", "grade": case % 5, "round": 1, "mirrored": True, "producer": "demo-producer", "title": "火灾事故 南山区",
        "opened_at": START_MS + case * len(STATES),
    }  # fmt: skip
    return made(IncidentEvent, **{**fields, **given})


def delta(number: int, partition: int, realm: str = "live", **given: Any) -> LiveDelta:
    """The delta of event `number`."""
    of = event(number, partition, realm)
    shared = {name: getattr(of, name) for name in LiveDelta.__struct_fields__ if hasattr(of, name)}
    return LiveDelta(**{**shared, "src_topic": "incident.events", **given})


def outcome(number: int, partition: int, realm: str = "live", **given: Any) -> Outcome:
    """The answer to command `number`: applied."""
    of = event(number, partition, realm)
    shared = {name: getattr(of, name) for name in Outcome.__struct_fields__ if hasattr(of, name)}
    return Outcome(**{**shared, "outcome": "applied", "name": "observe", **given})


def command(number: int, partition: int, realm: str = "live", **given: Any) -> IncidentCommand:
    """The command that event `number` comes from."""
    of = event(number, partition, realm)
    shared = {name: getattr(of, name) for name in IncidentCommand.__struct_fields__ if hasattr(of, name)}
    blank = {"src_topic": "", "src_partition": 0, "src_offset": 0}
    return made(IncidentCommand, **{**shared, **blank, "name": "observe", "expected_seq": -1, **given})


def press(number: int, partition: int, realm: str = "live", **given: Any) -> AlarmCommand:
    """Press `number` of a partition, each of another device."""
    case = f"alarm-{realm}-{partition}-{number}"
    fields = {"command_id": command_id(realm, partition, 10_000 + number), "case_id": case, "name": "press", "realm": realm,
              "division": "440507", "alarm_class": "unclear", "expected_seq": -1, "occurred_at": START_MS + number}  # fmt: skip
    return made(AlarmCommand, **{**fields, **given})


def _of_press(number: int, partition: int, realm: str) -> dict[str, Any]:
    of = press(number, partition, realm)
    shared = {"command_id": of.command_id, "case_id": of.case_id, "realm": realm, "division": of.division, "src_topic": "alarm.commands"}
    return shared | {"src_partition": partition, "src_offset": number, "received_at": START_MS + number * 10}


def alarm_event(number: int, partition: int, realm: str = "live", **given: Any) -> AlarmEvent:
    """The event of press `number`: raised, with one page."""
    fields = {"event_id": f"a-{realm}-{partition}-{number}", "case_seq": 1, "type": "alarm.raised", "kind": "alarm", "county": "440507",
              "state": "raised", "alarm_class": "unclear", "pages": 1, "press_count": 1, "round": 1, "opened_at": START_MS + number,
              "occurred_at": START_MS + number, "holder_level": "county"}  # fmt: skip
    return made(AlarmEvent, **{**_of_press(number, partition, realm), **fields, **given})


def page(number: int, partition: int, realm: str = "live", **given: Any) -> Notification:
    """The page of press `number`."""
    fields = {"notification_id": f"n-{realm}-{partition}-{number}", "type": "page", "kind": "alarm", "src_position": 4,
              "occurred_at": START_MS + number}  # fmt: skip
    return made(Notification, **{**_of_press(number, partition, realm), **fields, **given})


def answer_of_press(number: int, partition: int, realm: str = "live", **given: Any) -> Outcome:
    """The answer to press `number`: applied."""
    fields = {"outcome": "applied", "name": "press", "case_seq": 1, "src_position": 1}
    return made(Outcome, **{**_of_press(number, partition, realm), **fields, **given})


def command_id(realm: str, partition: int, number: int) -> str:
    return f"{number:08x}-{partition:04x}-5000-8000-{sum(realm.encode()):012x}"


def header(record: Any) -> tuple[str, bytes]:
    return marks.header(record.src_topic, record.src_partition, record.src_offset, record.src_position)


def stream(make: Any, numbers: range, partition: int, realm: str = "live") -> Iterator[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """(key, value, headers) of the records `make(number, partition, realm)`."""
    for number in numbers:
        record = make(number, partition, realm)
        yield record.case_id.encode(), encode(record), [header(record)] if record.src_topic else []
