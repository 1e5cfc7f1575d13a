"""The live hub without a broker: vectors, ring, resume, what a scope may see."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro.live_delta.event import LiveDelta
from services.dashboard.frames import Frame, Scope
from services.dashboard.ring import Cursor, Ring
from services.dashboard.vector import BadVector, parse, render

PROVINCE = Scope("440000")


def delta(county: str = "440305", county_from: str = "", state_from: str = "", **changes: object) -> LiveDelta:
    base = LiveDelta(
        event_id="e",
        case_id="c",
        case_seq=1,
        case_number="440305-20261122-7K3M9QXC",
        realm="live",
        type="incident.captured",
        title="火灾事故",
        county=county,
        county_from=county_from,
        incident_type="A20600",
        type_from="A20600" if state_from else "",
        state="captured",
        state_from=state_from,
        division=county,
        occurred_at=1,
        received_at=2,
        mirrored=False,
        src_topic="incident.events",
        src_partition=0,
        src_offset=0,
        src_position=0,
    )
    return msgspec.structs.replace(base, **changes)


def frame(partition: int, offset: int, county: str = "440305") -> Frame:
    return Frame(partition, offset, 0, delta(county))


def places(events: Iterable[bytes]) -> list[tuple[int, int]]:
    """(partition, offset) of each SSE event."""
    data = [json.loads(event.decode().split("data: ", 1)[1]) for event in events]
    return [(d["partition"], d["offset"]) for d in data]


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=48))
def test_a_vector_reads_back_as_it_was_written(offsets: list[int]) -> None:
    assert parse(render(offsets), len(offsets)) == dict(enumerate(offsets))


@pytest.mark.parametrize(
    "text", ["0", "0:", ":1", "0:-1", "0:1,", "0:1,0:2", "4:1", "a:1", "0:1;1:2", "0:٣", "0:" + "9" * 20, "0:1," * 3000]
)
def test_what_is_no_vector_is_refused(text: str) -> None:
    with pytest.raises(BadVector):
        parse(text, 4)


def test_a_subscriber_without_a_vector_sees_only_what_comes() -> None:
    ring = Ring([5, 0], capacity=10)
    ring.append(frame(0, 5))
    cursor = Cursor(ring, PROVINCE)
    assert cursor.advance() == []
    ring.append(frame(1, 0))
    assert places(cursor.advance()) == [(1, 0)]
    assert cursor.advance() == []


def test_a_vector_resumes_without_gap_or_double() -> None:
    ring = Ring([0, 0], capacity=10)
    for partition, offset in ((0, 0), (1, 0), (0, 1), (1, 1), (0, 2)):
        ring.append(frame(partition, offset))
    assert places(Cursor(ring, PROVINCE, {0: 1, 1: 1}).advance()) == [(0, 1), (1, 1), (0, 2)]


def test_a_snapshot_ahead_of_the_hub_skips_what_it_holds_already() -> None:
    ring = Ring([0, 0], capacity=10)
    cursor = Cursor(ring, PROVINCE, {0: 2, 1: 0})
    for offset in range(4):
        ring.append(frame(0, offset))
    assert places(cursor.advance()) == [(0, 2), (0, 3)]


def test_a_partition_the_vector_leaves_out_starts_at_the_first_record() -> None:
    ring = Ring([0, 0], capacity=10)
    ring.append(frame(1, 0))
    assert places(Cursor(ring, PROVINCE, {0: 0}).advance()) == [(1, 0)]


def test_every_event_carries_the_vector_that_stands_after_it() -> None:
    ring = Ring([7, 3], capacity=10)
    cursor = Cursor(ring, PROVINCE)
    ring.append(frame(0, 7))
    ring.append(frame(1, 3))
    ids = [event.decode().split("id: ")[1].split("\n")[0] for event in cursor.advance()]
    assert ids == ["0:8,1:3", "0:8,1:4"]


def test_what_the_ring_let_go_is_told_as_behind_and_only_then() -> None:
    ring = Ring([0, 0], capacity=2)
    slow, old = Cursor(ring, PROVINCE), {0: 0, 1: 0}
    ring.append(frame(0, 0))
    ring.append(frame(0, 1))
    assert slow.behind() == []
    ring.append(frame(1, 0))
    assert slow.behind() == [0]
    assert Cursor(ring, PROVINCE, old).behind() == [0]
    assert Cursor(ring, PROVINCE, old | {0: 1}).behind() == []
    assert places(Cursor(ring, PROVINCE, old | {0: 1}).advance()) == [(0, 1), (1, 0)]


def test_a_record_read_twice_enters_the_ring_once() -> None:
    ring = Ring([0], capacity=10)
    cursor = Cursor(ring, PROVINCE)
    for offset in (0, 1, 1, 0, 2):
        ring.append(frame(0, offset))
    assert places(cursor.advance()) == [(0, 0), (0, 1), (0, 2)]


@given(
    st.lists(st.sampled_from(["append", "read", "resume"]), max_size=60),
    st.lists(st.integers(0, 2), min_size=60, max_size=60),
)
def test_any_mix_of_reading_and_resuming_gives_each_frame_once_in_order(steps: list[str], partitions: list[int]) -> None:
    ring = Ring([0, 0, 0], capacity=100)
    cursor = Cursor(ring, PROVINCE, {0: 0, 1: 0, 2: 0})
    seen: list[tuple[int, int]] = []
    written: list[tuple[int, int]] = []
    for step, partition in zip(steps, partitions, strict=False):
        if step == "append":
            written.append((partition, ring.head[partition]))
            ring.append(frame(*written[-1]))
        elif step == "read":
            seen += places(cursor.advance())
        else:
            cursor = Cursor(ring, PROVINCE, parse(render(cursor.at), 3))
    seen += places(cursor.advance())
    assert sorted(seen) == sorted(written)
    assert all([o for q, o in seen if q == p] == sorted(o for q, o in seen if q == p) for p in range(3))


@pytest.mark.parametrize(
    ("scope", "county", "sees"),
    [
        ("440000", "440305", True),
        ("440300", "440305", True),
        ("440305", "440305", True),
        ("440304", "440305", False),
        ("440100", "440305", False),
        ("441900", "441900", True),
        ("442000", "441900", False),
    ],
)
def test_a_scope_sees_its_subtree_and_nothing_else(scope: str, county: str, sees: bool) -> None:
    assert (Scope(scope).sees(frame(0, 0, county)) is not None) is sees


def test_a_case_that_moves_is_told_to_both_counties_without_telling_one_of_the_other() -> None:
    moved = Frame(0, 0, 0, delta("440304", county_from="440305", state_from="accepted"))
    old, new, city, other = (Scope(code).sees(moved) for code in ("440305", "440304", "440300", "440307"))
    assert other is None
    assert old is not None
    assert b"440304" not in old
    left = json.loads(old)
    assert (left["county"], left["state"], left["title"], left["county_from"], left["state_from"]) == ("", "", "", "440305", "accepted")
    assert new is not None
    assert json.loads(new)["county_from"] == ""
    assert city is not None
    assert json.loads(city)["county_from"] == "440305"


def test_a_petition_is_in_no_frame_and_a_case_that_becomes_one_leaves_every_screen() -> None:
    def told(before: str, after: str, county_from: str = "440305") -> list[dict[str, str] | None]:
        change = delta("440305", county_from, "accepted" if before else "", incident_type=after, type_from=before)
        seen = [Scope(code).sees(Frame(0, 0, 0, change)) for code in ("440305", "440300", "440000")]
        return [json.loads(one) if one else None for one in seen]

    assert told("", "X03", "") == told("X03", "X02") == [None] * 3
    for left in told("A20600", "X03"):
        assert left is not None
        assert (left["state"], left["incident_type"], left["type_from"], left["county_from"]) == ("", "", "A20600", "440305")
        assert "X03" not in json.dumps(left)
    for arrived in told("X03", "A20600"):
        assert arrived is not None
        assert (arrived["incident_type"], arrived["type_from"], arrived["county_from"]) == ("A20600", "", "")
    assert told("X03", "X03", "440304") == [None] * 3
    city_left = told("A20600", "X03", "440304")
    assert [one and one["state"] for one in city_left] == [None, "", ""], "the new county never had it"


def test_a_frame_names_its_type_and_place_in_words() -> None:
    seen = PROVINCE.sees(frame(0, 0))
    assert seen is not None
    words = json.loads(seen)
    assert (words["incident_type_name"], words["division_name"]) == ("火灾事故", "深圳市南山区")
