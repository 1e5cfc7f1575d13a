"""Whatever is written about people is taken or refused with a pointer; whatever is taken can be stored and asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro.people_record.event import PeopleRecord
from schemas.codec import codec
from schemas.people.checks import take, take_changes
from schemas.people.records import Layer, Roster, Turn
from services.people.tokens import SessionToken, read_session, session_token
from streams.domain.people.roster import gaps, next_change, on_duty, shifts
from tests.gateway_stage import open_stage
from tests.property.test_gateway_any_body import JSON

NOW = 1_795_311_000_000
DAY = 86_400_000
RECORDS = codec(PeopleRecord)
TIMES = st.sampled_from(["2026-11-22", "2026-11-22 08:30", "2027-02-30", "2026-11-23T08:30:00Z", "8:30", "0001-01-01", "9999-12-31 23:59"])
CHANNEL = st.fixed_dictionaries({"kind": st.sampled_from(["sms", "log", "fax"]), "address": st.text(max_size=12)})
WINDOW = st.fixed_dictionaries(
    {"start": st.sampled_from(["8:00", "24:00", "25:00"]), "until": st.just("00:00")},
    optional={"weekdays": st.lists(st.integers(0, 8), max_size=3)},
)
TURNS = st.lists(st.lists(st.sampled_from(["off-01", "off-02", "ghost"]), max_size=2), max_size=3)
LENGTHS = st.sampled_from(["12h", "1d", "1w", "5m", "99999w"])
LAYER = st.fixed_dictionaries(
    {"name": st.just("x"), "turns": TURNS, "length": LENGTHS, "starts_at": TIMES},
    optional={"until": TIMES, "windows": st.lists(WINDOW, max_size=2)},
)
OVERRIDE = st.fixed_dictionaries({"person": st.just("off-01"), "start": TIMES, "until": TIMES})
GOOD: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "users": {
        "id": st.sampled_from(["a", "b", "13800000001", "é"]), "name": st.text(max_size=5), "org": st.just("x"), "active": st.booleans(),
        "channels": st.lists(CHANNEL, max_size=2),
    },
    "posts": {
        "id": st.just("p"), "user": st.sampled_from(["a", "off-01"]), "role": st.sampled_from(["head", "officer", "king"]),
        "division": st.sampled_from(["440305", "440305001", "440399"]), "since": TIMES, "until": TIMES,
        "level": st.sampled_from(["county", "grid", ""]), "realms": st.lists(st.sampled_from(["live", "x"]), max_size=2),
    },
    "rosters": {
        "desk": st.sampled_from(["440305-desk", "x-desk"]), "time_zone": st.just("Asia/Shanghai"), "layers": st.lists(LAYER, max_size=2),
        "overrides": st.lists(OVERRIDE, max_size=1),
    },
}  # fmt: skip
ENTRIES = {
    kind: st.lists(st.fixed_dictionaries({}, optional={name: value | JSON for name, value in fields.items()}) | JSON, max_size=2)
    | st.lists(st.fixed_dictionaries(fields), max_size=1)
    for kind, fields in GOOD.items()
}
KNOWN = frozenset({"off-01", "off-02", "boss-1"})


@settings(max_examples=250, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict(ENTRIES)) | JSON)
def test_any_json_is_people_or_a_refusal_that_points(data: Any) -> None:
    found = take(msgspec.json.decode(msgspec.json.encode(data)), KNOWN)
    for fault in found.faults:
        assert fault.pointer == "" or fault.pointer.startswith("/")
        assert fault.wrong
        assert fault.allowed
        assert _leads_somewhere(data, fault.pointer)
    if found.faults:
        return
    for post in found.posts:
        _stored(PeopleRecord(f"post/{post.id}", None, post, None, None, "x", "", NOW))
    for roster in found.rosters:
        _stored(PeopleRecord(f"roster/{roster.desk}", None, None, roster, None, "x", "", NOW))
        on_duty(roster, NOW)
        next_change(roster, NOW)
        assert sum(one.until - one.start for one in shifts(roster, NOW, NOW + DAY)) == DAY
        gaps(roster, NOW, NOW + DAY)


CHANGE = {
    "desk": st.sampled_from(["440305-desk", "440304-desk", "x"]), "by": st.sampled_from(["off-01", "ghost"]), "start": TIMES,
    "until": TIMES,
    "person": st.sampled_from(["off-02", "boss-1"]), "reason": st.sampled_from(["", "sick", "two words"]),
}  # fmt: skip
CHANGES = st.fixed_dictionaries(
    {"changes": st.lists(st.fixed_dictionaries({}, optional={name: value | JSON for name, value in CHANGE.items()}) | JSON, max_size=3)},
    optional={"replace": st.booleans() | JSON},
) | st.fixed_dictionaries({"changes": st.lists(st.fixed_dictionaries(CHANGE), max_size=2)})


@settings(max_examples=250, deadline=None)
@given(CHANGES | JSON)
def test_any_json_is_changes_of_rosters_or_a_refusal_that_points(data: Any) -> None:
    kept = Roster("440305-desk", (Layer("x", (Turn(("off-01",)),), 1440, NOW - DAY),))
    plain = msgspec.json.decode(msgspec.json.encode(data))
    found = take_changes(plain, {kept.desk: kept}, KNOWN)
    for fault in found.faults:
        assert fault.wrong
        assert fault.allowed
        assert _leads_somewhere(plain, fault.pointer)
    for roster in () if found.faults else found.rosters:
        _stored(PeopleRecord(f"roster/{roster.desk}", None, None, roster, None, "x", "", NOW))
        assert roster.layers == kept.layers
        on_duty(roster, NOW)


def _stored(record: PeopleRecord) -> None:
    assert RECORDS.decode(RECORDS.encode(record)) == record


def _leads_somewhere(data: Any, pointer: str) -> bool:
    """All but the last step of a pointer is there: the last one may be what is missing."""
    for part in pointer.split("/")[1:-1]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(data, dict) and name in data:
            data = data[name]
        elif isinstance(data, list) and name.isdecimal() and int(name) < len(data):
            data = data[int(name)]
        else:
            return False
    return True


ROUTES = (
    ("POST", "/v1/sessions"), ("PUT", "/v1/me/password"), ("POST", "/v1/people:import"), ("POST", "/v1/people/changes:import"),
    ("PUT", "/v1/people/users/a"),
    ("PUT", "/v1/people/posts/p"), ("PUT", "/v1/people/rosters/440305-desk"),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(ROUTES), JSON | st.one_of(*ENTRIES.values()).map(lambda rows: rows[0] if rows else {})), max_size=8)
)
def test_any_body_to_any_route_of_people_is_answered_and_never_crashes(bodies: list[tuple[tuple[str, str], Any]]) -> None:
    async def asked() -> list[int]:
        with TemporaryDirectory() as folder:
            async with open_stage(Path(folder)) as stage:
                await stage.people.fill()
                headers = {"Authorization": "Bearer key-admin"}
                answers = [
                    await stage.http.request(method, path, content=msgspec.json.encode(body), headers=headers)
                    for (method, path), body in bodies
                ]
        assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers if answer.is_error)
        return [answer.status_code for answer in answers]

    assert {status for status in asyncio.run(asked()) if status >= 500} == set()


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=60).map(lambda data: "ls_" + data.hex()), st.text(max_size=20))
def test_no_text_is_a_session_that_was_not_signed(text: str, secret: str) -> None:
    assert read_session(text, lambda data: f"{secret}{len(data)}-not-that") is None or text.endswith("-not-that")
    token = SessionToken("i", "u", "p", 0, 1, 2)
    signed = session_token(token, lambda data: str(len(data)))
    assert read_session(signed, lambda data: str(len(data))) == token
    assert read_session(signed, lambda data: str(len(data) + 1)) is None
    assert read_session(signed[:-1], lambda data: str(len(data))) is None
