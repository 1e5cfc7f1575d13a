"""HTTP of the dashboard: the screens' files, the realms and names a key may read, the snapshot (from the read port), the live stream."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

import httpx
from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from schemas.divisions import PROVINCE, Division, division, divisions
from schemas.event_types import event_types
from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.dashboard import metrics
from services.dashboard.frames import Scope
from services.dashboard.live import Gone, Hub
from services.dashboard.stream import LiveStream
from services.dashboard.vector import BadVector, parse
from services.ports import Keys
from services.problems import Problem

DIST = Path(__file__).parents[1] / "web" / "dist"
READERS = (Kind.SCREEN, Kind.DESK, Kind.ADMIN)
SNAPSHOT_SECONDS = 5.0
IMMUTABLE = "public, max-age=31536000, immutable"  # names under /assets/ carry a hash of their content
REFERENCE_CACHE = "public, max-age=3600"
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
NOT_BUILT = """屏幕尚未构建:请运行 make setup(需要 Node 20)。/v1 之下的接口照常服务。
The screens are not built: run `make setup` (it needs Node 20). The interfaces below /v1 are served.
"""


class Headers:
    """Security and cache headers on every answer (plain ASGI: a stream passes through unbuffered)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY)
                headers.setdefault("Cache-Control", IMMUTABLE if scope["path"].startswith("/assets/") else "no-cache")
            await send(message)

        await self.app(scope, receive, with_headers)


def build_app(hub: Hub, keys: Keys, realms: Sequence[Realm], reader: httpx.AsyncClient, dist: Path = DIST) -> FastAPI:
    """`reader`: a client whose base URL is the read port."""
    app = FastAPI(title="Liandong dashboard", docs_url=None, redoc_url=None)
    app.add_middleware(Headers)
    served = tuple(realms)

    @app.exception_handler(Problem)
    async def refuse(_: Request, problem: Problem) -> Response:
        return problem.answer()

    @app.get("/v1/realms")
    async def realms_of_key(request: Request) -> dict[str, Any]:
        """The realms this key may look at, and its own place (where a screen begins)."""
        principal = _reader(request, keys)
        return {
            "realms": [realm for realm in served if principal.may_use(realm)],
            "principal": {"id": principal.id, "kind": principal.kind, "level": principal.level, "division": principal.division},
        }

    @app.get("/v1/divisions")
    async def divisions_below(parent: str = PROVINCE, depth: int = 1) -> Response:
        """A division and those `depth` levels below it (at most 2); the register is public."""
        if parent not in divisions():
            raise Problem(HTTPStatus.NOT_FOUND, f"the register holds no division {parent[:12]!r}")
        rows = [
            {"code": d.code, "name": d.name, "level": d.level, "parent": d.parent, "lon": d.lon, "lat": d.lat}
            for d in _below(parent, min(max(depth, 0), 2))
        ]
        return JSONResponse({"divisions": rows}, headers={"Cache-Control": REFERENCE_CACHE})

    @app.get("/v1/types")
    async def types() -> Response:
        """Names of the incident types."""
        rows = [{"code": t.code, "name": t.name_zh, "name_en": t.name_en or t.name_zh} for t in event_types().values()]
        return JSONResponse({"types": rows}, headers={"Cache-Control": REFERENCE_CACHE})

    @app.get("/v1/snapshot")
    async def snapshot(request: Request, realm: str = "live", division: str = "", trend: Literal["hour", "minute"] = "hour") -> Response:
        """The read port's snapshot, asked with the caller's own key."""
        principal = _reader(request, keys)
        place = _place(principal, division)
        asked = {"realm": _realm(principal, served, realm).value, "division": place, "trend": trend}
        try:
            found = await reader.get("/v1/snapshot", params=asked, headers={"Authorization": request.headers["Authorization"]})
        except httpx.HTTPError as error:
            metrics.SNAPSHOTS.labels("unreachable").inc()
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the read port does not answer", {"Retry-After": "2"}) from error
        metrics.SNAPSHOTS.labels(str(found.status_code)).inc()
        kind = found.headers.get("Content-Type", "application/json")
        return Response(found.content, found.status_code, {"Content-Type": kind, "Cache-Control": "no-store"})

    @app.get("/v1/live")
    async def live(request: Request, realm: str = "live", division: str = "") -> Response:
        """Server-sent events `delta` and `clock`; resumes after the vector in Last-Event-ID or `?from=`."""
        principal = _reader(request, keys)
        chosen = _realm(principal, served, realm)
        place = _place(principal, division)
        start = request.headers.get("Last-Event-ID") or request.query_params.get("from", "")
        try:
            vector = parse(start, len(hub.rings[chosen].head)) if start else None
            cursor, catching_up = await hub.follow(chosen, Scope(place), vector)
        except BadVector as error:
            raise Problem(HTTPStatus.BAD_REQUEST, f"not an offset vector: {error}") from error
        except Gone as error:
            raise Problem(HTTPStatus.GONE, f"take a fresh snapshot: {error}") from error
        key = _key(request)
        return LiveStream(hub, chosen, cursor, catching_up, allowed=lambda: keys.find(key) == principal)

    if (dist / "index.html").is_file():
        app.mount("/", StaticFiles(directory=dist, html=True))
    else:
        app.add_route("/", _not_built)
    return app


@cache
def _below(parent: str, depth: int) -> tuple[Division, ...]:
    found, rows = {parent}, [division(parent)]
    for _ in range(depth):
        rows += (below := [d for d in divisions().values() if d.parent in found])
        found = {d.code for d in below}
    return tuple(rows)


async def _not_built(_: Request) -> Response:
    return PlainTextResponse(NOT_BUILT, HTTPStatus.SERVICE_UNAVAILABLE)


def _key(request: Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _reader(request: Request, keys: Keys) -> Principal:
    """The asking principal, if it is of a kind that looks at screens."""
    principal = keys.find(_key(request))
    if principal is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, "a valid key is needed: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})
    if principal.kind not in READERS:
        raise Problem(HTTPStatus.FORBIDDEN, "keys of screens, desks and admins read the screens")
    return principal


def _realm(principal: Principal, served: Sequence[Realm], asked: str) -> Realm:
    if asked not in tuple(served):
        raise Problem(HTTPStatus.NOT_FOUND, f"realm {asked[:12]!r} is not served here")
    if not principal.may_use(Realm(asked)):
        raise Problem(HTTPStatus.FORBIDDEN, f"this key may not use realm {asked}")
    return Realm(asked)


def _place(principal: Principal, asked: str) -> str:
    """The division asked for, or the principal's own; never a wider one."""
    if not asked:
        return principal.division
    if not asked.isascii() or asked not in divisions():
        raise Problem(HTTPStatus.NOT_FOUND, f"the register holds no division {asked[:12]!r}")
    if not principal.covers(asked):
        raise Problem(HTTPStatus.FORBIDDEN, f"this key reads {principal.division} and below")
    return asked
