"""The gateway's HTTP, in process: real routes, intake, sealing and ledger; the producer is the fake of the contract suite."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from services.acks import AckReader, AckWriter
from services.adapters.keyfile import KeyFile
from services.gateway.accept import Acceptor
from services.gateway.app import build_app
from services.gateway.limits import RateLimit
from services.gateway.parts import Parts
from services.gateway.pending import PendingMemory
from services.gateway.reads import ReadPort
from services.gateway.search_fill import Filler
from services.gateway.search_index import PersonIndex
from tests.fakes import FakePolicies, FakeProducer, FakeWorkers
from tests.people import PeopleStage, people_stage
from tests.principals import SERVED, FixedKeys

NOW = 1_795_311_000_000  # 2026-11-22T09:30:00+08:00
COMMANDS = codec(IncidentCommand)


@dataclass
class ReadPortDouble:
    """Answers as the read port would: `cases`, `pages` and `sealed` by id; everything else is 404. `away`: does not answer."""

    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    sealed: dict[str, dict[str, Any]] = field(default_factory=dict)
    pages: dict[str, dict[str, Any]] = field(default_factory=dict)
    away: bool = False
    seen: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if self.away:
            raise httpx.ConnectError("refused")
        *_, kind, name, last = ("", *request.url.path.strip("/").split("/"))
        if request.url.path == "/internal/search/cases":
            wanted = request.url.params["ids"].split(",")
            return httpx.Response(200, json={"items": [{"case_id": case} for case in wanted]})
        if last == "sealed" and name in self.sealed:
            return httpx.Response(200, json=self.sealed[name])
        if kind == "v1" and name == "cases" and last in self.cases:
            return httpx.Response(200, json=self.cases[last], headers={"ETag": '"7"'})
        if kind == "v1" and name == "pages" and last in self.pages:
            return httpx.Response(200, json=self.pages[last])
        if request.url.path.startswith("/v1/desks/"):
            return httpx.Response(200, json={"work": [], "asked": request.url.query.decode()})
        return httpx.Response(404, json={"detail": "no such thing"})


@dataclass
class Clock:
    """Stands still till a test moves it."""

    now: int  # UTC milliseconds

    def __call__(self) -> int:
        return self.now


@dataclass
class Stage:
    http: httpx.AsyncClient
    producer: FakeProducer
    reads: ReadPortDouble
    vault: KeyFile
    folder: Path
    policies: FakePolicies
    workers: FakeWorkers
    people: PeopleStage
    clock: Clock
    index: PersonIndex
    filler: Filler

    async def post(self, path: str, body: Any, who: str = "demo-producer", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer key-{who}", **options.pop("headers", {})}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(path, content=content, headers=headers, **options)

    async def get(self, path: str, who: str = "demo-producer", **options: Any) -> httpx.Response:
        return await self.http.get(path, headers={"Authorization": f"Bearer key-{who}"}, **options)

    async def put(self, path: str, body: Any, who: str = "admin", **options: Any) -> httpx.Response:
        return await self.http.put(path, json=body, headers={"Authorization": f"Bearer key-{who}"}, **options)

    def commands(self, topic: str = "incident.commands") -> list[IncidentCommand]:
        return [COMMANDS.decode(record.value) for record in self.producer.records(topic)]


@asynccontextmanager
async def open_stage(tmp_path: Path) -> AsyncIterator[Stage]:
    producer, reads, vault = FakeProducer(), ReadPortDouble(), KeyFile(tmp_path / "keys.bin")
    pending = PendingMemory(lambda: NOW)
    index = PersonIndex(tmp_path / "search.db", vault)
    index.whole = True
    filler = Filler(index, vault, "", ())  # of no topic: what it does by itself is to find nothing
    policies, workers = FakePolicies(producer), FakeWorkers()
    clock = Clock(NOW)
    people = people_stage(tmp_path, producer, clock)
    ledger = AckWriter(tmp_path / "acks", 1)
    port = ReadPort(httpx.AsyncClient(base_url="http://read", transport=httpx.MockTransport(reads)))
    parts = Parts(
        FixedKeys(), vault, producer, Acceptor(producer, vault, ledger, pending, lambda: NOW, index.add), pending, port,
        RateLimit("100000/second"), SERVED, ("demo",), clock, policies, workers, index, filler, sessions=people.sessions,
    )  # fmt: skip
    transport = httpx.ASGITransport(build_app(parts), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        yield Stage(http, producer, reads, vault, tmp_path, policies, workers, people, clock, index, filler)
    await port.close()
    await filler.close()
    await index.close()
    ledger.close()
    vault.close()
    people.vault.close()


def ledger_of(stage: Stage) -> list[tuple[str, str]]:
    return [(ack.realm.value, ack.command_id) for ack in AckReader(stage.folder / "acks")]
