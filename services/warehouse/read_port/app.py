"""The read port: the only way to read what the platform stored. Loopback; the caller's own key decides what is seen."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any

from aiokafka.errors import KafkaError
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.divisions import division as division_of
from services.problems import Problem
from services.sink.loop import SinkStream
from services.warehouse.backend import WarehouseError
from services.warehouse.read_port import audit, cases, internal, metrics, pages, reasons, search, work
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.scope import Gatekeeper, not_found
from services.warehouse.read_port.snapshot import Sinks, Snapshots
from services.warehouse.rebuild.run import Rebuilder

NOT_OF_TABLES = ("/health", "/internal/rebuild")


def build_app(questions: Questions, gate: Gatekeeper, streams: dict[str, SinkStream], rebuilder: Rebuilder) -> FastAPI:
    """`streams`: the running sink streams by name. While `rebuilder` is at work every question to the tables answers 503."""
    app = FastAPI(title="Liandong read port", docs_url=None, redoc_url=None)
    snapshots = Snapshots(questions, Sinks(streams["events"], streams["deltas"], streams["outcomes"]))
    app.include_router(cases.routes(questions, gate))
    app.include_router(reasons.routes(questions, gate, snapshots.at))
    app.include_router(work.routes(questions, gate, snapshots.at))
    app.include_router(search.routes(questions, gate, snapshots.at))
    app.include_router(pages.routes(questions, gate))
    app.include_router(internal.routes(questions, gate, list(streams.values())))
    app.include_router(audit.routes(questions, gate, list(streams.values())))

    @app.get("/v1/snapshot")
    async def snapshot(request: Request, division: str = "440000", trend: str = "hour") -> Response:
        """Totals, children, types, trend and newest cases of a division, and the vector of live.deltas offsets they stand at."""
        realm = gate.subtree(request, division)
        if division_of(division).level not in ("province", "city", "county"):
            raise not_found()
        minutes = trend == "minute"
        found = await snapshots.of(realm, division, minutes)
        tag = hashlib.sha256(repr((snapshots.tag(realm, division, minutes), found["offsets"])).encode()).hexdigest()[:24]
        etag = f'W/"{tag}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
        return JSONResponse(found, headers={"ETag": etag, "Cache-Control": "no-cache"})

    @app.get("/internal/rebuild")
    async def rebuild(request: Request) -> Any:
        """How far a rebuild of the tables is, or how the last one ended."""
        gate.admin(request)
        return rebuilder.progress

    @app.get("/health")
    async def health() -> Any:
        return {"ok": True, "streams": {name: stream.report() for name, stream in streams.items()}}

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return error.answer()

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> Response:
        return Problem(HTTPStatus.BAD_REQUEST, "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())).answer()

    @app.exception_handler(WarehouseError)
    async def away(_: Request, error: WarehouseError) -> Response:
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the warehouse does not answer (code {error.code})", {"Retry-After": "2"}).answer()

    @app.exception_handler(KafkaError)
    async def silent(_: Request, error: KafkaError) -> Response:
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"Kafka does not answer ({type(error).__name__})", {"Retry-After": "2"}).answer()

    @app.middleware("http")
    async def counted(request: Request, call: Any) -> Response:
        response: Response
        if rebuilder.under_way and request.url.path not in NOT_OF_TABLES:
            response = Problem(HTTPStatus.SERVICE_UNAVAILABLE, rebuilder.words(), {"Retry-After": "5"}).answer()
        else:
            response = await call(request)
        route = getattr(request.scope.get("route"), "path", "unknown")
        metrics.ANSWERS.labels(route, str(response.status_code)).inc()
        return response

    return app
