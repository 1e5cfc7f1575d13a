"""Pages: what became of one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from schemas.divisions import PROVINCE
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.cases import PLAIN_ID
from services.warehouse.read_port.scope import READERS, Gatekeeper, not_found


def routes(questions: Questions, gate: Gatekeeper) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/pages/{page}")
    async def read_page(page: str, request: Request) -> Any:
        """Status, persons tried over which channel with which result, and when the case was acknowledged (UTC milliseconds, 0: not yet).
        One of a place that nobody knows is the province's to see."""
        principal, realm = gate.who(request)
        if principal.kind not in READERS or not PLAIN_ID.match(page):
            raise not_found()
        rows = await questions.ask("page_by_id", realm=realm.value, page=page)
        if not rows or not principal.covers(rows[0]["division"] or PROVINCE):
            raise not_found()
        return rows[0]

    return router
