"""Reads of cases that explain and list: passed on to the read port in the caller's name, which alone knows who may see what."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.documents import EXPLAINED, PLAIN_READ, SEARCHED, WORK_LIST
from services.gateway.parts import Parts
from services.gateway.reads import relayed, segment


def routes(parts: Parts) -> APIRouter:
    router = APIRouter()

    async def passed(request: Request, path: str) -> Response:
        parts.context(request)
        return relayed(await parts.reads.forward(request, path))

    @router.get("/v1/cases/{case}/timeline", openapi_extra=PLAIN_READ, summary="What happened to a case")
    async def get_timeline(case: str, request: Request) -> Response:
        return await passed(request, f"/v1/cases/{segment(case)}/timeline")

    @router.get("/v1/cases/{case}/deadlines", openapi_extra=EXPLAINED, summary="The clocks of a case, and why each deadline is one")
    async def get_deadlines(case: str, request: Request) -> Response:
        """Rule, source and its certainty, start and why, days that do not count, make-up days, pauses, light, time left; and it in a
        sentence, Chinese and English."""
        return await passed(request, f"/v1/cases/{segment(case)}/deadlines")

    @router.get("/v1/cases/{case}/ledger", openapi_extra=EXPLAINED, summary="Who held a case how long, and its breaches")
    async def get_ledger(case: str, request: Request) -> Response:
        """By holder and level; time untaken between two desks and suspended time apart. Sums to the total to the millisecond."""
        return await passed(request, f"/v1/cases/{segment(case)}/ledger")

    @router.get("/v1/cases/{case}/similar", openapi_extra=PLAIN_READ, summary="Cases that may be the same matter, for a person to merge")
    async def get_similar(case: str, request: Request) -> Response:
        """Same type, near in place, opened within a day of each other, each with the reasons why it is offered."""
        return await passed(request, f"/v1/cases/{segment(case)}/similar")

    @router.get("/v1/desks/{division}/{level}/work", openapi_extra=WORK_LIST, summary="A desk's work list")
    async def get_work(division: str, level: str, request: Request) -> Response:
        """Danger first, then the time that is left; with counts of each list and of each light."""
        return await passed(request, f"/v1/desks/{segment(division)}/{segment(level)}/work")

    @router.get("/v1/search", openapi_extra=SEARCHED, summary="Cases by number, type, place and time")
    async def get_search(request: Request) -> Response:
        """Within the caller's part of the register, newest opening first. By person: POST /v1/search/person."""
        return await passed(request, "/v1/search")

    return router
