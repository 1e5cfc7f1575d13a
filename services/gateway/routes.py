"""The routes of senders: incidents, facts, batches, CloudEvents, commands; and the reads that follow a 202."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from schemas.bounds import MAX_BATCH_BYTES, MAX_BODY_BYTES
from schemas.ids import is_case_number
from services.gateway import bodies, cloudevents, decoding, intake
from services.gateway.answers import private, read_or_pending, single
from services.gateway.auth import asking
from services.gateway.batch import Batch, chunks
from services.gateway.documents import BATCH, CLOUDEVENTS, COMMAND, INCIDENT
from services.gateway.intake import Context
from services.gateway.parts import Parts, idempotency_key, read_body, trace_of
from services.gateway.problems import Problem, forbidden, not_found, too_large
from services.gateway.reads import fields_of, relayed, segment

NDJSON = "application/x-ndjson"


def routes(parts: Parts) -> APIRouter:
    """Everything a department, a desk or a screen calls, except sealed data and the registry."""
    router = APIRouter()
    _senders(router, parts)
    _batches(router, parts)
    _commands(router, parts)
    _reads(router, parts)
    return router


def _senders(router: APIRouter, parts: Parts) -> None:
    async def post(request: Request, *, fact: bool) -> Response:
        context = parts.entrance(request)
        parts.limit.check(context.principal)
        body = decoding.decode(await read_body(request, MAX_BODY_BYTES), bodies.Incident)
        accepted = intake.incident(body, context, key=idempotency_key(request), fact=fact)
        return single((await parts.acceptor.deliver([accepted], context.realm, trace_of(request)))[0])

    @router.post("/v1/incidents", status_code=202, openapi_extra=INCIDENT, summary="Send an incident")
    async def post_incident(request: Request) -> Response:
        """202 once Kafka has it. The same event_id, external_id or Idempotency-Key again gives the same answer."""
        return await post(request, fact=False)

    @router.post("/v1/facts", status_code=202, openapi_extra=INCIDENT, summary="Send an observed fact of your own system")
    async def post_fact(request: Request) -> Response:
        """Makes or moves a mirrored case. Facts may come late, out of order and again: source_version decides."""
        return await post(request, fact=True)


def _batches(router: APIRouter, parts: Parts) -> None:
    @router.post("/v1/events:batch", openapi_extra=BATCH, summary="Send many, one JSON object a line (NDJSON)")
    async def post_batch(request: Request) -> Response:
        """200 with one line for each line: its status is 202 once Kafka has it, else a problem. At most 10,000 lines, 32 MiB."""
        context = parts.entrance(request)
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > MAX_BATCH_BYTES:
            raise too_large(MAX_BATCH_BYTES, "bytes in a batch")
        batch = Batch(parts.acceptor, parts.limit, context, intake.line, trace_of(request))
        async for chunk in chunks(request.stream()):
            if isinstance(chunk, tuple):
                batch.refuse(*chunk)
            else:
                await batch.put(chunk)
        encoder = msgspec.json.Encoder()
        return Response(encoder.encode_lines(await batch.results()), media_type=NDJSON)

    @router.post("/v1/events", status_code=202, openapi_extra=CLOUDEVENTS, summary="Send CloudEvents 1.0, structured JSON, one or many")
    async def post_cloudevents(request: Request) -> Response:
        """One event: as POST /v1/incidents. A batch: 200 with an array of answers like those of /v1/events:batch."""
        media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        context = parts.entrance(request)
        if media_type == cloudevents.MEDIA_TYPE:
            parts.limit.check(context.principal)
            accepted = cloudevents.event(await read_body(request, MAX_BODY_BYTES), context)
            return single((await parts.acceptor.deliver([accepted], context.realm, trace_of(request)))[0])
        if media_type != cloudevents.BATCH_MEDIA_TYPE:
            detail = f"send {cloudevents.MEDIA_TYPE} or {cloudevents.BATCH_MEDIA_TYPE}"
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", detail)
        events = cloudevents.split(await read_body(request, MAX_BATCH_BYTES))
        batch = Batch(parts.acceptor, parts.limit, context, cloudevents.event, trace_of(request))
        async for chunk in chunks(_numbered(events)):
            if isinstance(chunk, tuple):
                batch.refuse(*chunk)
            else:
                await batch.put(chunk)
        return Response(msgspec.json.encode(await batch.results()), media_type="application/json")


async def _numbered(events: list[bytes]) -> AsyncIterator[bytes]:
    """The events as lines: a JSON text holds no line break outside of white space."""
    for event in events:
        yield event.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


def _commands(router: APIRouter, parts: Parts) -> None:
    @router.post("/v1/cases/{case}/commands/{name}", status_code=202, openapi_extra=COMMAND, summary="Ask something of a case")
    async def post_command(case: str, name: str, request: Request) -> Response:
        """202 with the command's id; GET /v1/commands/{id} says whether it was applied, repeated, refused or is dead."""
        context = parts.context(request)
        parts.limit.check(context.principal)
        if not context.principal.may_command(context.principal.division):
            raise forbidden("only desks command cases")
        data = await read_body(request, MAX_BODY_BYTES)
        body = decoding.decode(data or b"{}", bodies.Command)
        case_id, division = await _locate(segment(case), request, context, parts)
        accepted = intake.command(body, name, case_id, context, key=idempotency_key(request), division=division)
        return single((await parts.acceptor.deliver([accepted], context.realm, trace_of(request)))[0])


async def _locate(case: str, request: Request, context: Context, parts: Parts) -> tuple[str, str]:
    """(case id, its division or "" when only the core can know). Raises Problem 404 for what the caller can't see."""
    pending = parts.pending.case(case)
    if pending is not None and pending.realm == context.realm:
        if not context.principal.may_command(pending.division):
            raise not_found("case")
        return pending.case_id, pending.division
    try:
        answer = await parts.reads.get(f"/v1/cases/{case}", asking(request), {"realm": context.realm})
    except Problem:
        if is_case_number(case):
            raise
        return case, ""  # the core checks the scope again: a desk can work while the warehouse is away
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise not_found("case")
    if answer.is_error:
        return case, ""
    fields = fields_of(answer)
    return str(fields.get("case_id", case)), str(fields.get("division", ""))


def _reads(router: APIRouter, parts: Parts) -> None:
    @router.get("/v1/cases/{case}", summary="A case, by id or case number")
    async def get_case(case: str, request: Request) -> Response:
        """From the read port; `min_seq` waits for that case_seq. Right after a 202: 202 {"status": "accepted, pending"}."""
        return await read_or_pending(parts, request, f"/v1/cases/{segment(case)}", parts.pending.case(case), "case")

    @router.get("/v1/commands/{command_id}", summary="What became of a command")
    async def get_command(command_id: str, request: Request) -> Response:
        """{status: pending | applied | repeated | refused | dead, reason, case_seq}."""
        context = parts.context(request)
        pending = parts.pending.command(command_id)
        mine = pending is not None and pending.producer == context.principal.id and pending.realm == context.realm
        try:
            answer = await parts.reads.forward(request, f"/v1/commands/{segment(command_id)}")
        except Problem:
            if not mine:
                raise
            answer = None
        if answer is not None and not (answer.status_code == HTTPStatus.NOT_FOUND and mine):
            return relayed(answer)
        fields = {"command_id": command_id, "status": "pending", "reason": "", "case_seq": None}
        return private(fields)
