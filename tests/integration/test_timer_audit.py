"""A whole platform's timers, audited: history that is let run on, and an hour of the sandbox, are exact; a tampered log is not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.avro.incident_event.event import IncidentEvent
from schemas.codec import codec
from schemas.headers import SRC
from schemas.realms import Realm
from schemas.topics import INCIDENT_EVENTS
from tests.helpers import until
from tests.platforms import Platform, liandong, running

pytestmark = pytest.mark.broker
CASES = 40
PARTITIONS = 12  # of an embedded platform
EVENTS = INCIDENT_EVENTS.in_realm(Realm.REPLAY)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("platform") / "data", "--realms", "live,replay", "--no-simulation") as started:
        for number in range(CASES):
            post(started, f"history-{number}", ("L01", "A20600", "M01001", "S01")[number % 4], "replay")
            post(started, f"today-{number}", "M01001", "live")
        until(lambda: audit(started, "--realm", "live")["figures"].get("cases") == CASES, "all are decided", 60)
        yield started


def post(platform: Platform, event_id: str, kind: str, realm: str) -> None:
    """An incident of the past, or of now."""
    when = "2026-10-12T09:00:00+08:00" if realm == "replay" else "2026-11-22T08:00:00+08:00"
    body = {"type": kind, "division": "440305", "occurred_at": when, "event_id": event_id}
    answer = httpx.post(f"{platform.gateway}/v1/incidents", params={"realm": realm}, json=body, headers=platform.headers())
    assert answer.status_code == 202, answer.text


def audit(platform: Platform, *options: str) -> dict[str, Any]:
    ran = liandong("audit", "timers", "--json", "--data-dir", str(platform.data_dir), *options, check=False)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found | {"code": ran.returncode, "stderr": ran.stderr}


def test_time_that_is_let_pass_tells_all_that_was_due_and_the_audit_says_exact(platform: Platform) -> None:
    before = audit(platform, "--realm", "replay")
    assert (before["exact"], before["pending"]["count"]) == (True, 0), before
    passing = ("replay", "--until", "2026-11-20T00:00:00+08:00", "--json", "--data-dir", str(platform.data_dir))
    assert json.loads(liandong(*passing).stdout)["settled"] is True
    after = audit(platform, "--realm", "replay")
    assert (after["exact"], after["code"], after["differences"], after["not_looked_at"]) == (True, 0, [], {}), after
    assert after["figures"]["firings"] > before["figures"].get("firings", 0) + 3 * CASES
    assert (after["lateness_ms"], after["pending"]["count"]) == ({"p50": 0, "p99": 0, "max": 0}, 0), "log time is never late"
    assert after["figures"]["states"] == CASES
    assert json.loads(liandong(*passing).stdout)["settled"] is True
    assert audit(platform, "--realm", "replay")["figures"]["firings"] == after["figures"]["firings"], "told once"


def test_the_table_of_all_realms_and_the_refusals(platform: Platform) -> None:
    words = liandong("audit", "timers", "--data-dir", str(platform.data_dir)).stdout
    assert [line.split()[-1] for line in words.splitlines()[1:]] == ["yes", "yes"]
    for realm, when in (("live", "2026-11-20T00:00:00+08:00"), ("replay", "2199-01-01T00:00:00+08:00"), ("replay", "yesterday")):
        ran = liandong("replay", "--realm", realm, "--until", when, "--data-dir", str(platform.data_dir), check=False)
        assert (ran.returncode, bool(ran.stderr)) == (2, True), ran


@dataclass
class Listener:
    """An outside dead-man's switch."""

    bodies: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Listener:
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/beat"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_the_heartbeat_goes_out_only_when_all_is_exact(platform: Platform) -> None:
    with Listener() as switch:
        assert audit(platform, "--heartbeat", switch.url)["code"] == 0
        assert [body["exact"] for body in switch.bodies] == [True]
    away = audit(platform, "--heartbeat", switch.url)
    assert (away["exact"], away["code"]) == (True, 2)
    assert "did not take the heartbeat" in away["stderr"]


async def _tell_again(bootstrap: str) -> None:
    """One firing of the log is said once more, as a second wake-up would."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await consumer.start()
    await producer.start()
    try:
        consumer.assign([TopicPartition(EVENTS, partition) for partition in range(PARTITIONS)])
        while True:
            for one in [one for records in (await consumer.getmany(timeout_ms=500)).values() for one in records]:
                if codec(IncidentEvent).decode(one.value).type == "incident.clock_warning":
                    source, times = [(SRC, b"another:0:0:0")], one.timestamp
                    await producer.send_and_wait(EVENTS, one.value, one.key, one.partition, times, source)
                    return
    finally:
        await consumer.stop()
        await producer.stop()


def test_a_firing_that_stands_twice_in_the_log_is_one_difference_and_no_heartbeat(platform: Platform) -> None:
    asyncio.run(_tell_again(platform.bootstrap))
    with Listener() as switch:
        found = audit(platform, "--realm", "replay", "--heartbeat", switch.url)
        assert switch.bodies == []
    assert found["code"] == 1
    assert [(one["difference"], one["count"]) for one in found["differences"]] == [("doubled", 1)]
