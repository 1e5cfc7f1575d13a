"""Whatever the file holds: a row is refused by the mapping, or the gateway takes it. Nothing in between."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.gateway.intake import Context, line
from services.replay.errors import RowRefused
from services.replay.mapping import Mapping
from services.replay.rows import RowMapper

COLUMNS = ["no", "at", "seq", "state", "group", "moves", "priority", "kind", "where"]
SHARED = """
name = "any"
external_id = "any:{no}"
invented_places = true
[time]
column = "at"
zone = "America/New_York"
ambiguous = "later"
nonexistent = "forward"
[type]
columns = ["kind"]
default = "S99"
[place]
rule = "invented"
columns = ["where", "no"]
[grade]
columns = ["priority"]
default = 4
"""
FACT = """
kind = "fact"
[source_version]
sequence = "seq"
[holder]
template = "group:{group}"
[counters]
reassignments = "moves"
[state]
columns = ["state"]
default = "handling"
"""
PRODUCER = Principal("any-producer", Kind.PRODUCER, "", "any", "department", "province", "440000", (Realm.REPLAY,))
CONTEXT = Context(PRODUCER, Realm.REPLAY, now=4_102_444_800_000, fingerprint=lambda data: data.hex())  # 2100-01-01


def mapper(kind: str) -> RowMapper:
    rules = tomllib.loads(SHARED) | (tomllib.loads(FACT) if kind == "fact" else {"kind": "incident"})
    return RowMapper(msgspec.convert(rules, Mapping), COLUMNS)


MAPPERS = {kind: mapper(kind) for kind in ("incident", "fact")}
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
numbers = st.integers(0, 2_000_000).map(str) | st.just("") | st.integers(0, 10_000_000_000).map(str)
recent = st.integers(0, 10**9).map(lambda s: datetime.fromtimestamp(9 * 10**8 + s, UTC).isoformat()[:19])
times = recent | st.datetimes().map(lambda at: at.isoformat() + "+08:00")
rows = st.tuples(text, times, numbers, text, text, numbers, text, text, text) | st.tuples(*[text | numbers | times] * len(COLUMNS))


@given(rows, st.sampled_from(["incident", "fact"]))
@example(("1", "2016-11-06T01:30:00", "1", "New", "7", "0", "1", "FALL", "x"), "fact")
@example(("1", "2016-03-13T02:30:00", "1", "New", "", "", "", "", ""), "incident")
@example(("1", "0001-01-01T00:00:00", "0", "", "", "", "", "", ""), "fact")
@example(("1", "9999-12-31T23:59:59", "0", "", "", "", "", "", ""), "fact")
def test_a_mapped_row_is_taken_by_the_gateway(row: tuple[str, ...], kind: str) -> None:
    try:
        mapped = MAPPERS[kind](row)
    except RowRefused:
        return
    if mapped.at > CONTEXT.now:
        return  # the future is the gateway's to judge: it has the clock
    accepted = line(msgspec.json.encode(mapped.body), CONTEXT)
    assert abs(accepted.command.occurred_at - mapped.at) <= 1  # microseconds are rounded here and cut there
    assert accepted.command.name == ("observe" if kind == "fact" else "capture")
