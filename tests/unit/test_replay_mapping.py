"""The mapping format: every rule, and what happens to rows that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.realms import Realm
from services.replay.errors import MappingError, RowRefused
from services.replay.mapping import load
from services.replay.rows import RowMapper

MAPPINGS = Path(__file__).parents[1] / "mappings"
INCIDENT = """
name = "town"
kind = "incident"
external_id = "town:{no}"
[time]
column = "at"
zone = "America/New_York"
[type]
columns = ["cat", "kind"]
[type.map]
"EMS/*" = "L99"
"EMS/FALL*" = "L03"
"EMS/FALL/STAIRS" = "L04"
[place]
rule = "code"
columns = ["where"]
"""
FACT = """
name = "desk"
kind = "fact"
external_id = "desk:{no}"
[time]
column = "at"
zone = "UTC"
[source_version]
sequence = "seq"
[type]
columns = []
default = "S02"
[state]
columns = ["state"]
[state.map]
"New" = "captured"
"Awaiting *" = "handling"
[holder]
template = "group:{group}"
[counters]
reassignments = "moves"
reopens = "again"
[grade]
columns = ["priority"]
[grade.map]
"1" = 1
[place]
rule = "map"
columns = ["where"]
[place.map]
"north" = "440305"
"""
HEADER = {
    "incident": ["no", "at", "cat", "kind", "where"],
    "fact": ["no", "at", "seq", "state", "group", "moves", "again", "priority", "where"],
}
ROW: dict[str, dict[str, str]] = {
    "incident": {"no": "1", "at": "2016-07-01T12:00:00", "cat": "EMS", "kind": "FALL VICTIM", "where": "440305"},
    "fact": {"no": "7", "at": "2016-02-29T01:23", "seq": "5", "state": "New", "group": "56", "moves": "2", "again": "1", "priority": "1",
             "where": "north"},
}  # fmt: skip


def mapper(tmp_path: Path, text: str) -> RowMapper:
    file = tmp_path / "mapping.toml"
    file.write_text(text, encoding="utf-8")
    mapping = load(file)
    return RowMapper(mapping, HEADER[mapping.kind])


def mapped(tmp_path: Path, text: str = INCIDENT, **changes: str) -> dict[str, Any]:
    kind = "fact" if 'kind = "fact"' in text else "incident"
    return mapper(tmp_path, text)(list((ROW[kind] | changes).values())).body


def refusal(tmp_path: Path, text: str = INCIDENT, **changes: str) -> str:
    with pytest.raises(RowRefused) as caught:
        mapped(tmp_path, text, **changes)
    return caught.value.reason


def wrong(tmp_path: Path, text: str) -> str:
    with pytest.raises(MappingError) as caught:
        mapper(tmp_path, text)
    return caught.value.key


def test_a_row_becomes_an_incident(tmp_path: Path) -> None:
    assert mapped(tmp_path) == {
        "kind": "incident",
        "external_id": "town:1",
        "type": "L03",
        "division": "440305",
        "occurred_at": "2016-07-01T12:00:00-04:00",
    }


def test_a_row_becomes_a_fact_with_state_holder_counters_and_version(tmp_path: Path) -> None:
    assert mapped(tmp_path, FACT) == {
        "kind": "fact",
        "external_id": "desk:7",
        "type": "S02",
        "division": "440305",
        "occurred_at": "2016-02-29T01:23:00+00:00",
        "source_version": 1456708980_000005,
        "state": "captured",
        "holder": "group:56",
        "reassignments": 2,
        "reopens": 1,
        "grade": 1,
    }


def test_a_fact_carries_its_sources_target_where_the_column_says_one(tmp_path: Path) -> None:
    due = '[due]\ncolumn = "moves"\nzone = "Asia/Shanghai"\n[counters]\nreopens = "again"\n'
    text = FACT.replace('[counters]\nreassignments = "moves"\nreopens = "again"\n', due)
    assert mapped(tmp_path, text, moves="2016-03-05T12:00")["due_at"] == "2016-03-05T12:00:00+08:00"
    assert "due_at" not in mapped(tmp_path, text, moves="")
    assert refusal(tmp_path, text, moves="soon") == "bad_time"


def test_an_exact_value_goes_before_the_longest_prefix_and_that_before_the_default(tmp_path: Path) -> None:
    assert mapped(tmp_path, kind="FALL/STAIRS")["type"] == "L04"
    assert mapped(tmp_path, kind="FALL VICTIM")["type"] == "L03"
    assert mapped(tmp_path, kind="FEVER")["type"] == "L99"
    assert refusal(tmp_path, cat="Fire") == "type_not_mapped"


def test_a_holder_column_that_is_empty_leaves_the_holder_out(tmp_path: Path) -> None:
    assert "holder" not in mapped(tmp_path, FACT, group="")


def test_a_later_row_of_the_same_minute_has_a_higher_version(tmp_path: Path) -> None:
    first, second = (mapped(tmp_path, FACT, seq=seq)["source_version"] for seq in ("9", "10"))
    later = mapped(tmp_path, FACT, at="2016-02-29T01:24", seq="0")["source_version"]
    assert first < second < later


def test_the_hour_that_comes_twice_is_earlier_later_or_refused(tmp_path: Path) -> None:
    twice = "2016-11-06T01:30:00"
    assert refusal(tmp_path, at=twice) == "time_ambiguous"
    assert mapped(tmp_path, INCIDENT.replace('York"', 'York"\nambiguous = "earlier"'), at=twice)["occurred_at"].endswith("-04:00")
    assert mapped(tmp_path, INCIDENT.replace('York"', 'York"\nambiguous = "later"'), at=twice)["occurred_at"].endswith("-05:00")


def test_the_hour_that_is_skipped_moves_forward_or_is_refused(tmp_path: Path) -> None:
    skipped = "2016-03-13T02:30:00"
    assert refusal(tmp_path, at=skipped) == "time_nonexistent"
    forward = mapped(tmp_path, INCIDENT.replace('York"', 'York"\nnonexistent = "forward"'), at=skipped)
    assert forward["occurred_at"] == "2016-03-13T03:30:00-04:00"


def test_a_time_with_its_own_offset_keeps_it(tmp_path: Path) -> None:
    assert mapped(tmp_path, at="2016-07-01T12:00:00+08:00")["occurred_at"] == "2016-07-01T12:00:00+08:00"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"at": "soon"}, "bad_time"),
        ({"at": ""}, "time_empty"),
        ({"at": "1969-07-20T12:00:00"}, "time_too_old"),
        ({"no": ""}, "external_id_empty"),
        ({"no": "9" * 300}, "external_id_too_long"),
        ({"where": "999999"}, "place_not_mapped"),
    ],
)
def test_a_bad_incident_row_is_refused_with_its_reason(tmp_path: Path, changes: dict[str, str], reason: str) -> None:
    assert refusal(tmp_path, **changes) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "-100"}, "state_not_mapped"),
        ({"moves": "two"}, "bad_number"),
        ({"seq": "-1"}, "bad_version"),
        ({"seq": "1000000"}, "bad_version"),
        ({"priority": "9"}, "grade_not_mapped"),
        ({"group": "x" * 200}, "holder_too_long"),
        ({"where": "south"}, "place_not_mapped"),
    ],
)
def test_a_bad_fact_row_is_refused_with_its_reason(tmp_path: Path, changes: dict[str, str], reason: str) -> None:
    assert refusal(tmp_path, FACT, **changes) == reason


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"EMS/*" = "L99"', '"EMS/*" = "L77"', "type.map.EMS/*"),
        ('zone = "America/New_York"', 'zone = "Mars/Base"', "time.zone"),
        ('column = "at"', 'column = "when"', "time.column"),
        ('external_id = "town:{no}"', 'external_id = "town:1"', "external_id"),
        ('external_id = "town:{no}"', 'external_id = "town:{number}"', "external_id"),
        ('rule = "code"', 'rule = "invented"', "invented_places"),
        ('rule = "code"', 'rule = "guess"', "place.rule"),
        ('kind = "incident"', 'kind = "fact"', "state"),
        ('name = "town"', 'name = "town"\ncolour = "red"', "mapping.toml"),
    ],
)
def test_a_wrong_mapping_is_refused_by_its_key_before_a_row_is_read(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert wrong(tmp_path, INCIDENT.replace(old, new, 1)) == key


@pytest.mark.parametrize("name", ["montco_911", "nyc_ems", "servicenow", "boston_311"])
def test_a_mapping_that_invents_places_is_refused_for_the_live_realm(name: str) -> None:
    mapping = load(MAPPINGS / f"{name}.toml")
    mapping.check_realm(Realm.REPLAY)
    with pytest.raises(MappingError, match="realm live is refused"):
        mapping.check_realm(Realm.LIVE)
