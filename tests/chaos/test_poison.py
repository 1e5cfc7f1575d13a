"""Poison in the midst of good load, on every topic that somebody could write to: each rejected record is a dead letter with its bytes,
once for each reader that rejects it; good records around it are answered and stored; nothing ends, nothing stands still."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from schemas.avro.dead_letter.event import DeadLetter
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.incident_report.event import IncidentReport
from schemas.avro.outcome.event import Outcome
from schemas.codec import codec
from schemas.murmur import partition_of
from schemas.realms import Realm
from schemas.topics import INCIDENT_EVENTS
from services.keys import ensure_default_keys
from services.settings import as_environment, load
from services.sink.streams import EVENTS as EVENT_STREAM
from services.sink.streams import STREAMS
from services.warehouse.accounts import rollup_mismatches
from services.warehouse.backend import scalar
from tests import numbered
from tests.chaos.oracle import LETTERS, Reader
from tests.chaos.results import Account
from tests.chaos.rig import COMMANDS, DELTAS, EVENTS, OUTCOMES, PARTITIONS, Rig, command
from tests.helpers import until
from tests.warehouse_process import WarehouseProcess, Writer

pytestmark = [pytest.mark.chaos, pytest.mark.broker]
INTAKE = "intake.demo"
CASE, RELAY, ANALYTICS, SINK = "live.case", "relay", "analytics", "sink"
READERS = {COMMANDS: (CASE,), INTAKE: (RELAY,), EVENTS: (ANALYTICS, SINK), OUTCOMES: (SINK,), DELTAS: (SINK,)}
LARGEST = 2_090_000  # bytes that no compression makes smaller: with headers just below what the broker takes
BOUND_SECONDS = 90.0
Place = tuple[str, int, int]
Headers = list[tuple[str, bytes | None]]


@dataclass
class Poison:
    """One record. `reason` "": readable, and to be treated like any other."""

    what: str
    topic: str
    value: bytes | None
    reason: str
    key: bytes | None = b"poison"
    partition: int = 0
    headers: Headers = field(default_factory=list)
    readers: tuple[str, ...] = ()
    place: Place = ("", 0, 0)

    def __post_init__(self) -> None:
        self.readers = (self.readers or READERS[self.topic]) if self.reason else ()


def unreadable(topic: str, whole: bytes, rng: random.Random) -> list[Poison]:
    """What is poison on every topic; `whole` is a record that belongs there."""
    large = [Poison(f"2 MB, {n}", topic, b"\x02" + rng.randbytes(LARGEST), "bad_frame", partition=1) for n in range(3)]  # in one chunk
    return [
        *large,
        Poison("bad magic", topic, b"\x01" + whole[1:], "bad_frame"),
        Poison("unknown schema", topic, b"\x00\x00\x00\xff\xff" + whole[5:], "unknown_schema"),
        Poison("truncated Avro", topic, whole[: len(whole) // 2], "bad_avro"),
        Poison("more behind it", topic, whole + b"\x00\x00", "bad_avro"),
        Poison("null value", topic, None, "bad_frame"),
        Poison("no key", topic, b"", "bad_frame", key=None),
        Poison("a key of 100 kB", topic, b"?", "bad_frame", key=rng.randbytes(100_000)),
        Poison("huge headers", topic, b"?", "bad_frame", headers=[(f"h{n}", b"x" * 1000) for n in range(900)]),
    ]


def on_commands(rng: random.Random) -> list[Poison]:
    """Commands of strangers, and good ones with bad luck."""
    made, writer = iter(range(900_000, 901_000)), codec(type(command(0, 0)))

    def one(what: str, reason: str, headers: Headers | None = None, shift: int = 0, key: bytes | None = None, **changes: Any) -> Poison:
        record = msgspec.structs.replace(command(next(made), 0), **changes)
        own = record.case_id.encode()
        partition = (partition_of(own, PARTITIONS) + shift) % PARTITIONS
        return Poison(what, COMMANDS, writer.encode(record), reason, key or own, partition, headers or [])

    crashed = one("decide crashes", "decide_crashed", division="nowhere")
    after = msgspec.structs.replace(
        codec(type(command(0, 0))).decode(crashed.value), division="440305", command_id=command(1, 99).command_id
    )
    return [
        *unreadable(COMMANDS, writer.encode(command(899_999, 0)), rng),
        one("another's key", "bad_key", key=b"somebody"),
        one("another's partition", "bad_key", shift=1),
        one("another realm", "bad_key", realm="drill"),
        one("src is no place", "bad_value", headers=[("src", b"\xff\xfe")]),
        one("src is null", "bad_value", headers=[("src", None)]),
        one("src beyond all offsets", "bad_value", headers=[("src", b"intake.demo:0:%d:0" % 2**80)]),
        one("an hour early", "", occurred_at=1_790_000_000_000 - 3_600_000),
        one("an hour late", "", occurred_at=1_790_000_000_000 + 3_600_000),
        one("good, with 200 kB of trace", "", headers=[("traceparent", b"0" * 200_000), ("traceparent", None)]),
        crashed,
        Poison("a good one on the crashed case", COMMANDS, writer.encode(after), "quarantined", crashed.key, crashed.partition),
    ]


def on_intake(rng: random.Random) -> list[Poison]:
    values: dict[str, Any] = dict.fromkeys(IncidentReport.__struct_fields__)
    values |= {"source_version": 1, "type": "A20700", "division": "440305", "state": "handling", "holder": "police"}
    writer = codec(IncidentReport)

    def report(name: str, hours: float) -> bytes:
        at = (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")
        return writer.encode(IncidentReport(**(values | {"external_id": name, "occurred_at": at})))

    return [
        *unreadable(INTAKE, report("whole", -2), rng),
        Poison("a clock one hour early", INTAKE, report("early", -1), ""),
        Poison("a clock one hour late", INTAKE, report("late", 1), "time_in_future"),
    ]


def on_derived(rig: Rig, rng: random.Random) -> list[Poison]:
    """Foreign writers on topics that only lanes write to; the records that they spoil are real ones."""
    found = []
    for topic in (EVENTS, OUTCOMES, DELTAS):
        real = rig.read(topic)[0]
        found += unreadable(topic, real.value, rng)
        found += [
            Poison("src is no place", topic, real.value, "bad_value", headers=[("src", b"\xff")]),
            Poison("another type", topic, codec(IncidentReport).encode(_report()), "wrong_type"),
            # said twice by a worker that came back, and out of order: every reader drops it
            Poison("a repeat", topic, real.value, "", real.key, real.partition, list(real.headers)),
        ]
    event = codec(IncidentEvent).decode(rig.read(EVENTS)[0].value)
    strange = msgspec.structs.replace(event, realm="mars", event_id="strange", src_topic="nowhere")
    found.append(Poison("another realm", EVENTS, codec(IncidentEvent).encode(strange), "bad_value", readers=(ANALYTICS,)))
    return found


def _report() -> IncidentReport:
    values: dict[str, Any] = dict.fromkeys(IncidentReport.__struct_fields__)
    return IncidentReport(**(values | {"external_id": "x", "source_version": 1, "type": "A", "division": "4", "occurred_at": "?"}))


async def send(bootstrap: str, records: list[Poison]) -> None:
    """One by one, in order, each acknowledged; each learns its place."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=8 << 20, enable_idempotence=True) as producer:
        waiting = []
        for record in records:
            future = await producer.send(
                record.topic,
                record.value,
                record.key,
                record.partition,
                headers=record.headers,
            )
            waiting.append((record, future))
        for record, future in waiting:
            at = await future
            record.place = (record.topic, at.partition, at.offset)


@contextmanager
def dashboard(rig: Rig) -> Iterator[subprocess.Popen[bytes]]:
    """The real process, on the rig's warehouse."""
    assert rig.warehouse
    home = rig.home / "dashboard"
    settings = load(home, bootstrap=rig.broker.bootstrap, realms="live", read_url=rig.warehouse.url)
    ensure_default_keys(settings.keys_file, settings.secrets_file, settings.realm_list)
    with (rig.home / "dashboard.log").open("ab") as log:
        arguments = [sys.executable, "-m", "services.cli", "run", "dashboard", "--data-dir", str(home)]
        process = subprocess.Popen(arguments, env=os.environ | as_environment(settings), stdout=log, stderr=log)
    try:
        until((settings.run_dir / "dashboard.json").exists, "the dashboard is ready", 60)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def letters(rig: Rig) -> list[DeadLetter]:
    """As every reader of the topic takes them."""
    return [codec(DeadLetter).decode(record.value) for _, record in Reader().keep(rig.read(LETTERS))]


def wanted(records: list[Poison]) -> dict[tuple[Place, str], Poison]:
    return {(record.place, reader): record for record in records for reader in record.readers}


def judge(rig: Rig, account: Account, records: list[Poison]) -> None:
    """I7 by the topic of dead letters; I1 by outcomes and facts; I3 by a recount."""
    due, wrong = wanted(records), Counter[str]()
    for letter in letters(rig):
        record = due.pop(((letter.topic, letter.partition, letter.offset), letter.lane), None)
        if record is None:
            wrong["letters that nobody is due, or twice"] += 1
        elif (letter.key, letter.value) != (record.key, record.value):
            wrong["bytes"] += 1
        elif letter.reason != record.reason:
            wrong[f"{record.topic}, {record.what}: {letter.reason}"] += 1
    for (place, reader), record in due.items():
        wrong[f"no letter of {reader}: {record.what} at {place}"] += 1
    account.verdict({"I7": sum(wrong.values())}, wrong)

    commands = rig.read(COMMANDS)
    answers = [codec(Outcome).decode(r.value) for r in _readable(rig, OUTCOMES, records)]
    by_place = Counter((one.src_partition, one.src_offset) for one in answers if one.src_topic == COMMANDS)
    of_ledger = {one.command_id: one.outcome for one in answers}
    faults = {
        "commands without an answer": sum(by_place[r.partition, r.offset] == 0 for r in commands),
        "good commands not applied": sum(of_ledger.get(command_id) != "applied" for _, _, command_id in rig.ledger.acked),
        "dead answers": abs(sum(one.outcome == "dead" for one in answers) - sum(CASE in record.readers for record in records)),
    }
    applied = sum(one.outcome == "applied" for one in {(a.src_partition, a.src_offset): a for a in answers}.values())
    rig.stop_workers()
    assert rig.warehouse
    assert rig.warehouse.stop() == 0
    tables = rig.warehouse.tables()
    with tables.reader() as handle:
        facts = scalar(handle, f"SELECT count() FROM incident_events WHERE src_topic = '{COMMANDS}'")
        faults["facts"] = abs(int(facts) - applied)
        stored = handle.rows("SELECT topic, partition, offset, lane, count() AS rows FROM dead_letters GROUP BY ALL")
        faults["letters in the tables"] = abs(len(stored) - len(wanted(records))) + sum(row["rows"] - 1 for row in stored)
        rollups = sum(len(rollup_mismatches(handle, stream, Realm.LIVE)) for stream in STREAMS)
    tables.close()
    account.verdict({"I1": sum(faults.values()), "I3": rollups, "I10": rig.watch.too_big()}, faults)


def _readable(rig: Rig, topic: str, records: list[Poison]) -> list[Any]:
    """What readers keep of a topic that strangers wrote to."""
    foreign = {record.place for record in records}
    return [record for _, record in Reader().keep([r for r in rig.read(topic) if (topic, r.partition, r.offset) not in foreign])]


@pytest.mark.scenario("F9", "poison on every topic, in the midst of load")
def test_poison_stops_nothing_and_each_rejected_record_is_a_letter_with_its_bytes(rig: Rig, rng: random.Random, account: Account) -> None:
    for name in ("relay", "case-live", "analytics"):
        rig.keep(name)
    for name in ("relay", "case-live", "analytics"):
        rig.ready(name)
    rig.keep_warehouse()
    pids = {name: worker.pid for name, worker in rig.workers.items()} | {"warehouse": rig.warehouse.pid}  # type: ignore[union-attr]
    with dashboard(rig) as screens:
        rig.send(cases=20, steps=7)
        rig.drained()
        until(lambda: len(rig.read(DELTAS)) >= 140, "deltas to spoil", 60, every=1)
        under_way = rig.load(per_second=40)
        records = [*on_commands(rng), *on_intake(rng), *on_derived(rig, rng)]
        rng.shuffle(records)
        crashed = next(record for record in records if record.reason == "decide_crashed")
        later = [record for record in records if record.reason == "quarantined"]
        asyncio.run(send(rig.direct, [record for record in records if record not in later]))
        asyncio.run(send(rig.direct, later))
        assert crashed.place[1] == later[0].place[1]
        ended = time.monotonic()
        under_way.stop()
        rig.drained("liandong.relay", INTAKE, seconds=240)
        rig.settled(BOUND_SECONDS, since=ended, patience=240)
        with contextlib.suppress(AssertionError):  # the judge says which are missing
            until(lambda: len(letters(rig)) >= len(wanted(records)), "all letters", 60, every=1)
        rig.warehouse.drained()  # type: ignore[union-attr]
        assert screens.poll() is None, "the dashboard ended"
        note = json.loads((rig.home / "dashboard" / "run" / "dashboard.json").read_text())
        health = httpx.get(f"http://127.0.0.1:{note['metrics_port']}/health").json()
        metrics = httpx.get(f"http://127.0.0.1:{note['metrics_port']}/metrics").text
    now = {name: worker.pid for name, worker in rig.workers.items()} | {"warehouse": rig.warehouse.pid}  # type: ignore[union-attr]
    account.verdict({"I9": sum(now[name] != pid for name, pid in pids.items()) + (not health["ok"])})
    assert 'liandong_live_unreadable_total{realm="live"}' in metrics
    account.figure("poison", len(records))
    account.figure("letters", len(wanted(records)))
    judge(rig, account, records)
    account.held()


@pytest.mark.scenario("F9", "the sink killed as a block with unreadable records is open")
def test_a_sink_killed_on_an_unreadable_block_goes_on_and_writes_its_letters(rig: Rig, account: Account) -> None:
    killed_on_an_unreadable_block(rig, account)
    account.held()


@pytest.mark.control("F9", "the sink's letters name one source")
def test_when_all_letters_name_one_source_those_found_late_are_lost(rig: Rig, account: Account) -> None:
    killed_on_an_unreadable_block(rig, account, "tests.chaos.one_source")
    account.red("I7")


def killed_on_an_unreadable_block(rig: Rig, account: Account, module: str = "services.cli") -> None:
    """Unreadable records of two kinds between good ones: those without a frame are found as the block is cut, the others by the engine."""
    good = [*numbered.stream(numbered.event, range(20), 2)]
    whole = good[0][1]
    bad = [whole[: len(whole) // 2], whole + b"\x00", b"\x00" + whole[1:5] + b"\xff" * 40]
    writer = Writer(rig.direct)
    spoilt: list[Any] = [(b"k", value, []) for value in bad]
    writer.put(INCIDENT_EVENTS, "live", 2, [*good[:5], spoilt[0], *good[5:10], spoilt[1], no_frame(), *good[10:], spoilt[2]])
    writer.flush()
    warehouse = WarehouseProcess.new(rig.home / "platform", rig.direct, realms="live")
    began = time.monotonic()
    warehouse.start("sink_after_intent@1", module, wait=False)
    until(warehouse.ended, "killed after the intent", 60)
    account.window("after the intent, before the insert")
    warehouse.start(module=module)
    warehouse.drained(seconds=120)
    account.recovered(time.monotonic() - began, BOUND_SECONDS)
    values = sorted(letter.value or b"" for letter in letters(rig))  # the topic as its readers take it
    assert warehouse.stop() == 0
    tables = warehouse.tables()
    with tables.reader() as handle:
        facts = int(scalar(handle, "SELECT if(uniqExact(event_id) = count(), count(), -1) FROM incident_events"))
        stored = int(scalar(handle, "SELECT if(uniqExact(offset) = count(), count(), -1) FROM dead_letters"))
        rollups = len(rollup_mismatches(handle, EVENT_STREAM, Realm.LIVE))
    tables.close()
    wrong = {"letters": int(values != sorted([*bad, b"no frame"])), "stored letters": abs(stored - len(bad) - 1)}
    account.verdict({"I1": abs(facts - len(good)), "I3": rollups, "I7": sum(wrong.values())}, wrong)


def no_frame() -> Any:
    """Found unreadable before the engine finds the others so."""
    return b"k", b"no frame", []
