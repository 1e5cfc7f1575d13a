"""Quix Streams, the Python neighbour: `python quix.py BOOTSTRAP TOPIC RECORDS MODE`, in an environment of its own."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))
from quixstreams import Application

from tests.bench.peers.job import counted, decode


def main() -> None:
    bootstrap, topic, records, mode = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"{topic}.quix.{mode}",
        auto_offset_reset="earliest",
        loglevel="ERROR",
        state_dir=tempfile.mkdtemp(),
        processing_guarantee="at-least-once",
        commit_interval=1.0,
        producer_extra_config={"linger.ms": 5, "compression.type": "lz4", "enable.idempotence": True},
    )
    source = app.topic(topic, value_deserializer="bytes", key_deserializer="bytes")
    seen = {"count": 0, "began": 0.0, "cpu": 0.0}

    def tick() -> None:
        if not seen["count"]:
            seen["began"], seen["cpu"] = time.perf_counter(), time.process_time()
        seen["count"] += 1
        if seen["count"] == records:  # its last flush and commit are not in the figure: to its advantage
            figures = {"seconds": time.perf_counter() - seen["began"], "cpu_seconds": time.process_time() - seen["cpu"], "records": records}
            print(json.dumps(figures), flush=True)
            os._exit(0)

    def stateless(value: bytes) -> Any:
        found = decode(value)
        tick()
        return found

    def stateful(value: bytes, state: Any) -> bytes:
        after, output = counted(decode(value), bytes.fromhex(state.get("s") or ""))
        state.set("s", after.hex())
        tick()
        return output

    frame = app.dataframe(source)
    if mode == "stateless":
        frame = frame.apply(stateless)
    else:
        out = app.topic(f"{topic}.quix.out", value_serializer="bytes", key_serializer="bytes")
        frame = frame.apply(stateful, stateful=True).to_topic(out)
    app.run()


if __name__ == "__main__":
    main()
