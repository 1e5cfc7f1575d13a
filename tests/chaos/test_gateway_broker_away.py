"""The broker goes away and comes back under a real gateway: senders are told in time, and what was promised is there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from services.acks import AckReader
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from tests.gateways import SERVED, gateway
from tests.helpers import until

pytestmark = [pytest.mark.broker, pytest.mark.chaos]
PARTITIONS = 4
BODY = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-01T08:30:00+08:00"}
CODEC = codec(IncidentCommand)


def _line(number: int) -> str:
    return json.dumps({"kind": "incident", **BODY, "event_id": f"E-{number}"})


async def _commands(bootstrap: str) -> dict[tuple[int, int], str]:
    """Command ids by (partition, offset)."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[tuple[int, int], str] = {}
    try:
        places = [TopicPartition("incident.commands", number) for number in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            while await consumer.position(place) < ends[place]:
                record = await consumer.getone(place)
                found[place.partition, record.offset] = CODEC.decode(record.value).command_id
    finally:
        await consumer.stop()
    return found


def _stop(broker: Broker) -> Callable[[], Any]:
    os.kill(broker.pid, signal.SIGSTOP)
    return lambda: os.kill(broker.pid, signal.SIGCONT)


def _kill(broker: Broker) -> Callable[[], Any]:
    broker.kill9()
    return broker.start


@pytest.mark.parametrize("fault", [_stop, _kill], ids=["frozen", "killed"])
def test_senders_are_told_in_time_and_every_promise_is_kept(
    own_broker: Broker, tmp_path: Path, fault: Callable[[Broker], Callable[[], Any]]
) -> None:
    asyncio.run(ensure_topics(own_broker.bootstrap, SERVED, PARTITIONS))
    with gateway(own_broker.bootstrap, tmp_path / "data") as served:
        headers = {"Authorization": f"Bearer {served.keys['producer']}"}
        http = httpx.Client(base_url=served.url, headers=headers, timeout=30)
        promised: set[str] = set()

        def post(number: int) -> int:
            answer = http.post("/v1/incidents", json={**BODY, "event_id": f"E-{number}"})
            if answer.status_code == 202:
                promised.add(answer.json()["command_id"])
            else:
                assert int(answer.headers["retry-after"]) > 0
            return answer.status_code

        assert [post(number) for number in range(5)] == [202] * 5
        heal = fault(own_broker)
        began = time.monotonic()
        assert post(5) == 503
        assert time.monotonic() - began < 8
        rows = [json.loads(row) for row in http.post("/v1/events:batch", content="\n".join(map(_line, range(5, 55)))).text.splitlines()]
        assert [row["status"] for row in rows] == [503] * 50
        assert http.get("/health").status_code == 503
        heal()
        until(lambda: post(5) == 202, "the gateway sends again", seconds=90, every=0.5)
        answer = http.post("/v1/events:batch", content="\n".join(map(_line, range(100))))
        rows = [json.loads(row) for row in answer.text.splitlines()]
        assert [row["status"] for row in rows] == [202] * 100
        promised |= {row["command_id"] for row in rows}
        http.close()

    kept = asyncio.run(_commands(own_broker.bootstrap))
    assert promised <= set(kept.values())
    ledger = list(AckReader(tmp_path / "data" / "acks"))
    assert promised <= {ack.command_id for ack in ledger}
    assert all(kept[ack.partition, ack.offset] == ack.command_id for ack in ledger)


def test_a_gateway_that_starts_before_its_broker_serves_once_there_is_one(own_broker: Broker, tmp_path: Path) -> None:
    asyncio.run(ensure_topics(own_broker.bootstrap, SERVED, PARTITIONS))
    own_broker.stop()
    with gateway(own_broker.bootstrap, tmp_path / "data") as served:
        headers = {"Authorization": f"Bearer {served.keys['producer']}"}

        def post() -> int:
            return httpx.post(f"{served.url}/v1/incidents", json={**BODY, "event_id": "E"}, headers=headers, timeout=30).status_code

        assert post() == 503
        own_broker.start()
        until(lambda: post() == 202, "the gateway found the broker", seconds=60, every=0.5)


def test_a_gateway_killed_at_any_moment_leaves_no_promise_without_its_record(own_broker: Broker, tmp_path: Path) -> None:
    asyncio.run(ensure_topics(own_broker.bootstrap, SERVED, PARTITIONS))
    promised: set[str] = set()
    for run in range(3):
        with gateway(own_broker.bootstrap, tmp_path / "data") as served:
            headers = {"Authorization": f"Bearer {served.keys['producer']}"}

            async def flood(url: str = served.url, pid: int = served.pid, run: int = run, headers: dict[str, str] = headers) -> None:
                async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http:

                    async def client(name: int) -> None:
                        for number in range(10_000):
                            try:
                                body = {**BODY, "event_id": f"{run}-{name}-{number}"}
                                answer = await http.post("/v1/incidents", json=body)
                            except httpx.HTTPError:
                                return
                            if answer.status_code == 202:
                                promised.add(answer.json()["command_id"])
                            if name == 0 and number == 20 + 15 * run:
                                os.kill(pid, signal.SIGKILL)

                    await asyncio.gather(*(client(name) for name in range(8)))

            asyncio.run(flood())
    assert len(promised) > 200
    kept = set(asyncio.run(_commands(own_broker.bootstrap)).values())
    ledger = {ack.command_id for ack in AckReader(tmp_path / "data" / "acks")}
    assert promised <= ledger <= kept
