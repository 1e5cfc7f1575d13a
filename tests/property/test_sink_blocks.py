"""Blocks of the sink, whatever comes: every record in exactly one block, repeats dropped, the same block again after a stop."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.registry import latest
from services.sink import container, intent, marks
from services.sink.intent import Intent
from services.sink.plan import Place, Planner
from tests import numbered

TOPICS = ("incident.events", "sandbox.incident.events")
EVENT, DELTA = latest("incident_event").id, latest("live_delta").id
places = st.tuples(st.sampled_from(TOPICS), st.integers(0, 3))
streams = st.dictionaries(places, st.lists(st.tuples(st.integers(0, 30), st.sampled_from([EVENT, DELTA, 0])), max_size=25), max_size=6)


def record(place: Place, offset: int, source: int, schema: int) -> Any:
    frame = b"\x00" + schema.to_bytes(4, "big")
    headers = (("ce_id", b"x"), marks.header("incident.commands", place[1], source, 0))
    return SimpleNamespace(
        topic=place[0],
        partition=place[1],
        offset=offset,
        timestamp=numbered.START_MS + offset,
        key=b"k",
        value=frame + b"datum",
        headers=headers,
    )


def records(given_: dict[Place, list[tuple[int, int]]]) -> dict[Place, list[Any]]:
    return {place: [record(place, at, *what) for at, what in enumerate(rows)] for place, rows in given_.items() if rows}


def cut_all(planner: Planner, limit: int) -> list[Any]:
    blocks = []
    while planner.waiting:
        blocks.append(planner.cut(limit))
    return blocks


def start(found: dict[Place, list[Any]]) -> Planner:
    planner = Planner(dict.fromkeys(found, 0), {}, [EVENT, DELTA])
    for place, rows in found.items():
        assert planner.add(place, rows, 0.0) == 0
    return planner


@given(streams, st.integers(1, 40))
def test_blocks_cover_every_record_once_in_contiguous_ranges(given_: dict[Place, list[tuple[int, int]]], limit: int) -> None:
    found = records(given_)
    ends = dict.fromkeys(found, 0)
    kept: list[Any] = []
    for block in cut_all(start(found), limit):
        assert len({row.value[:5] for row in block.rows}) <= 1, "one writer schema"
        assert len(block.rows) <= limit
        for place, (low, high) in block.ranges.items():
            assert (low, high > low) == (ends[place], True)
            ends[place] = high
        inside = [r for place, (low, high) in block.ranges.items() for r in found[place][low:high]]
        assert len(inside) == len(block.rows) + block.repeats + len(block.unreadable)
        kept += block.rows
    assert ends == {place: len(rows) for place, rows in found.items()}
    for place, rows in found.items():
        expected, mark = [], -1
        for row, (source, schema) in zip(rows, given_[place], strict=True):
            if schema and source > mark:
                expected.append(row.offset)
                mark = source
        assert sorted(r.offset for r in kept if (r.topic, r.partition) == place) == expected


@given(streams, st.integers(1, 40))
def test_a_block_read_again_from_its_intent_is_the_same_block(given_: dict[Place, list[tuple[int, int]]], limit: int) -> None:
    found = records(given_)
    for block in cut_all(start(found), limit):
        if not block.rows:
            continue
        again = Planner({p: low for p, (low, _) in block.ranges.items()}, {p: dict(m) for p, m in block.before.items()}, [EVENT, DELTA])
        for place, (low, high) in block.ranges.items():
            again.add(place, found[place][low:high], 0.0)
        same = again.cut(1 << 60)
        assert (same.digest, same.month, same.schema_id, same.after) == (block.digest, block.month, block.schema_id, block.after)
        assert not again.waiting
        assert container.build(same.schema_id, 7, same.month, same.rows) == container.build(block.schema_id, 7, block.month, block.rows)


sources = st.dictionaries(
    st.sampled_from([f"incident.commands:{n}" for n in range(300)]), st.tuples(st.integers(0, 1 << 40), st.integers(0, 255))
)


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 50), sources, sources)
def test_an_intent_comes_back_from_its_metadata(
    low: int, block: int, before: dict[str, marks.Place], changed: dict[str, marks.Place]
) -> None:
    written = Intent(low, low + 20_000, block, block - 1, 20_000, 36, "0123456789abcdef", before, before | changed)
    text = intent.encode(written)
    assert len(text) <= intent.LIMIT
    read = intent.decode(low, text)
    assert read is not None
    if text.endswith("*|*"):
        assert (read.before, read.after) == (None, None)
    else:
        assert read == written


def test_marks_that_do_not_fit_are_left_to_the_facts() -> None:
    many = {f"intake.a-department-with-a-long-name:{n}": (1 << 40, 0) for n in range(200)}
    text = intent.encode(Intent(0, 1, 1, 0, 1, 1, "0" * 16, many, many))
    assert text.endswith("*|*")
    assert intent.decode(0, "somebody else's") is None


@settings(max_examples=50)
@given(st.lists(st.integers(0, 1 << 45), min_size=1, max_size=50, unique=True), st.integers(0, 1 << 40))
def test_a_container_reads_back_as_the_records_and_their_places(offsets: list[int], block: int) -> None:
    rows = [
        SimpleNamespace(
            topic="incident.events", partition=3, offset=o, timestamp=numbered.START_MS + o, value=numbered.encode(numbered.event(n, 3))
        )
        for n, o in enumerate(sorted(offsets))
    ]
    read: list[Any] = list(fastavro.reader(io.BytesIO(container.build(EVENT, block, 202611, rows))))
    for n, (row, found) in enumerate(zip(rows, read, strict=True)):
        place = (block, 202611, "incident.events", 3, row.offset, row.timestamp)
        assert tuple(found[name] for name, _ in container.LEADING) == place
        assert found["event_id"] == numbered.event(n, 3).event_id


def test_a_record_with_a_src_header_that_is_none_is_unreadable_not_a_stop() -> None:
    bad = record(("incident.events", 0), 0, 0, EVENT)
    bad.headers = (("src", b"nonsense"),)
    planner = start({("incident.events", 0): [bad]})
    block = planner.cut(10)
    assert (block.rows, block.unreadable) == ([], [bad])


def test_offsets_kafka_no_longer_has_are_told() -> None:
    planner = Planner({("t", 0): 5}, {}, [EVENT])
    assert planner.add(("t", 0), [record(("t", 0), 9, 0, EVENT)], 0.0) == 4
