"""The gateway process: builds its parts, serves, drains."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import httpx

from schemas.divisions import divisions
from schemas.event_types import event_types
from schemas.policies import latest, policies
from schemas.policy.schedule import Schedule
from services.acks import AckWriter
from services.adapters.kafka import KafkaProducer
from services.adapters.keyfile import KeyFile
from services.clock import now_ms
from services.gateway.accept import Acceptor
from services.gateway.app import build_app
from services.gateway.limits import RateLimit
from services.gateway.parts import Parts
from services.gateway.pending import PendingMemory
from services.gateway.people import People
from services.gateway.reads import ReadPort
from services.gateway.search_fill import Filler
from services.gateway.search_index import PersonIndex
from services.gateway.workers import RunningWorkers
from services.http import serve_http
from services.keys import KeyStore
from services.process import Process
from streams.engine.following import Follower

READ_SECONDS = 10.0
HEALTH_SECONDS = 2.0
KEEP_ALIVE_SECONDS = 75  # longer than the pools of usual clients keep an idle connection


async def serve(process: Process) -> None:
    """Runs till `process.stop`; then requests in flight finish, and what is buffered goes to Kafka."""
    settings = process.settings
    producer = KafkaProducer(settings.bootstrap, "liandong-gateway")
    vault = KeyFile(settings.data_dir / "keys.bin")
    index = PersonIndex(settings.data_dir / "search.db", vault)
    filler = Filler(index, vault, settings.bootstrap, settings.realm_list)
    ledger = AckWriter(settings.acks_dir, now_ms())
    reads = ReadPort(httpx.AsyncClient(base_url=settings.read_url, timeout=READ_SECONDS, trust_env=False))
    pending = PendingMemory(now_ms)
    follower = Follower(settings.bootstrap, Schedule())
    people = People(settings, producer)
    asking = httpx.AsyncClient(timeout=HEALTH_SECONDS, trust_env=False)
    parts = Parts(
        keys=KeyStore(settings.keys_file),
        vault=vault,
        producer=producer,
        acceptor=Acceptor(producer, vault, ledger, pending, now_ms, index.add),
        pending=pending,
        reads=reads,
        limit=RateLimit(settings.rate_limit),
        realms=settings.realm_list,
        departments=settings.department_list,
        clock=now_ms,
        policies=follower,
        workers=RunningWorkers(settings.run_dir, asking),
        index=index,
        filler=filler,
        sessions=people.sessions,
    )
    process.health(
        lambda: {
            "kafka": producer.available, "pending": len(pending), "policies_known": follower.known, "search_whole": index.whole,
        } | people.facts()
    )  # fmt: skip
    _settle_memory()
    try:
        follower.start()
        people.start()
        await producer.connect()
        filler.start()
        with contextlib.suppress(TimeoutError):  # without Kafka it serves all the same, and takes no incident yet
            await asyncio.wait_for(follower.ready.wait(), READ_SECONDS if producer.available else 0)
        await serve_http(process, build_app(parts), settings.gateway_port, timeout_keep_alive=KEEP_ALIVE_SECONDS)
    finally:
        await follower.close()
        await people.close()
        await producer.close()
        await reads.close()
        await asking.aclose()
        await filler.close()
        await index.close()
        ledger.close()
        vault.close()


def _settle_memory() -> None:
    """Loads the reference data and takes it out of the garbage collector's rounds, which else walk it under load."""
    divisions()
    event_types()
    policies(latest())
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
