"""The gateway's HTTP application: routes, problems for every error, durations. Access is not logged: metrics count."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway import (
    alarm_routes,
    change_routes,
    documents,
    metrics,
    page_routes,
    people_routes,
    policies,
    reading,
    registry,
    routes,
    sealed,
    search,
    session_routes,
)
from services.gateway.decoding import Invalid
from services.gateway.parts import Parts
from services.gateway.problems import Problem, not_found, refused

log = structlog.get_logger(__name__)
DESCRIPTION = "Send incidents, facts and commands; read what became of them. Errors are RFC 9457 problems with JSON Pointers."


def build_app(parts: Parts) -> FastAPI:
    title = "Liandong 联动 gateway"
    app = FastAPI(title=title, version="1", description=DESCRIPTION, docs_url=None, redoc_url=None)  # those load scripts from elsewhere
    app.include_router(routes.routes(parts))
    app.include_router(reading.routes(parts))
    app.include_router(alarm_routes.routes(parts))
    app.include_router(page_routes.routes(parts))
    app.include_router(sealed.routes(parts))
    app.include_router(policies.routes(parts))
    app.include_router(search.routes(parts, parts.index, parts.filler))
    app.include_router(registry.routes(parts.departments))
    if parts.sessions is not None:
        app.include_router(session_routes.routes(parts, parts.sessions))
        app.include_router(people_routes.routes(parts, parts.sessions))
        app.include_router(change_routes.routes(parts, parts.sessions))
    _operations(app, parts)
    _errors(app)
    documents.describe(app)
    app.add_middleware(Timed)
    return app


def _operations(app: FastAPI, parts: Parts) -> None:
    @app.get("/health", include_in_schema=False)
    async def health() -> Response:
        ok = parts.producer.available
        status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
        facts = {"ok": ok, "kafka": "acknowledges" if ok else "away"}
        return Response(msgspec.json.encode(facts), status.value, media_type="application/json")

    @app.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _errors(app: FastAPI) -> None:
    def counted(problem: Problem) -> Response:
        metrics.REJECTED.labels(problem.reason).inc()
        return problem.response()

    @app.exception_handler(Problem)
    async def on_problem(_request: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)
        return counted(problem)

    @app.exception_handler(Invalid)
    async def on_invalid(_request: Request, invalid: Exception) -> Response:
        assert isinstance(invalid, Invalid)
        return counted(refused(invalid.errors))

    @app.exception_handler(registry.RegistryError)
    async def on_registry(_request: Request, error: Exception) -> Response:
        assert isinstance(error, registry.RegistryError)
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def on_path(_request: Request, _error: Exception) -> Response:
        """Bodies never come here: only a path parameter of the wrong form."""
        return counted(not_found("resource"))

    @app.exception_handler(HTTPException)
    async def on_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return counted(Problem(HTTPStatus(error.status_code), "http", str(error.detail), headers=error.headers))

    @app.exception_handler(Exception)
    async def on_fault(request: Request, error: Exception) -> Response:
        """Ours, not the sender's. The log gets the kind and place of the error, never the body."""
        log.error("request_failed", route=_route(request.scope), error=type(error).__name__)
        return counted(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "a fault of ours; it was logged"))


class Timed:
    """Measures every request by its route's template, so that no id becomes a label."""

    def __init__(self, app: ASGIApp) -> None:
        self._app: Callable[[Scope, Receive, Send], Awaitable[None]] = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        try:
            await self._app(scope, receive, send)
        finally:
            metrics.HTTP_SECONDS.labels(_route(scope)).observe(time.perf_counter() - began)


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unknown")
