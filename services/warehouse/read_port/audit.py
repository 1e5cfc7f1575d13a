"""Routes for `liandong audit states`: what a table holds and, exactly for that, where its stream stood."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from schemas.realms import Realm
from schemas.topics import realm_of
from services.problems import Problem
from services.sink.loop import SinkStream
from services.warehouse import sums
from services.warehouse.backend import Handle
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.scope import Gatekeeper

UPTO = re.compile(r"^(\d+):(\d+)$")
Work = Callable[[Handle, sums.Asked], dict[str, Any]]


def routes(questions: Questions, gate: Gatekeeper, sinks: list[SinkStream]) -> APIRouter:
    router = APIRouter(prefix="/internal/audit")

    def sink_of(table: str) -> SinkStream:
        found = next((sink for sink in sinks if table in (sink.stream.facts, *sink.stream.rollups)), None)
        if found is None:
            raise Problem(HTTPStatus.BAD_REQUEST, f"not a table of the sink: {table[:40]!r}")
        return found

    def standing(sink: SinkStream, realm: Realm) -> dict[str, dict[int, int]]:
        if not sink.ready.is_set():
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the sink is still finding where it stands", {"Retry-After": "1"})
        found: dict[str, dict[int, int]] = {}
        for (topic, partition), offset in sink.standing.items():
            if realm_of(topic) is realm:
                found.setdefault(topic, {})[partition] = offset
        return found

    async def answer(realm: Realm, table: str, upto: str, work: Work) -> dict[str, Any]:
        """With `upto` rows are cut at offsets, so nothing need stand still; without, the stream stands still while it is counted."""
        sink = sink_of(table)
        if upto:
            stood = standing(sink, realm)
            cut, topic = _upto(upto), sink.stream.topic.in_realm(realm)
            found = await questions.run(lambda handle: work(handle, sums.Asked.of(handle, sink.stream, table, cut, topic)))
            return {"standing": stood, **found}

        def counted(handle: Handle) -> dict[str, Any]:
            found = work(handle, sums.Asked.of(handle, sink.stream, table))
            return found if table == sink.stream.facts else found | {"sources": sums.sources(handle, realm, sink.stream)}

        async with sink.gate:
            stood = standing(sink, realm)
            return {"standing": stood, **await questions.run(counted)}

    @router.get("/standing")
    async def stands(request: Request, stream: str = "") -> Any:
        """Next offset of every partition by topic; with `stream`, also the sources its facts name."""
        realm = gate.admin(request)
        found: dict[str, Any] = {}
        for sink in sinks:
            if sink.ready.is_set():
                found |= standing(sink, realm)
        asked = next((sink.stream for sink in sinks if sink.stream.name == stream), None)
        named = await questions.run(lambda handle: sums.sources(handle, realm, asked)) if asked else []
        return {"standing": found, "sources": named, "failing": [sink.failing for sink in sinks if sink.failing]}

    @router.get("/sums")
    async def table_sums(request: Request, table: str, upto: str = "") -> Any:
        """Rows and sum of hashes by bucket of cases. `upto` ("0:120,1:95"): facts only, rows below these offsets."""
        realm = gate.admin(request)
        return await answer(realm, table, upto, lambda handle, asked: sums.sums(handle, realm, asked))

    @router.get("/rows")
    async def table_rows(request: Request, table: str, buckets: str, upto: str = "") -> Any:
        """Hashes of every row of these buckets ("0,17"): asked only where a sum differs."""
        realm = gate.admin(request)
        if not re.fullmatch(r"\d{1,3}(,\d{1,3})*", buckets):
            raise Problem(HTTPStatus.BAD_REQUEST, f"not a list of buckets: {buckets[:40]!r}")
        chosen = [int(bucket) for bucket in buckets.split(",")]
        return await answer(realm, table, upto, lambda handle, asked: sums.bucket_rows(handle, realm, asked, chosen))

    @router.get("/totals")
    async def table_totals(request: Request, table: str) -> Any:
        """The sums of a rollup by its keys."""
        realm = gate.admin(request)
        return await answer(realm, table, "", lambda handle, asked: sums.totals(handle, realm, asked))

    return router


def _upto(text: str) -> dict[int, int]:
    found = {}
    for part in text.split(","):
        match = UPTO.match(part)
        if not match:
            raise Problem(HTTPStatus.BAD_REQUEST, f"not offsets by partition: {part[:40]!r}")
        found[int(match[1])] = int(match[2])
    return found
