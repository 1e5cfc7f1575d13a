"""Throughput of the sink into chDB, all views on, from a real broker: `python -m tests.bench.sink [rows]`.

Prints JSON, then a table. The topic is filled and the stream ready before the clock starts; the figure is rows whole in every
table by wall time, and the CPU of this process per row. The row count, distinct ids and rollups are checked after each run.
"""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop
from confluent_kafka import Producer

from schemas.realms import Realm
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from services.sink.kafka import Topics
from services.sink.loop import SinkStream
from services.sink.options import Options
from services.sink.streams import DELTAS, EVENTS, Stream
from services.warehouse.backend import open_warehouse, scalar
from services.warehouse.migrate import migrate
from streams.engine.failpoints import Failpoints
from tests import numbered

PARTITIONS = 12
RUNS = 5


def fill(bootstrap: str, stream: Stream, make: Any, rows: int) -> float:
    """Writes `rows` records over all partitions; answers their mean size in bytes."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "batch.size": 500_000, "queue.buffering.max.messages": 500_000})
    size = 0
    for partition in range(PARTITIONS):
        for key, value, headers in numbered.stream(make, range(rows // PARTITIONS), partition):
            size += len(value)
            producer.produce(stream.topic.in_realm(Realm.LIVE), value, key, partition, headers=[*headers])
            producer.poll(0)
    producer.flush()
    return size / rows


async def drain(bootstrap: str, stream: Stream, rows: int) -> dict[str, Any]:
    """One run into a new warehouse."""
    folder = Path(tempfile.mkdtemp(prefix="sink-bench-"))
    warehouse = open_warehouse(folder)
    migrate(warehouse)
    stop = asyncio.Event()
    named = replace(stream, prefix=folder.name)
    sink = SinkStream(named, warehouse, Topics(bootstrap, named, [Realm.LIVE]), stop, Options(Failpoints()))
    task = asyncio.create_task(sink.serve())
    await sink.ready.wait()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    while sum(sink.standing.values()) < rows:
        await asyncio.sleep(0.02)
        if task.done():
            task.result()
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    stop.set()
    await task
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with warehouse.reader() as handle:
        counted = handle.rows(f"SELECT count() AS rows, uniqExact(event_id) AS ids, max(_blk) AS blocks FROM {stream.facts}")[0]
        rolled = scalar(handle, f"SELECT sum(events) FROM {'flow_by_hour' if stream is DELTAS else 'incident_events_by_hour'}")
    warehouse.close()
    shutil.rmtree(folder)
    exact = counted["rows"] == counted["ids"] == rolled == rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"rows_per_s": rows / seconds, "cpu_us_per_row": cpu / rows * 1e6, "blocks": counted["blocks"], "exact": exact, "rss_mb": peak}


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 480_000
    rows -= rows % PARTITIONS
    folder = Path(tempfile.mkdtemp(prefix="sink-bench-broker-"))
    broker = Broker(folder, heap_mb=512).start()
    found: dict[str, Any] = {"rows": rows, "partitions": PARTITIONS, "runs": RUNS}
    try:
        asyncio.run(ensure_topics(broker.bootstrap, ["live"], PARTITIONS))
        for stream, make in ((EVENTS, numbered.event), (DELTAS, numbered.delta)):
            size = fill(broker.bootstrap, stream, make, rows)
            runs = [uvloop.run(drain(broker.bootstrap, stream, rows)) for _ in range(RUNS)]
            speeds = sorted(run["rows_per_s"] for run in runs)
            found[stream.name] = {
                "bytes_per_record": round(size), "views": len(stream.rollups) + 1, "rows_per_s": round(statistics.median(speeds)),
                "spread": [round(speeds[0]), round(speeds[-1])], "exact": all(run["exact"] for run in runs),
                "cpu_us_per_row": round(statistics.median(run["cpu_us_per_row"] for run in runs), 1),
                "blocks": runs[-1]["blocks"], "rss_mb": runs[-1]["rss_mb"],
            }  # fmt: skip
    finally:
        broker.stop()
        shutil.rmtree(folder)
    print(json.dumps(found))
    print(f"\n{'stream':8} {'rows/s':>9} {'spread':>17} {'CPU us/row':>11} {'views':>6} {'exact':>6}")
    for name in ("events", "deltas"):
        row = found[name]
        spread = "{} - {}".format(*row["spread"])
        print(f"{name:8} {row['rows_per_s']:9} {spread:>17} {row['cpu_us_per_row']:11} {row['views']:6} {row['exact']!s:>6}")


if __name__ == "__main__":
    main()
