"""Deltas made from events, in the tables: a delta says what its event says, so the facts of events hold all that is needed.

Which are made: those of events below `bounds` that the carried deltas lack. A bound is the source of the first delta that Kafka still has:
deltas of one partition come in the order of their events, and one that was sent again was followed by all later ones. The stream's marks
say that everything below has been seen, so a repeat in Kafka is dropped. A partition whose first delta is a copy from another log has no
bound here, and what is missing there is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.headers import COPIED
from schemas.topics import INCIDENT_EVENTS, LIVE_DELTAS, LOG, realm_of
from services.sink.kafka import Topics
from services.sink.marks import Marks, source_of
from services.sink.plan import Place
from services.sink.streams import DELTAS, EVENTS
from services.warehouse.backend import Handle, scalar
from services.warehouse.rebuild import carry
from services.warehouse.rebuild.cuts import Cut

DERIVED = f"derived{LOG}"  # before the topic of such a delta: a place in no log
READ_SECONDS = 60.0


def events_place(deltas: Place) -> Place:
    """Deltas stand in the partition of their events."""
    return INCIDENT_EVENTS.in_realm(realm_of(deltas[0])), deltas[1]


async def bounds(topics: Topics, deltas: Sequence[Cut], events: Sequence[Cut]) -> dict[Place, int]:
    """By partition of events: up to which offset deltas are to be there beside Kafka's. KafkaError when the broker is away."""
    ends = {cut.place: cut.end for cut in events}
    found: dict[Place, int] = {}
    cut_off = [cut for cut in deltas if cut.at > 0]
    if not cut_off:
        return found
    consumer = topics.consumer()
    await consumer.start()
    try:
        for cut in cut_off:
            place = events_place(cut.place)
            bound = await _first_source(consumer, cut, place) if cut.at < cut.end else ends[place]
            if bound is not None:
                found[place] = bound
    finally:
        await consumer.stop()
    return found


async def _first_source(consumer: AIOKafkaConsumer, cut: Cut, events: Place) -> int | None:
    """Offset of the event whose delta stands first at or behind the cut; None when that is a copy."""
    partition = TopicPartition(*cut.place)
    consumer.assign([partition])
    consumer.seek(partition, cut.at)
    deadline = time.monotonic() + READ_SECONDS
    while time.monotonic() < deadline:
        for record in (await consumer.getmany(timeout_ms=500, max_records=500)).get(partition, []):
            if any(name == COPIED for name, _ in record.headers):
                return None
            source = source_of(record.headers)
            if source and source[0] == f"{events[0]}:{events[1]}":
                return source[1][0]
    raise KafkaError(f"{cut.topic}:{cut.partition} could not be read at {cut.at}")


def marks(deltas: Sequence[Cut], bounds: Mapping[Place, int]) -> dict[Place, Marks]:
    """What the stream of deltas has seen when they are made."""
    found: dict[Place, Marks] = {}
    for cut in deltas:
        topic, partition = events_place(cut.place)
        bound = bounds.get((topic, partition), 0)
        if bound:
            found[cut.place] = {f"{topic}:{partition}": (bound - 1, 0)}
    return found


def make(handle: Handle, bounds: Mapping[Place, int], above: int, hit: Callable[[str], None]) -> int:
    """Makes what is lacking, under block numbers above `above`; answers how many rows."""
    lacking = {place: bound for place, bound in bounds.items() if _lacks(handle, place, bound)}
    if not lacking:
        return 0
    places = [f"(_topic = '{topic}' AND _part = {part:d} AND _off < {bound:d})" for (topic, part), bound in sorted(lacking.items())]
    carried = f"SELECT event_id FROM {DELTAS.facts} WHERE NOT startsWith(_topic, '{DERIVED}')"
    here = f"replaceOne(source._topic, '{INCIDENT_EVENTS.name}', '{LIVE_DELTAS.name}')"
    instead = {
        "_topic": f"concat('{DERIVED}', {here})", "src_topic": "source._topic", "src_partition": "source._part",
        "src_offset": "source._off", "src_position": "toInt32(0)",
    }  # fmt: skip
    source = carry.Source(EVENTS.facts, f"({' OR '.join(places)}) AND event_id NOT IN ({carried})", instead)
    return carry.move(handle, DELTAS, source, above, hit, lambda _: None)


def _lacks(handle: Handle, place: Place, bound: int) -> bool:
    """Whether a partition has other numbers of events and of carried deltas: then they are compared one by one, which takes memory."""
    topic, partition = place
    mine = f"_topic = '{topic}' AND _part = {partition:d} AND _off < {bound:d}"
    events = scalar(handle, f"SELECT count() FROM {EVENTS.facts} WHERE {mine}")
    sources = f"src_topic = '{topic}' AND src_partition = {partition:d} AND src_offset < {bound:d} AND NOT startsWith(_topic, '{DERIVED}')"
    return bool(events != scalar(handle, f"SELECT uniqExact(src_offset) FROM {DELTAS.facts} WHERE {sources}"))
