"""A platform of 12 partitions goes on with 48, also when the move is killed on the way: nothing is lost, nothing is said twice.

A few hundred cases in several states, sealed data, dead letters, records that Kafka has deleted by age meanwhile. The negative control
keeps marks and versions of the old log: then commands of the new one are dropped, and the same questions see it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from schemas.avro.incident_report.event import IncidentReport
from schemas.codec import codec
from services.embedded.broker import Broker
from services.keys import KeyStore
from tests.helpers import until
from tests.platforms import LIANDONG, Platform, liandong, running
from tests.principals import DESK, OTHER_DESK

pytestmark = pytest.mark.broker
CASES = 150
RELAYED = 40
SANDBOX = 20
SAMPLE = 9
STEPS: tuple[tuple[str, dict[str, Any]], ...] = (("accept", {}), ("triage", {"grade": 3}), ("assign", {"org": "water"}), ("sign", {}))
POISON = [b"no frame at all", b"\x00\x00\x00\xff\xffunknown schema", b""]
REPORT: dict[str, Any] = {
    "source_version": 1, "type": "A20700", "division": "440305", "occurred_at": "2026-11-22T08:30:00+08:00", "state": "handling",
    "holder": "police", "reassignments": None, "reopens": None, "grade": 2, "longitude": None, "latitude": None, "reason": None,
}  # fmt: skip
Document = dict[str, Any]


@dataclass
class World:
    """A platform and what its users know of it. Keys go with it to the new one."""

    platform: Platform
    keys: dict[str, str]
    cases: list[str] = field(default_factory=list)  # ours, of the live realm
    commands: list[str] = field(default_factory=list)
    _clients: dict[tuple[str, str], httpx.Client] = field(default_factory=dict)

    def client(self, who: str, realm: str = "live") -> httpx.Client:
        found = self._clients.get((who, realm))
        if found is None:
            headers = {"Authorization": f"Bearer {self.keys[who]}"}
            found = httpx.Client(base_url=self.platform.gateway, headers=headers, params={"realm": realm}, timeout=60)
            self._clients[who, realm] = found
        return found

    def post(self, number: int, realm: str = "live") -> str:
        body: Document = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-22T08:00:00+08:00", "event_id": f"e-{number}"}
        if number % 3 == 0:
            body |= {"reporter": {"name": f"报告人{number}", "phone": "13800000000"}, "note": "积水"}
        answer = self.client("producer", realm).post("/v1/incidents", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["case_id"])

    def command(self, case_id: str, name: str, body: Document) -> str:
        """Sends it; its id."""
        answer = self.client("desk").post(f"/v1/cases/{case_id}/commands/{name}", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["command_id"])

    def outcome(self, command: str) -> Document:
        return dict(self.client("desk").get(f"/v1/commands/{command}").json())

    def answered(self, command: str, seconds: float = 60) -> Document:
        found = until(lambda: o if (o := self.outcome(command)).get("status") not in (None, "pending") else None, command, seconds)
        return found or {}

    def picture(self) -> Document:
        """What users read: every open case of both realms in work lists, a sample in full, answers; and the dead letters."""
        sample = [*self.cases[::SAMPLE], *self.mirrored[::SAMPLE]]
        paths = [f"/v1/cases/{case_id}{rest}" for case_id in sample for rest in ("", "/timeline")]
        paths += [f"/v1/commands/{command}" for command in self.commands[::SAMPLE]]
        work = [_all_pages(self.client("admin", realm), "/v1/desks/440305/county/work") for realm in ("live", "sandbox")]
        assert [len(items) for items in work] == [CASES + RELAYED, SANDBOX]
        for item in chain(*work):
            del item["left"]  # grows with the clock on the wall
        with ThreadPoolExecutor(8) as pool:
            read = dict(zip(paths, pool.map(lambda path: self.client("admin").get(path).json(), paths), strict=True))
        return {"read": read, "work": work, "letters": bare(self.letters())}

    @property
    def mirrored(self) -> list[str]:
        from schemas.ids import case_id

        return [case_id("live", "demo", f"M-{number}") for number in range(RELAYED)]

    def letters(self) -> list[tuple[Any, ...]]:
        """Where each stood, why, and its bytes."""
        with httpx.Client(base_url=self.platform.state()["read"], headers=self.platform.headers("admin"), timeout=30) as client:
            rows = client.get("/internal/dead-letters", params={"realm": "live", "bytes": True, "limit": 100}).json()["letters"]
        return sorted((r["topic"], r["partition"], r["offset"], r["reason"], r["value"]) for r in rows)

    def sealed(self, case_id: str) -> Any:
        answer = self.client("desk").get(f"/v1/cases/{case_id}/sealed", params={"reason": "callback", "realm": "live"})
        assert answer.status_code == 200, answer.text
        return answer.json()["records"]


def _all_pages(client: httpx.Client, path: str) -> list[Document]:
    found: list[Document] = []
    page: Document = {"next": ""}
    while page["next"] is not None:
        page = client.get(path, params={**client.params, "after": page["next"], "limit": 200}).json()
        found += page["items"]
    return found


def bare(letters: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Without the names of older logs."""
    return sorted((topic.rpartition("/")[2], *rest) for topic, *rest in letters)


def world_of(platform: Platform) -> World:
    store = KeyStore(platform.data_dir / "keys.json")
    return World(platform, platform.keys | {"desk": store.add(DESK), "other desk": store.add(OTHER_DESK)})


def fill(world: World) -> None:
    """Cases in every state up to handling, refused and repeated commands, mirrored cases, poison on three topics."""
    with ThreadPoolExecutor(8) as pool:
        world.cases = list(pool.map(world.post, range(CASES)))
        list(pool.map(lambda number: world.post(number, "sandbox"), range(SANDBOX)))
        for step, (name, body) in enumerate(STEPS):
            mine = [case_id for number, case_id in enumerate(world.cases) if number % (len(STEPS) + 1) > step]
            sent = list(pool.map(lambda case_id, name=name, body=body: world.command(case_id, name, body), mine))
            world.commands += sent
        world.commands += list(pool.map(lambda case_id: world.command(case_id, "verify_ok", {}), world.cases[:20]))  # refused
        list(pool.map(world.post, range(10)))  # repeated
    asyncio.run(_write(world.platform.bootstrap))
    until(lambda: len({row[:3] for row in world.letters()}) == 3 * len(POISON), "every poison record has its letter", 60, every=1)


async def _write(bootstrap: str) -> None:
    """What does not come through the gateway: a department's own records, with and without a key, and poison."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        writer = codec(IncidentReport)
        for number in range(RELAYED):
            report = writer.encode(IncidentReport(external_id=f"M-{number}", **REPORT))
            await producer.send_and_wait("intake.demo", report, key=b"k%d" % number if number % 2 else None)
        for topic in ("intake.demo", "incident.commands", "incident.events"):
            for number, value in enumerate(POISON):
                await producer.send_and_wait(topic, value, key=b"poison-%d" % number)


def expire(data_dir: Path) -> int:
    """Kafka deletes the older half of outcomes and deltas, as it does by age; answers how many records."""
    broker = Broker(data_dir / "broker", heap_mb=256).start()
    try:
        return asyncio.run(_expire(broker.bootstrap))
    finally:
        broker.stop()


async def _expire(bootstrap: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            places = [TopicPartition(topic, partition) for topic in ("outcomes", "live.deltas") for partition in range(12)]
            halves = {tp: end // 2 for tp, end in (await consumer.end_offsets(places)).items() if end > 1}
        await admin.delete_records({tp: RecordsToDelete(before_offset=half) for tp, half in halves.items()})
        return sum(halves.values())
    finally:
        await admin.close()


@dataclass(frozen=True)
class Stage:
    old: Path
    keys: dict[str, str]
    cases: list[str]
    commands: list[str]
    before: Document
    account: Document  # of reconcile
    sealed: Any
    expired: int


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The old platform, used, stopped and read."""
    old = tmp_path_factory.mktemp("repartition") / "old"
    with running(old, "--no-simulation", "--realms", "live,sandbox") as platform:
        world = world_of(platform)
        fill(world)
        account = json.loads(liandong("reconcile", "--json", "--data-dir", str(old)).stdout)
        before, sealed = world.picture(), world.sealed(world.cases[0])
        still = subprocess.run(_repartition(old, old.with_name("refused")), capture_output=True, text=True, check=False)
        assert still.returncode == 1
        assert "still runs" in still.stderr
    return Stage(old, world.keys, world.cases, world.commands, before, account, sealed, expire(old))


def _repartition(old: Path, new: Path, module: str = "services.cli") -> list[str]:
    return [*LIANDONG[:2], module, "repartition", "--data-dir", str(old), "--to-data-dir", str(new), "--partitions", "48", "--json"]


def test_twelve_partitions_become_forty_eight_and_nobody_sees_a_difference(stage: Stage) -> None:
    new = stage.old.with_name("new")
    for failpoint in ("run_sent@9", "run_acknowledged@40"):
        environment = os.environ | {"LIANDONG_FAILPOINT": f"repartition={failpoint}"}
        killed = subprocess.run(_repartition(stage.old, new), env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        early = liandong("up", "--data-dir", str(new), check=False)
        assert "has not ended" in early.stderr
    ran = subprocess.run(_repartition(stage.old, new), capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    account = json.loads(ran.stdout)
    topics = {row["topic"]: row for row in account["topics"]}
    assert account["equal"]
    assert all(row["equal"] and row["read"] == row["held"] for row in topics.values())
    written, read = (sum(row[name] for row in topics.values()) for name in ("written", "read"))
    assert 0 < written < read, "the killed runs wrote the rest"
    assert account["carried_rows"]["outcomes"] + account["carried_rows"]["deltas"] == stage.expired
    assert {row["topic"]: row["keys"] for row in account["tables"]}["case-table-changelog"] == CASES + RELAYED
    again = json.loads(subprocess.run(_repartition(stage.old, new), capture_output=True, text=True, check=True).stdout)
    assert again["topics"] == account["topics"], "a second order changes nothing"

    hidden = stage.old.rename(stage.old.with_name("hidden"))  # nothing of the new platform may need the old directory
    try:
        with running(new, "--no-simulation") as platform:
            _same(stage, World(platform, stage.keys | platform.keys | {"desk": stage.keys["desk"]}, stage.cases, stage.commands))
    finally:
        hidden.rename(stage.old)


def _same(stage: Stage, world: World) -> None:
    assert max(asyncio.run(_partitions(world.platform.bootstrap)).values()) == 48
    first = _reconciled(world)
    assert first["exact"], first
    figures = ("acknowledged", "unacknowledged", "applied", "repeated", "refused", "dead", "facts")
    assert {name: first[name] for name in figures} == {name: stage.account[name] for name in figures}
    assert world.picture() == stage.before
    assert world.sealed(stage.cases[0]) == stage.sealed

    # new commands on old cases, and repeats of old ones: each once
    seqs = _seqs(world, stage.cases)
    fresh = [case_id for number, case_id in enumerate(stage.cases) if number % (len(STEPS) + 1) == 0]
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda case_id: world.command(case_id, "accept", {}), fresh))
        assert list(pool.map(world.post, range(10))) == stage.cases[:10]
        assert {world.answered(command)["status"] for command in sent[::SAMPLE]} == {"applied"}  # the others: by reconcile and work lists
    asyncio.run(_write(world.platform.bootstrap))  # the department tells all again, and poison comes again
    second = _reconciled(world)
    assert second["exact"], second
    assert second["applied"] == first["applied"] + len(fresh)
    assert second["repeated"] == first["repeated"] + 10 + RELAYED
    after = _seqs(world, stage.cases)
    assert after == {case_id: seq + (case_id in set(fresh)) for case_id, seq in seqs.items()}
    places = 2 * 3 * len(POISON)
    until(lambda: len({row[:3] for row in world.letters()}) == places, "the new poison has its letters", 60)
    assert bare(row for row in world.letters() if "/" in row[0]) == stage.before["letters"], "the old has no second ones"
    audit = json.loads(liandong("audit", "states", "--json", "--data-dir", str(world.platform.data_dir), check=False).stdout)
    found = {row["difference"]: row["count"] for realm in audit["realms"] for row in realm["differences"]}
    poison = {"log.unreadable": 2 * len(POISON), "log.without_source": len(POISON)}
    assert found == poison, "nothing but the poison of old and new"


def test_with_the_old_logs_marks_and_versions_new_commands_are_lost(stage: Stage) -> None:
    new = stage.old.with_name("control")
    subprocess.run(_repartition(stage.old, new, "tests.repartition_control"), capture_output=True, text=True, check=True, timeout=300)
    with running(new, "--no-simulation") as platform:
        world = World(platform, stage.keys | platform.keys | {"desk": stage.keys["desk"]}, stage.cases, stage.commands)
        assert _reconciled(world)["exact"], "what was copied is there; the harm comes with the first new record"
        for case_id in stage.cases:
            world.command(case_id, "accept", {})
        found = _reconciled(world, wait="5")
    assert not found["exact"]
    assert found["missing"] > 0


def _reconciled(world: World, wait: str = "60") -> Document:
    ran = liandong("reconcile", "--json", "--wait", wait, "--data-dir", str(world.platform.data_dir), check=False, seconds=300)
    assert ran.stdout, ran.stderr
    found: Document = json.loads(ran.stdout)
    return found


def _seqs(world: World, cases: list[str]) -> dict[str, int]:
    held = {row["case_id"]: row["seq"] for row in _all_pages(world.client("admin"), "/v1/desks/440305/county/work")}
    return {case_id: held[case_id] for case_id in cases}


async def _partitions(bootstrap: str) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if not name.startswith("__")]
        return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)}
    finally:
        await admin.close()
