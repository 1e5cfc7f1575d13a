"""Changes of duty rosters over HTTP: many overrides and swaps at once, all of them or none."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from schemas.bounds import MAX_BATCH_BYTES
from schemas.people.checks import take_changes
from schemas.people.records import desk_division
from services.gateway.answers import private
from services.gateway.decoding import Invalid
from services.gateway.documents import CHANGES
from services.gateway.parts import Parts, read_body
from services.gateway.people_routes import Asked, payloads, plain
from services.gateway.sessions import Sessions


def routes(parts: Parts, sessions: Sessions) -> APIRouter:
    router = APIRouter()
    _Changes(parts, sessions).add_to(router)
    return router


class _Changes(Asked):
    def add_to(self, router: APIRouter) -> None:
        @router.post(
            "/v1/people/changes:import", openapi_extra=CHANGES, summary="Take overrides and swaps of rosters: all of them, or none"
        )
        async def import_changes(request: Request) -> Response:
            """For administrators, of rosters of their subtree. Every error with its place. What stands there already stays once; with
            `replace` nothing else stays at the desks that are named. `dry_run=true`: only looks for errors."""
            principal = self.admin(request)
            data = plain(await read_body(request, MAX_BATCH_BYTES))
            mine = {desk: one for desk, one in self.register.rosters.items() if principal.covers(desk_division(desk))}
            found = await asyncio.to_thread(take_changes, data, mine, self.register.users.keys())
            if found.faults:
                raise Invalid(*payloads(found.faults, ""))
            changed = [one for one in found.rosters if one != mine[one.desk]]
            if not self.is_for_show(request):
                await self.done(self.sessions.keeper.put(found, principal))
            return private({"changes": len(data["changes"]), "rosters": len(found.rosters), "changed": [one.desk for one in changed]})
