"""Why a deadline is the deadline, and who had a case how long: routes over the events of one case."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from schemas.realms import Realm
from services.warehouse.backend import Row
from services.warehouse.read_port import deadlines, ledger
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.cases import case_of, place_name
from services.warehouse.read_port.parameters import Parameters
from services.warehouse.read_port.scope import Gatekeeper, Moments

AS_OF = "as_of"


def routes(questions: Questions, gate: Gatekeeper, moments: Moments) -> APIRouter:
    router = APIRouter()

    async def asked(case: str, request: Request) -> tuple[Realm, Row, int]:
        """Realm, case and moment. Raises Problem 401, 404, 422."""
        principal, realm = gate.who(request)
        row = await case_of(questions, realm, case, principal)
        now = moments(realm)
        query = Parameters(request.query_params, (AS_OF,))
        as_of = query.moment(AS_OF, now) or now
        query.check()
        return realm, row, as_of

    @router.get("/v1/cases/{case}/deadlines")
    async def read_deadlines(case: str, request: Request) -> Any:
        """Every clock of a case with its derivation. `as_of`: as known at that moment."""
        realm, row, as_of = await asked(case, request)
        rows = await questions.ask("case_clocks", realm=realm.value, case_id=row["case_id"])
        return _head(row) | deadlines.document(rows, as_of)

    @router.get("/v1/cases/{case}/ledger")
    async def read_ledger(case: str, request: Request) -> Any:
        """Who held a case how long, in which condition, and the breaches. `as_of`: as known at that moment."""
        realm, row, as_of = await asked(case, request)
        scope = {"realm": realm.value, "case_id": row["case_id"]}
        spans, clocks = await asyncio.gather(questions.ask("case_spans", **scope), questions.ask("case_clocks", **scope))
        return _head(row) | ledger.document(spans, clocks, as_of)

    return router


def _head(row: Row) -> dict[str, Any]:
    shown = {name: row[name] for name in ("case_id", "case_number", "realm", "state", "holder", "holder_level", "mirrored")}
    return shown | {"division": row["division"], "division_name": place_name(row["division"])}
