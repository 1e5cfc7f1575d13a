"""Whatever arrives is either a command that can be written or a refusal that points somewhere; never a crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import Codec, codec
from schemas.errors import InvalidPayload
from schemas.realms import Realm
from services.gateway import bodies, cloudevents, decoding, intake
from services.gateway.decoding import Invalid
from services.gateway.intake import Accepted, Context
from tests.principals import DESK, PRODUCER

NOW = 1_795_000_000_000
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
GOOD: dict[str, Any] = {
    "type": "A10100",
    "division": "440305",
    "occurred_at": "2026-11-01T08:30:00+08:00",
    "event_id": "E",
    "external_id": "X",
    "source_version": 1,
    "state": "handling",
    "holder": "局",
    "grade": 2,
    "place": {"lon": 113.9, "lat": 22.5, "address": "路"},
    "reporter": {"name": "甲", "phone": "1"},
    "note": "n",
    "kind": "incident",
    "specversion": "1.0",
    "id": "1",
    "source": "s",
    "data": {},
    "case_id": "6f0c5a1e-4d0b-5c58-9d53-0d6a1f4b7c21",
    "name": "accept",
    "expected_seq": 1,
}
OBJECTS = st.fixed_dictionaries({}, optional={name: st.just(value) | JSON for name, value in GOOD.items()})


def contexts() -> list[Context]:
    return [Context(who, Realm.LIVE, NOW, lambda data: f"auto-{len(data)}") for who in (PRODUCER, DESK)]


def check(judge: Callable[[], Accepted]) -> None:
    errors, accepted = judged(judge)
    assert (accepted is None) == bool(errors)
    for error in errors:
        assert error.pointer == "" or error.pointer.startswith("/")
        assert error.detail
    if accepted is not None:
        writer: Codec[Any] = codec(type(accepted.command))
        assert writer.decode(writer.encode(accepted.command)) == accepted.command


def judged(judge: Callable[[], Accepted]) -> tuple[Sequence[InvalidPayload], Accepted | None]:
    try:
        return (), judge()
    except Invalid as invalid:
        return invalid.errors, None


@settings(max_examples=300, deadline=None)
@given(JSON | OBJECTS)
def test_any_json_is_a_command_or_a_refusal_that_points(value: Any) -> None:
    data = json.dumps(value).encode()
    for context in contexts():
        check(lambda: intake.line(data, context))  # noqa: B023 - called at once
        check(lambda: intake.incident(decoding.decode(data, bodies.Incident), context, fact=True))  # noqa: B023
        check(lambda: intake.command(decoding.decode(data, bodies.Command), "accept", GOOD["case_id"], context))  # noqa: B023
        check(lambda: cloudevents.event(data, context))  # noqa: B023


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    for context in contexts():
        check(lambda: intake.line(data, context))  # noqa: B023 - called at once
        check(lambda: cloudevents.event(data, context))  # noqa: B023


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=200), st.text(max_size=300), st.text(max_size=100))
def test_no_word_of_a_person_reaches_the_command(name: str, note: str, address: str) -> None:
    marks = [f"⟦{word}⟧" for word in (name[:90], note, address)]
    body = {**{k: GOOD[k] for k in ("type", "division", "occurred_at", "event_id")}, "reporter": {"name": marks[0]}, "note": marks[1]}
    try:
        data = json.dumps({**body, "place": {"address": marks[2]}}).encode()
        accepted = intake.incident(decoding.decode(data, bodies.Incident), contexts()[0])
    except Invalid:
        return  # a lone surrogate is no text
    writer: Codec[Any] = codec(type(accepted.command))
    encoded = writer.encode(accepted.command)
    assert all(mark.encode() not in encoded for mark in marks)
    assert msgspec.json.decode(accepted.personal) == {"reporter": {"name": marks[0]}, "note": marks[1], "address": marks[2]}
