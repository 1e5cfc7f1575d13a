"""Numbered events as a ledger: what was acknowledged by Kafka, and whether the warehouse holds exactly that."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from schemas.realms import Realm
from schemas.topics import INCIDENT_EVENTS, LIVE_DELTAS, OUTCOMES
from services.sink.streams import DELTAS, EVENTS, Stream
from services.sink.streams import OUTCOMES as ANSWERS
from services.warehouse.accounts import rollup_mismatches
from services.warehouse.backend import Warehouse
from tests import numbered
from tests.conftest import TEST_PARTITIONS
from tests.warehouse_process import Writer

WRITTEN = ((INCIDENT_EVENTS, numbered.event), (LIVE_DELTAS, numbered.delta), (OUTCOMES, numbered.outcome))
STORED: tuple[Stream, ...] = (EVENTS, DELTAS, ANSWERS)


@dataclass
class Ledger:
    """Events, deltas and outcomes of one broker; numbers go on from test to test."""

    bootstrap: str
    acked: Counter[tuple[str, int]] = field(default_factory=Counter)  # by realm and partition

    def __post_init__(self) -> None:
        self._writer = Writer(self.bootstrap)

    def write(self, count: int, *realms: str) -> bool:
        """`count` more records to every partition of each topic. Answers False: written in a wait, it goes on."""
        for realm in realms or ("live",):
            for partition in range(TEST_PARTITIONS):
                done = self.acked[realm, partition]
                for topic, make in WRITTEN:
                    self._writer.put(topic, realm, partition, numbered.stream(make, range(done, done + count), partition, realm))
                self.acked[realm, partition] += count
        self._writer.flush()
        return False

    def repeat(self, count: int, realm: str = "live") -> None:
        """Writes the last `count` records of every partition once more, as a worker does that was killed before its commit."""
        for partition in range(TEST_PARTITIONS):
            done = self.acked[realm, partition]
            for topic, make in WRITTEN:
                self._writer.put(topic, realm, partition, numbered.stream(make, range(done - count, done), partition, realm))
        self._writer.flush()

    def faults(self, warehouse: Warehouse) -> list[str]:
        """Everything in which the tables are not what was acknowledged; empty when exact."""
        return [text for texts in self.broken(warehouse).values() for text in texts]

    def broken(self, warehouse: Warehouse) -> dict[str, list[str]]:
        """The same by invariant: I1 facts are what was acknowledged, I2 no offset twice or skipped, I3 rollups are a recount."""
        found: dict[str, list[str]] = {"I1": [], "I2": [], "I3": []}
        with warehouse.reader() as handle:
            for stream in STORED:
                identity = "command_id" if stream is ANSWERS else "event_id"
                rows = handle.rows(
                    f"SELECT realm, src_partition AS part, count() AS rows, uniqExact({identity}) AS ids, "
                    "uniqExact(src_offset) AS sources, min(src_offset) AS low, max(src_offset) AS high, uniqExact(_off) AS offs "
                    f"FROM {stream.facts} GROUP BY realm, part"
                )
                stored: dict[tuple[str, int], Any] = {(row["realm"], row["part"]): row for row in rows}
                for place, count in self.acked.items():
                    row = stored.get(place, {"rows": 0, "low": 0, "high": -1, "offs": 0})
                    told = f"{stream.name} {place}: {count} acknowledged, stored {row}"
                    if [row.get(name, 0) for name in ("rows", "ids", "sources")] != [count] * 3:
                        found["I1"].append(told)
                    if row["rows"] != row["offs"] or (row["low"], row["high"]) != (0, row.get("sources", 0) - 1):
                        found["I2"].append(told)
                for realm in {Realm(realm) for realm, _ in self.acked}:
                    wrong = rollup_mismatches(handle, stream, realm)
                    found["I3"] += [f"{stream.name} {realm} {name}: {rows}" for name, rows in wrong.items()]
        return found
