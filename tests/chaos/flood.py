"""A flood of incidents from outside: `python -m tests.chaos.flood BOOTSTRAP TOPIC PER_SECOND`, till its standard input ends.

Each record is a capture of its own, made from one encoded command by putting other ids into its bytes, and sent by librdkafka, so that the
sender costs the machine little. Prints as JSON how many it sent and how many were acknowledged, and in how many seconds.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from tests.chaos.rig import command

TICK = 0.05  # s
NICE = 10  # departments send from machines of their own


def main() -> None:
    bootstrap, topic, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])
    os.nice(NICE)
    template = codec(IncidentCommand).encode(command(0, 0))
    case_id = template[43:79]
    head, tail = template[:6], template[79:]
    assert template[6:42].count(b"-") == case_id.count(b"-") == 4, "the two ids lead the record"
    failed = 0

    def delivered(error: Any, _: Any) -> None:
        nonlocal failed
        failed += error is not None

    given = {"bootstrap.servers": bootstrap, "acks": "1", "linger.ms": 20, "compression.type": "lz4", "batch.num.messages": 5000}
    producer = Producer(given | {"queue.buffering.max.messages": 400_000, "delivery.report.only.error": True, "on_delivery": delivered})
    began, sent = time.monotonic(), 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        due = int((time.monotonic() - began) * rate)
        for number in range(sent, min(due, sent + 20_000)):
            key = b"f100d000-0000-5000-8000-%012x" % number
            try:
                producer.produce(topic, b"%bf100dc0d-0000-5000-8000-%012xH%b%b" % (head, number, key, tail), key)
            except BufferError:  # the broker is slower than the flood
                producer.poll(TICK)
                break
            sent = number + 1
        producer.poll(0)
        time.sleep(TICK if sent >= due else 0)
    seconds = time.monotonic() - began
    unsent = producer.flush(20)
    print(json.dumps({"sent": sent, "acknowledged": sent - failed - unsent, "seconds": round(seconds, 2)}))


class Flood:
    """The flood as a process of its own; ends with the `with`. `result` is there afterwards."""

    def __init__(self, bootstrap: str, topic: str, per_second: float) -> None:
        self._command = [sys.executable, "-m", "tests.chaos.flood", bootstrap, topic, str(per_second)]
        self.result: dict[str, float] = {}

    def __enter__(self) -> Flood:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        return self

    def __exit__(self, *_: object) -> None:
        self.result = json.loads(self._process.communicate(b"end\n", timeout=60)[0])


if __name__ == "__main__":
    main()
