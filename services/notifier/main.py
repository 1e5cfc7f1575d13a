"""The notifier process: tells people what the lanes have decided that they must know, and records whom it reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx

from schemas.divisions import PROVINCE
from schemas.page_windows import page_windows
from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services import identity
from services.adapters.kafka import KafkaProducer
from services.adapters.pagers import gateways, pagers, webhook_secret
from services.clock import now_ms
from services.keys import KeyStore
from services.notifier.heartbeat import keep_beating, timers_by
from services.notifier.loop import Loop
from services.notifier.standing import STREAM
from services.notifier.throttle import Throttle
from services.notifier.work import Work
from services.notifier.writing import Writer
from services.people.directory import following
from services.process import Process
from services.settings import Settings
from services.sink.owner import Owner

OWNERS = f"{STREAM.group}-owner"
PRINCIPAL = Principal("notifier", Kind.ADMIN, "", "notifier", "platform", "province", PROVINCE, (Realm.LIVE,))


async def serve(process: Process) -> None:
    """Waits for its turn, then works till `process.stop`."""
    settings = process.settings
    owner = Owner(settings.bootstrap, OWNERS, identity.take(settings.data_dir / "members", process.name), process.name)
    owning = asyncio.create_task(owner.serve())
    standby = asyncio.create_task(_say_so(process, owner))
    process.health(lambda: {"ok": True, "owner": owner.report()})
    try:
        turn = asyncio.create_task(owner.turn(process.stop))
        await asyncio.wait({turn, owning}, return_when=asyncio.FIRST_COMPLETED)
        if owning.done():
            owning.result()
        if await turn:
            await _work(process, owner)
    finally:
        owning.cancel()
        standby.cancel()
        await asyncio.gather(owning, standby, return_exceptions=True)


async def _say_so(process: Process, owner: Owner) -> None:
    """One that waits for its turn is as ready as one can be."""
    await owner.waiting.wait()
    process.ready()


async def _work(process: Process, owner: Owner) -> None:
    settings, windows = process.settings, page_windows()
    secret = webhook_secret(settings.data_dir / "webhook.secret", settings.webhook_secret)
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=20)
    producer = KafkaProducer(settings.bootstrap, process.name)
    directory, topic = following(settings, process.name)
    knowing = asyncio.create_task(topic.run())
    async with httpx.AsyncClient(limits=limits) as urgent, httpx.AsyncClient(limits=limits) as others:
        ways_out = pagers(urgent, others, secret, now_ms, gateways(settings.page_gateways))
        link = settings.page_link or f"{settings.dashboard_url}/#realm={{realm}}&case={{case}}"
        work = Work(directory, ways_out, Throttle(windows), windows, link, now_ms)
        since = now_ms() - windows.stale_ms
        loop = Loop(settings.bootstrap, settings.realm_list, directory, work, Writer(producer), since, now_ms, process.failpoints)
        try:
            if await _begun(process.stop, topic.known()):  # before that everybody would seem to be off duty
                await loop.start()
                process.health(lambda: loop.report() | {"owner": owner.report()})
                process.ready()
                await _with_heartbeat(settings, loop.report, loop.run(process.stop))
        finally:
            knowing.cancel()
            await asyncio.gather(knowing, return_exceptions=True)
            await loop.stop()
            await producer.close()


async def _begun(stop: asyncio.Event, known: Coroutine[Any, Any, None]) -> bool:
    """Waits for what has to be known first; False when `stop` came before it."""
    waits = [asyncio.create_task(known), asyncio.create_task(stop.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    return not stop.is_set()


async def _with_heartbeat(settings: Settings, facts: Callable[[], dict[str, Any]], running: Any) -> None:
    if not settings.heartbeat_url:
        await running
        return
    keys = KeyStore(settings.keys_file)
    keys.revoke(PRINCIPAL.id)
    key = keys.add(PRINCIPAL)  # its plaintext is kept nowhere
    async with httpx.AsyncClient() as outside, httpx.AsyncClient(base_url=settings.read_url, trust_env=False) as reader:
        beating = asyncio.create_task(keep_beating(outside, settings.heartbeat_url, facts, lambda: timers_by(reader, key)))
        try:
            await running
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
