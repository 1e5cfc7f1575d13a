"""Timers: `python -m tests.bench.timers [keys] [of these due in one minute] [seconds before it] [kills]`. Prints JSON, then tables.

First the wheel alone: its memory and its speed. Then a worker on a real broker that holds four timers for each key, most of them due within
one minute, and afterwards a steady 100 a second: how late each was (due to the append of what it said), and whether each rang once.
The worker is killed (-9) `kills` times within that minute, and started again.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaProducer

from schemas import ids
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.realms import Realm
from schemas.topics import OUTCOMES
from services.embedded.broker import Broker
from streams.engine.source import src_of
from streams.engine.value import pack
from streams.engine.wheel import Wheel
from tests import timed_worker
from tests.bench.agent import cpu_of
from tests.timed_worker import COMMANDS
from tests.timers import HEAD, TIMER, is_wake_up

PARTITIONS = 12
TIMERS = 4
DAY_MS = 86_400_000
LEAD_SECONDS = 100  # to send and decide what arms the keys; a busy machine needs more
STEADY, STEADY_PER_SECOND = 3_000, 100
MINUTE_MS, STEADY_FROM_MS = 60_000, 80_000


def wheel_alone(keys: int) -> dict[str, Any]:
    """Bytes a key and microseconds an operation; the whole table is one partition."""
    process = psutil.Process()
    before = process.memory_info().rss
    tail = b"".join([TIMER.pack(2 * DAY_MS + n, n) for n in range(1, TIMERS)])
    part = {}
    for number in range(keys):
        due = DAY_MS + random.Random(number).randrange(MINUTE_MS)
        part[ids.case_id("live", "timers", str(number)).encode()] = pack(
            number, 0, HEAD.pack(1, TIMERS) + TIMER.pack(due, 0) + tail, b"", due
        )
    table = process.memory_info().rss
    began = time.perf_counter()
    wheel = Wheel(part)
    filled = time.perf_counter() - began
    grown = process.memory_info().rss - table
    some = list(part)[: min(keys, 100_000)]
    began = time.perf_counter()
    for number, key in enumerate(some):
        wheel.move(key, DAY_MS, 2 * DAY_MS - number)
    moved = time.perf_counter() - began
    began, popped = time.perf_counter(), 0
    while (found := wheel.pop(3 * DAY_MS)) is not None:
        popped += wheel.holds(*found)
    took = time.perf_counter() - began
    return {
        "table_bytes_a_key": round((table - before) / keys), "wheel_bytes_a_key": round(grown / keys),
        "fill_seconds": round(filled, 3), "move_us": round(moved / len(some) * 1e6, 2), "pop_us": round(took / (keys + len(some)) * 1e6, 2),
    }  # fmt: skip


def armings(keys: int, due: int, base: int) -> Iterator[tuple[bytes, bytes]]:
    """`due` keys within the minute after `base`, then STEADY keys at a steady rate, the rest tomorrow; each has three more timers later."""
    chance = random.Random(1)
    for number in range(keys):
        if number < due:
            first = base + chance.randrange(MINUTE_MS)
        elif number < due + STEADY:
            first = base + STEADY_FROM_MS + (number - due) * 1000 // STEADY_PER_SECOND
        else:
            first = base + DAY_MS
        later = [base + (2 + n) * DAY_MS for n in range(TIMERS - 1)]
        yield ids.case_id("live", "timers", str(number)).encode(), b" ".join([b"at", *(b"%d" % at for at in (first, *later))])


def await_lane(bootstrap: str) -> None:
    """Till it has decided all there is."""
    while asyncio.run(timed_worker.lag(bootstrap, Realm.LIVE, PARTITIONS)):
        time.sleep(1)


async def send(bootstrap: str, keys: int, due: int, base: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type="lz4", linger_ms=20, max_batch_size=500_000)
    await producer.start()
    for key, words in armings(keys, due, base):
        await producer.send(COMMANDS.name, words, key=key)
    await producer.stop()


def lateness(late: list[int]) -> dict[str, int]:
    late.sort()
    at = {name: late[min(len(late) - 1, int(len(late) * share))] for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}
    return at | {"least": late[0], "most": late[-1]}


async def judge(bootstrap: str, due: int, base: int) -> dict[str, Any]:
    wake_ups = sum(map(is_wake_up, await timed_worker.read(bootstrap, COMMANDS.name, PARTITIONS)))
    reader, marks = codec(Outcome), dict[int, tuple[int, int]]()
    rang: Counter[tuple[str, int]] = Counter()
    late: dict[bool, list[int]] = {True: [], False: []}  # within the minute, or at the steady rate
    for record in await timed_worker.read(bootstrap, OUTCOMES.name, PARTITIONS):
        src, one = src_of(record.headers), reader.decode(record.value)
        assert src is not None
        if one.outcome == "rang" and (src.offset, src.position) > marks.get(record.partition, (-1, -1)):
            rang[one.case_id, one.case_seq] += 1
            late[one.received_at < base + MINUTE_MS].append(record.timestamp - one.received_at)
        marks[record.partition] = max((src.offset, src.position), marks.get(record.partition, (-1, -1)))
    return {
        "wanted": due + STEADY, "rang": len(rang), "rang_twice": sum(count > 1 for count in rang.values()), "wake_ups": wake_ups,
        "minute_ms": lateness(late[True]), "steady_ms": lateness(late[False]),
    }  # fmt: skip


def on_a_broker(keys: int, due: int, lead: int, kills: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        broker = Broker(Path(home) / "broker", heap_mb=512).start()
        worker = None

        def start() -> subprocess.Popen[bytes]:
            return timed_worker.start(broker.bootstrap, Realm.LIVE, PARTITIONS, Path(home) / "worker", "one")

        try:
            asyncio.run(timed_worker.make_topics(broker.bootstrap, Realm.LIVE, PARTITIONS))
            worker = start()
            base = time.time_ns() // 1_000_000 + lead * 1000
            asyncio.run(send(broker.bootstrap, keys, due, base))
            await_lane(broker.bootstrap)
            spare = base / 1000 - time.time_ns() / 1e9
            if spare < 0:
                sys.exit(f"the keys were armed {-spare:.0f} s after the minute began: more seconds before it are needed here")
            time.sleep(spare)
            cpu, of_broker = cpu_of(worker.pid), cpu_of(broker.pid)
            used = -cpu
            for _ in range(kills):
                time.sleep(MINUTE_MS / 1000 / (kills + 1))
                used += cpu_of(worker.pid)
                worker.kill()
                worker.wait()
                worker = start()
            time.sleep(max(0.0, (base + MINUTE_MS) / 1000 - time.time_ns() / 1e9))
            used += cpu_of(worker.pid)
            figures = {"kills": kills, "worker_cpu_seconds": used, "broker_cpu_seconds": cpu_of(broker.pid) - of_broker}
            time.sleep(max(0.0, (base + STEADY_FROM_MS) / 1000 + STEADY / STEADY_PER_SECOND + 5 - time.time_ns() / 1e9))
            await_lane(broker.bootstrap)
            memory = psutil.Process(worker.pid).memory_info()
            return figures | {"worker_rss_mb": memory.rss >> 20} | asyncio.run(judge(broker.bootstrap, due, base))
        finally:
            if worker is not None:
                timed_worker.end(worker)
            broker.stop()


def main() -> None:
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 250_000
    due = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
    lead = int(sys.argv[3]) if len(sys.argv) > 3 else LEAD_SECONDS
    if due + STEADY > keys:
        sys.exit(f"{keys} keys are too few for {due} in the minute and {STEADY} after it")
    alone = wheel_alone(keys)
    kills = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    found = on_a_broker(keys, due, lead, kills)
    print(json.dumps({"keys": keys, "timers_a_key": TIMERS, "cores": os.cpu_count(), "wheel": alone, "worker": found}))
    print("the wheel alone: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in alone.items()))
    struck = f"; worker killed {kills} times" if kills else ""
    print(f"{found['rang']:,} of {found['wanted']:,} rang, {found['rang_twice']} twice, by {found['wake_ups']:,} wake-ups{struck}")
    cpu = f"in the minute {found['worker_cpu_seconds']:.1f} CPU-s, broker {found['broker_cpu_seconds']:.1f}"
    print(f"worker: {found['worker_rss_mb']} MB; {cpu}")
    print(f"{'late by, ms':<14}" + "".join(f"{name:>8}" for name in found["minute_ms"]))
    for row, label in (("minute_ms", "one minute"), ("steady_ms", "100 a second")):
        print(f"{label:<14}" + "".join(f"{value:>8}" for value in found[row].values()))
    if found["rang"] != found["wanted"] or found["rang_twice"] or found["minute_ms"]["least"] < 0:
        sys.exit("not each exactly once, or one too early")


if __name__ == "__main__":
    main()
