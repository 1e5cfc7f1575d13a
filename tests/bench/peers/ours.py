"""Our engine on the same job: `python -m tests.bench.peers.ours BOOTSTRAP TOPIC RECORDS MODE` (stateless, stateful, case)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry

from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.errors import Reason
from schemas.realms import Realm
from schemas.topics import OUTCOMES
from services import worker
from streams.agents import LANES
from streams.app import WorkerSettings, build_app
from streams.domain.core import Emit, Source
from streams.engine.metrics import WorkerMetrics
from tests.bench.peers.job import STATE, decode


class Decode:
    """Stateless: decoding only."""

    has_outbox = False
    co_partitioned = True

    def process(self, record: ConsumerRecord, source: Source, state: bytes) -> tuple[bytes, Sequence[Emit]]:
        decode(record.value)
        return b"", ()

    def bury(self, record: ConsumerRecord, source: Source, state: bytes, reason: Reason) -> Sequence[Emit]:
        return ()


class Count(Decode):
    """Stateful: count and sum per key, one output for each record, with outbox, marks, src headers and all."""

    has_outbox = True

    def __init__(self) -> None:
        self._commands = codec(IncidentCommand)

    def process(self, record: ConsumerRecord, source: Source, state: bytes) -> tuple[bytes, Sequence[Emit]]:
        command = self._commands.decode(record.value)
        count, total = STATE.unpack(state) if state else (0, 0)
        count, total = count + 1, total + command.source_version
        output = Outcome(
            "", command.case_id, "live", "counted", "", "", count, command.name, "", command.division, command.occurred_at,
            source.topic, source.partition, source.offset, 0,
        )  # fmt: skip
        return STATE.pack(count, total), (Emit(OUTCOMES, "live", command.case_id, output, 0),)


def main() -> None:
    bootstrap, _, records, mode = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    lane = next(lane for lane in LANES if lane.name == "case")
    processor: Any = {"stateless": Decode, "stateful": Count, "case": lane.processor}[mode]()
    table = None if mode == "stateless" or lane.table is None else replace(lane.table, name=f"{mode}-changelog")
    lane = replace(lane, name=f"bench-{mode}", table=table)
    partitions = int(os.environ.get("PARTITIONS", "12"))
    settings = WorkerSettings(bootstrap, partitions, (Realm.LIVE,), ("demo",), tempfile.mkdtemp(), "bench")
    os.makedirs(f"{settings.data_dir}/faust")
    app = build_app(lane, settings, WorkerMetrics(CollectorRegistry()), processor=processor)

    async def watch() -> None:
        consumer: Any = app.consumer
        await consumer.positioned.wait()
        starts = {tp: ledger.committed for tp, ledger in consumer.ledgers.items()}
        while not any(ledger.next > starts[tp] for tp, ledger in consumer.ledgers.items()):
            await asyncio.sleep(0.001)  # nothing in the engine should know of being measured
        began, cpu = time.perf_counter(), time.process_time()
        while sum(ledger.committed - starts[tp] for tp, ledger in consumer.ledgers.items()) < records:
            await asyncio.sleep(0.01)
        figures = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu, "records": records}
        os.write(1, (json.dumps(figures) + "\n").encode())
        os._exit(0)

    app.task(watch)
    worker.run(app)


if __name__ == "__main__":
    main()
