"""Answering a page: who was told says that he has it. One address for pages of every kind; the message holds it whole."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from schemas.errors import InvalidPayload, Reason
from schemas.topics import ALARM, INCIDENT
from services.gateway import alarms, bodies, intake
from services.gateway.answers import single
from services.gateway.auth import asking
from services.gateway.decoding import Invalid
from services.gateway.documents import PAGE_ACK
from services.gateway.intake import Accepted, Context
from services.gateway.parts import Parts, trace_of
from services.gateway.problems import forbidden, not_found
from services.gateway.reads import fields_of, relayed, segment

KINDS = (INCIDENT.name, ALARM.name)


def routes(parts: Parts) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/pages/{page}/ack", status_code=202, openapi_extra=PAGE_ACK, summary="Acknowledge a page")
    async def post_ack(page: str, request: Request, case: str = "", kind: str = "") -> Response:
        """Becomes the command `acknowledge` of an incident or `ack` of an alarm, by the person of the session or key: it stops what would
        be told next, and no clock. Again is harmless. 202 with the command's id; with `case` and `kind`, as the message says them, it works
        while reads are away."""
        context = parts.context(request)
        parts.limit.check(context.principal)
        if not context.principal.may_command(context.principal.division):
            raise forbidden("only desks answer pages")
        page = segment(page)
        division = ""
        if not case:
            case, kind, division = await _case_of(page, request, context)
        accepted = _command(page, case, kind, division, context)
        return single((await parts.acceptor.deliver([accepted], context.realm, trace_of(request)))[0])

    @router.get("/v1/pages/{page}", summary="What became of a page")
    async def get_page(page: str, request: Request) -> Response:
        """From the read port: status, who was tried over which channel, when somebody acknowledged."""
        parts.context(request)
        return relayed(await parts.reads.forward(request, f"/v1/pages/{segment(page)}"))

    async def _case_of(page: str, request: Request, context: Context) -> tuple[str, str, str]:
        """(case id, kind, division). Raises Problem 404, 503."""
        answer = await parts.reads.get(f"/v1/pages/{page}", asking(request), {"realm": context.realm})
        if answer.status_code == HTTPStatus.NOT_FOUND or answer.is_error:
            raise not_found("page")
        fields = fields_of(answer)
        return str(fields["case_id"]), str(fields["kind"]), str(fields["division"])

    return router


def _command(page: str, case: str, kind: str, division: str, context: Context) -> Accepted:
    """One answer of one person to a page: a repeat is the same command."""
    key = f"page:{page}"
    if kind == ALARM.name:
        return alarms.command(bodies.AlarmCommand(), "ack", case, context, key=key, division=division)
    if kind == INCIDENT.name:
        return intake.command(bodies.Command(), "acknowledge", case, context, key=key, division=division)
    raise Invalid(InvalidPayload(Reason.BAD_VALUE, f"{kind[:20]!r} is none of {', '.join(KINDS)}", "/kind"))
