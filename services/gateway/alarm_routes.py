"""The routes of alarms: a press, what a responder does about it, and how it stands. An answer to an alarm never waits for the warehouse."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from schemas.bounds import MAX_BODY_BYTES
from schemas.ids import is_case_number
from services.gateway import alarms, bodies, decoding
from services.gateway.answers import read_or_pending, single
from services.gateway.auth import asking
from services.gateway.documents import ALARM, ALARM_COMMAND
from services.gateway.intake import Context
from services.gateway.parts import Parts, idempotency_key, read_body, trace_of
from services.gateway.problems import forbidden, not_found
from services.gateway.reads import fields_of, segment


def routes(parts: Parts) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/alarms", status_code=202, openapi_extra=ALARM, summary="Raise an alarm, or press again")
    async def post_alarm(request: Request) -> Response:
        """202 once Kafka has it; the page record follows at once. All presses of one device are one alarm while that is open."""
        context = parts.context(request)
        parts.limit.check(context.principal)
        if not context.principal.may_press(context.principal.division):
            raise forbidden("only devices and desks raise alarms")
        body = decoding.decode(await read_body(request, MAX_BODY_BYTES), bodies.Alarm)
        accepted = alarms.press(body, context, key=idempotency_key(request))
        return single((await parts.acceptor.deliver([accepted], context.realm, trace_of(request)))[0])

    @router.post(
        "/v1/alarms/{case}/commands/{name}", status_code=202, openapi_extra=ALARM_COMMAND, summary="Acknowledge (ack) or close an alarm"
    )
    async def post_command(case: str, name: str, request: Request) -> Response:
        """By a named person. 202 with the command's id; GET /v1/commands/{id} says how it ended. By id it works while reads are away."""
        context = parts.context(request)
        parts.limit.check(context.principal)
        if not context.principal.may_command(context.principal.division):
            raise forbidden("only desks answer alarms")
        body = decoding.decode(await read_body(request, MAX_BODY_BYTES) or b"{}", bodies.AlarmCommand)
        case_id, division = await _locate(segment(case), request, context)
        accepted = alarms.command(body, name, case_id, context, key=idempotency_key(request), division=division)
        return single((await parts.acceptor.deliver([accepted], context.realm, trace_of(request)))[0])

    @router.get("/v1/alarms/{case}", summary="An alarm, by id or case number")
    async def get_alarm(case: str, request: Request) -> Response:
        """From the read port. Right after a 202: 202 {"status": "accepted, pending"}."""
        return await read_or_pending(parts, request, f"/v1/alarms/{segment(case)}", parts.pending.alarm(case), "alarm")

    async def _locate(case: str, request: Request, context: Context) -> tuple[str, str]:
        """(case id, its division or "" when only the core can know: it checks the scope again). Raises Problem 404, 503."""
        pending = parts.pending.alarm(case)
        if pending is not None and pending.realm == context.realm:
            if not context.principal.may_command(pending.division):
                raise not_found("alarm")
            return pending.case_id, pending.division
        if not is_case_number(case):
            return case, ""
        answer = await parts.reads.get(f"/v1/alarms/{case}", asking(request), {"realm": context.realm})
        if answer.is_error:
            raise not_found("alarm")
        fields = fields_of(answer)
        return str(fields["case_id"]), str(fields["division"])

    return router
