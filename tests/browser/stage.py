"""A stage for the screen: the real dashboard process on a real broker, and a small read port that counts what was written.

The read port here is a test's own: it answers exact snapshots at a vector the test chooses, can lie, and can go away.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from schemas.avro.live_delta.event import LiveDelta
from schemas.codec import codec
from schemas.divisions import county_of, display_name, division
from schemas.event_types import event_types
from schemas.ids import case_id, case_number
from schemas.principals import Kind, Principal
from schemas.realms import Realm
from schemas.topics import LIVE_DELTAS
from services.clock import now_ms
from services.dashboard.main import serve
from services.http import listen
from services.keys import KeyStore, default_principals
from services.process import Process
from services.settings import load
from tests.browser.store import FakeStore, Written

T = TypeVar("T")
_codec = codec(LiveDelta)


class Stage:
    """`with Stage(...) as stage`: dashboard and read port run in a thread of their own; the methods may be called from any other."""

    def __init__(
        self, bootstrap: str, partitions: int, data_dir: Path, realms: Sequence[Realm] = (Realm.LIVE, Realm.SANDBOX, Realm.REPLAY)
    ) -> None:
        self.bootstrap = bootstrap
        self.partitions = partitions
        self.realms = tuple(realms)
        self.store = FakeStore(partitions)
        self.data_dir = data_dir
        self.keys: dict[str, str] = {}
        self._cases = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._process: Process | None = None
        self._serving: asyncio.Future[None] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Stage:
        self._thread.start()
        store = KeyStore(self.data_dir / "keys.json")
        for name, principal in default_principals(self.realms).items():
            self.keys[name] = store.add(principal)
        for name, code in (("nanshan", "440305"), ("futian", "440304"), ("shenzhen", "440300")):
            self.keys[name] = store.add(
                Principal(name, Kind.SCREEN, "", f"{code}-screen", "viewer", division(code).level, code, self.realms)
            )
        self.run(self._open_up())
        self.start_dashboard()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_dashboard()
        self.run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the stage's loop and answers its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _open_up(self) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        await self._producer.start()
        async with AIOKafkaConsumer(bootstrap_servers=self.bootstrap) as consumer:
            for realm in self.realms:
                places = [TopicPartition(LIVE_DELTAS.in_realm(realm), p) for p in range(self.partitions)]
                ends = await consumer.end_offsets(places)
                self.store.begins[realm] = [ends[place] for place in places]
        socket = listen(0)
        self._read_url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        app = Starlette(routes=[Route("/v1/snapshot", self._answer)])
        self._read_port = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        self._reading = asyncio.ensure_future(self._read_port.serve(sockets=[socket]))

    async def _answer(self, request: Request) -> Response:
        self.store.asked += 1
        if self.store.away:
            return Response(status_code=503)
        query = request.query_params
        return JSONResponse(self.store.snapshot(Realm(query["realm"]), query["division"]))

    async def _shut(self) -> None:
        self._read_port.should_exit = True
        await self._reading
        await self._producer.stop()

    def start_dashboard(self) -> None:
        """Starts it (again): on the same port, with an empty ring."""
        self.run(self._start_dashboard())

    async def _start_dashboard(self) -> None:
        names = ",".join(self.realms)
        settings = load(data_dir=self.data_dir, bootstrap=self.bootstrap, realms=names, read_url=self._read_url, dashboard_port=self._port)
        settings.run_dir.mkdir(parents=True, exist_ok=True)
        process = Process(settings, "dashboard", CollectorRegistry())
        accepting = asyncio.Event()

        def ready(port: int | None = None, **_: Any) -> None:
            self._port = port or 0
            accepting.set()

        process.ready = ready  # type: ignore[method-assign]
        self._process, self._serving = process, asyncio.ensure_future(serve(process))
        waiting = asyncio.ensure_future(accepting.wait())
        await asyncio.wait({self._serving, waiting}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            self._serving.result()

    def stop_dashboard(self) -> None:
        """Ends it as SIGTERM does."""

        async def stop() -> None:
            assert self._process
            assert self._serving
            self._process.stop.set()
            await self._serving

        self.run(stop())

    def freeze(self, seconds: float) -> None:
        """The dashboard hangs for so long, with every connection left open."""
        self._loop.call_soon_threadsafe(time.sleep, seconds)

    def write(self, *deltas: LiveDelta, realm: Realm = Realm.LIVE) -> list[Written]:
        """Writes deltas to the log, as the analytics lane does, and tells the read port."""
        return self.run(self._write(deltas, realm))

    async def _write(self, deltas: Sequence[LiveDelta], realm: Realm) -> list[Written]:
        topic = LIVE_DELTAS.in_realm(realm)
        sent = [
            await self._producer.send(
                topic, _codec.encode(d), d.case_id.encode(), timestamp_ms=d.received_at if realm is Realm.REPLAY else None
            )
            for d in deltas
        ]
        acked = [await future for future in sent]
        written = [Written(d, meta.partition, meta.offset, meta.timestamp) for d, meta in zip(deltas, acked, strict=True)]
        self.store.written.setdefault(realm, []).extend(written)
        return written

    def incident(self, place: str = "440305001", kind: str = "A20700", at: int = 0, realm: Realm = Realm.LIVE) -> LiveDelta:
        """A new case's first delta (not yet written). `place`: any division."""
        self._cases += 1
        at = at or now_ms()
        case = case_id(realm, f"stage-{self.data_dir.name}", str(self._cases))
        county = county_of(place)
        return LiveDelta(
            event_id=case_id(realm, "event", case),
            case_id=case,
            case_seq=1,
            case_number=case_number(case, place, at),
            realm=realm,
            type="incident.captured",
            title=f"{event_types()[kind].name_zh} · {display_name(place)}",
            county=county,
            county_from="",
            incident_type=kind,
            type_from="",
            state="captured",
            state_from="",
            division=place,
            occurred_at=at,
            received_at=at,
            mirrored=False,
            src_topic="incident.events",
            src_partition=0,
            src_offset=self._cases,
            src_position=0,
        )


def step(before: LiveDelta, state: str, at: int = 0, **changes: Any) -> LiveDelta:
    """The delta of the next event of a case: the new `state`, and what else changed (county, incident_type, division)."""
    moved = {
        "state_from": before.state,
        "county_from": before.county,
        "type_from": before.incident_type,
        "state": state,
        "case_seq": before.case_seq + 1,
        "type": f"incident.{state}",
        "received_at": at or now_ms(),
    }
    return msgspec.structs.replace(before, **(moved | changes))
