"""Activations on a real broker: two gateways at once, a killed one, and a relay, all stamp what the topic says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas import ids
from schemas.avro.activation.event import Activation
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_report.event import IncidentReport
from schemas.codec import codec
from schemas.policy import store
from schemas.policy.schedule import key_of
from schemas.realms import Realm
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from services.settings import as_environment, load
from tests.gateways import SERVED, Gateway, gateway
from tests.helpers import until

pytestmark = pytest.mark.broker
PARTITIONS = 4
PATH = "/v1/policies/active"
LATER = "2099.1"  # of a later release: an entrance only passes its name on
BODY = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-22T09:00:00+08:00"}
COMMANDS = codec(IncidentCommand)


@contextmanager
def relay(bootstrap: str, home: Path) -> Iterator[None]:
    settings = load(home, bootstrap=bootstrap, partitions=PARTITIONS)
    with (home.parent / f"{home.name}.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "run", "relay", "--data-dir", str(home)],
            env={**os.environ, **as_environment(settings)}, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)


async def produce(bootstrap: str, topic: str, key: bytes, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, key=key)
    finally:
        await producer.stop()


async def commands(bootstrap: str, topic: str) -> dict[str, IncidentCommand]:
    """Everything there, by command id."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found: dict[str, IncidentCommand] = {}
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found |= {made.command_id: made for made in (COMMANDS.decode(record.value) for record in records)}
        return found
    finally:
        await consumer.stop()


def health(note: Path) -> dict[str, Any]:
    """What a process says of itself."""
    found: dict[str, Any] = httpx.get(f"http://127.0.0.1:{json.loads(note.read_text())['metrics_port']}/health").json()
    return found


def asking(served: Gateway, key: str = "admin") -> httpx.Client:
    return httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {served.keys[key]}"}, timeout=30)


def seen(served: Gateway, realm: str = "live") -> dict[str, Any]:
    """What stands there; a problem (503) until the topic is read."""
    with asking(served) as http:
        found: dict[str, Any] = http.get(PATH, params={"realm": realm}).json()
    return found


def stamped(served: Gateway, bootstrap: str, event_id: str) -> str:
    """Which policies an incident gets that enters here."""
    with asking(served, "producer") as http:
        answer = http.post("/v1/incidents", json={**BODY, "event_id": event_id}, params={"realm": "sandbox"})
    assert answer.status_code == 202, answer.text
    return asyncio.run(commands(bootstrap, "sandbox.incident.commands"))[answer.json()["command_id"]].policy_version


def relayed(bootstrap: str, number: int) -> str:
    """Which policies a department's record gets."""
    report = IncidentReport(f"R-{number}", 1, BODY["type"], BODY["division"], BODY["occurred_at"])
    asyncio.run(produce(bootstrap, "sandbox.intake.demo", b"k", codec(IncidentReport).encode(report)))

    def found() -> str:
        every = asyncio.run(commands(bootstrap, "sandbox.incident.commands")).values()
        return next((one.policy_version for one in every if one.src_topic and one.case_id == _case(number)), "")

    return until(found, f"record {number} is relayed", seconds=60, every=0.5)


def _case(number: int) -> str:
    return ids.case_id(Realm.SANDBOX, "demo", f"R-{number}")


def test_two_gateways_a_kill_and_a_relay_agree_on_what_the_topic_says(own_broker: Broker, tmp_path: Path) -> None:
    bootstrap = own_broker.bootstrap
    asyncio.run(ensure_topics(bootstrap, SERVED, PARTITIONS))
    with gateway(bootstrap, tmp_path / "b") as second:
        with gateway(bootstrap, tmp_path / "a") as first, relay(bootstrap, tmp_path / "relay"):
            until(lambda: all("planned" in seen(one) for one in (first, second)), "both have read the topic")
            _race(first, second)
            then = Activation(LATER, "", "sandbox", 1, "admin", "p-1", "", "a later release", 1)
            asyncio.run(produce(bootstrap, "config", key_of(then).encode(), codec(Activation).encode(then)))
            asyncio.run(produce(bootstrap, "config", b"rubbish", b"nobody can read this"))
            until(lambda: all(seen(one, "sandbox")["version"] == LATER for one in (first, second)), "both have read it")
            assert {stamped(first, bootstrap, "E-1"), stamped(second, bootstrap, "E-2")} == {LATER}
            assert relayed(bootstrap, 1) == LATER
            assert health(tmp_path / "relay" / "run" / "relay.json")["policies"] == list(store.versions())
        os.kill(second.pid, signal.SIGKILL)
    with gateway(bootstrap, tmp_path / "b") as again, relay(bootstrap, tmp_path / "relay"):
        until(lambda: len(seen(again).get("planned", ())) == 10, "what stood there is known")
        assert stamped(again, bootstrap, "E-3") == LATER, "from the first incident on"
        assert relayed(bootstrap, 2) == LATER


def _race(first: Gateway, second: Gateway) -> None:
    """Both activate for the same ten moments at once; the last record of each holds, at both."""

    def activate(served: Gateway, name: str) -> None:
        with asking(served) as http:
            for day in range(1, 11):
                body = {"version": "2026.1", "from": f"2027-01-{day:02}T00:00:00+08:00", "reason": f"{name} {day}"}
                answers.append(http.put(PATH, json=body).status_code)

    answers: list[int] = []
    threads = [threading.Thread(target=activate, args=(served, name)) for served, name in ((first, "first"), (second, "second"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 20
    until(lambda: seen(first)["planned"] == seen(second)["planned"], "both have read all")
    assert len(seen(first)["planned"]) == 10
