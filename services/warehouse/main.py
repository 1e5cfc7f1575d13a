"""The warehouse process: owns the embedded engine, runs the sink and serves the read port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from services import identity
from services.adapters.keyfile import KeyFileView
from services.clock import now_ms
from services.http import serve_http
from services.keys import KeyStore
from services.people.tokens import KeysAndAskings
from services.process import Process
from services.sink import metrics, repair
from services.sink.kafka import Topics
from services.sink.loop import SinkStream
from services.sink.options import Options
from services.sink.owner import Owner
from services.sink.streams import STREAMS, Stream
from services.warehouse.backend import Warehouse, WarehouseError, open_warehouse
from services.warehouse.migrate import migrate
from services.warehouse.read_port import metrics as read_metrics
from services.warehouse.read_port.app import build_app
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.scope import Gatekeeper
from services.warehouse.rebuild import book
from services.warehouse.rebuild.run import Rebuilder

READERS = 4
THREADS = 16  # the sink's streams, each in one call at a time, with room to spare
READY_SECONDS = 30.0  # reads are served even when Kafka stays away longer
AWAY_SECONDS = 2.0
MIGRATE_TRIES = 5
OWNERS = f"{STREAMS[0].prefix}-owner"
MID_INSERT = "sink_in_insert"


class DirectoryTaken(Exception):
    """Two processes would write the same embedded tables: stop the other one, or choose another data directory."""


async def serve(process: Process) -> None:
    """Migrates, starts the streams, serves reads till the process is told to stop."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    metrics.register(process.registry)
    read_metrics.register(process.registry)
    settings = process.settings
    name = identity.take(settings.data_dir / "members", process.name)
    if not (settings.clickhouse_url or name.endswith("-0")):
        raise DirectoryTaken(f"{settings.data_dir}: another warehouse process uses it, and an embedded engine has one owner")
    warehouse = await _opened(process)
    if not await asyncio.to_thread(book.is_begun, warehouse):
        await _migrated(process, warehouse)
    owner = Owner(settings.bootstrap, OWNERS, name)
    options = Options(process.failpoints, during_insert=_mid_insert(process, warehouse))
    streams = {
        stream.name: SinkStream(stream, warehouse, Topics(settings.bootstrap, stream, settings.realm_list), process.stop, options, owner)
        for stream in STREAMS
    }
    process.health(lambda: _health(owner, streams))
    rebuilder = Rebuilder(process, warehouse, settings.realm_list)
    questions = Questions(warehouse, READERS)
    keys = KeysAndAskings(KeyStore(settings.keys_file), KeyFileView(settings.people_keys_file), now_ms)
    app = build_app(questions, Gatekeeper(keys, settings.realm_list), streams, rebuilder)
    storing = [asyncio.create_task(_stored(rebuilder, stream)) for stream in streams.values()]
    storing.append(asyncio.create_task(rebuilder.serve(streams, owner.granted)))
    owning = asyncio.create_task(owner.serve())
    standing = [
        asyncio.create_task(_all_ready(list(streams.values()))),
        asyncio.create_task(_waits(owner)),
        asyncio.create_task(_rebuilds(rebuilder)),
    ]
    await _first_of(process, [*storing, owning], standing)
    serving = asyncio.create_task(serve_http(process, app, settings.read_port))
    try:
        working: asyncio.Future[Any] = asyncio.gather(serving, *storing)
        done, _ = await asyncio.wait({working, owning}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        process.request_stop()
        await asyncio.gather(serving, *storing, return_exceptions=True)
        owning.cancel()
        await asyncio.gather(owning, return_exceptions=True)
        questions.close()
        await asyncio.to_thread(warehouse.close)


async def _opened(process: Process) -> Warehouse:
    """Waits for a server that is away; the embedded engine opens at once or not at all."""
    while True:
        try:
            return await asyncio.to_thread(open_warehouse, process.settings.warehouse_dir, process.settings.clickhouse_url, READERS)
        except WarehouseError as error:
            if not process.settings.clickhouse_url or process.stop.is_set():
                raise
            process.log.warning("ClickHouse does not answer", error=str(error)[:200])
            await asyncio.sleep(AWAY_SECONDS)


async def _migrated(process: Process, warehouse: Warehouse) -> None:
    """Two processes that migrate one server at the same time get in each other's way; what one has done, the other finds done."""
    for left in range(MIGRATE_TRIES, 0, -1):
        try:
            for name in await asyncio.to_thread(migrate, warehouse):
                process.log.info("migrated", migration=name)
            return
        except WarehouseError as error:
            if left == 1 or not warehouse.shared:
                raise
            process.log.warning("migration failed, trying again", error=str(error)[:200])
            await asyncio.sleep(AWAY_SECONDS)


def _health(owner: Owner, streams: dict[str, SinkStream]) -> dict[str, Any]:
    reports = {name: stream.report() for name, stream in streams.items()}
    known = owner.granted.is_set() or bool(owner.other)  # else Kafka does not answer
    return {"ok": known and not any(report["failing"] for report in reports.values()), "owner": owner.report(), "streams": reports}


async def _stored(rebuilder: Rebuilder, stream: SinkStream) -> None:
    if await rebuilder.may_begin(stream.stream):
        await stream.serve()


async def _rebuilds(rebuilder: Rebuilder) -> None:
    await rebuilder.noticed.wait()


async def _waits(owner: Owner) -> None:
    await owner.waiting.wait()


async def _all_ready(streams: list[SinkStream]) -> None:
    for stream in streams:
        await stream.ready.wait()


async def _first_of(process: Process, storing: list[asyncio.Task[None]], ready: list[asyncio.Task[None]]) -> None:
    """Till all streams stand, one of them failed, or it takes too long to keep readers waiting."""
    stopping = asyncio.create_task(process.stop.wait())
    await asyncio.wait([*storing, *ready, stopping], timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for task in [*ready, stopping]:
        task.cancel()


def _mid_insert(process: Process, warehouse: Warehouse) -> Callable[[Stream, int, int], None] | None:
    """Tests only: a thread that waits till the facts of a block are there, while its views may not be, and hits the failpoint."""
    if MID_INSERT not in process.settings.failpoint:
        return None

    def watch(stream: Stream, block: int, rows: int) -> None:
        def wait() -> None:
            with warehouse.reader() as handle:
                while repair.rows_of(handle, stream, block) < rows:
                    pass
            process.failpoints.hit(MID_INSERT)

        threading.Thread(target=wait, daemon=True).start()

    return watch
