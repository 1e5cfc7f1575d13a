"""Reading and erasing personal data. Each is written to `audit` and acknowledged by Kafka before it happens."""

from __future__ import annotations

import base64
import binascii
import itertools
from http import HTTPStatus

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from schemas import ids
from schemas.avro.audit_entry.event import AuditEntry
from schemas.codec import codec
from schemas.errors import InvalidPayload, Reason
from schemas.principals import Kind
from schemas.topics import ALARM, AUDIT, INCIDENT
from services.gateway.accept import headers
from services.gateway.auth import asking
from services.gateway.decoding import Invalid
from services.gateway.intake import Context
from services.gateway.parts import Parts
from services.gateway.problems import READS_AWAY, Problem, forbidden, not_found, unavailable
from services.gateway.reads import segment
from services.ports import Record, Unavailable
from services.sealing import BrokenSeal, unseal

AUDIT_CODEC = codec(AuditEntry)
MAX_REASON = 200
PRIVATE = {"Cache-Control": "no-store"}


class _Ciphertext(msgspec.Struct):
    sealed_id: str
    nonce: str  # base64
    ciphertext: str  # base64
    received_at: int | str


class _SealedCase(msgspec.Struct):
    """What the read port's /internal/cases/{id}/sealed answers."""

    case_id: str
    division: str
    holder_level: str
    sealed: list[_Ciphertext]
    kind: str = INCIDENT.name

    def key_name(self, one: _Ciphertext) -> str:
        """As intake.Accepted.key_name: an alarm's presses have a key each."""
        return one.sealed_id if self.kind == ALARM.name else self.case_id


def routes(parts: Parts) -> APIRouter:
    router = APIRouter()
    numbers = itertools.count()

    @router.get("/v1/cases/{case}/sealed", summary="Persons and free text of a case, for the handling desk")
    async def read_sealed(case: str, request: Request) -> Response:
        """`reason` is required and logged with your name before you get an answer."""
        context = parts.context(request)
        reason = _reason(request)
        if context.principal.kind is not Kind.DESK:
            raise forbidden("only the handling desk reads personal data")
        found = await _find(case, request, context, parts)
        if not context.principal.may_read_sealed(found.division, found.holder_level):
            raise forbidden("only the handling desk reads personal data")
        await _audit(_entry("read_sealed", found.case_id, reason, context, next(numbers)), context, parts)
        latest = {one.sealed_id: one for one in found.sealed}  # a repeated request sealed the same bytes again
        keyed = [(one, parts.vault.find(found.key_name(one))) for one in latest.values()]
        if keyed and not any(key for _, key in keyed):
            raise Problem(HTTPStatus.GONE, "erased", "the personal data of this case has been erased")
        records = [_opened(one, key, found.case_id, context) for one, key in keyed if key]
        return Response(msgspec.json.encode({"case_id": found.case_id, "records": records}), 200, PRIVATE, "application/json")

    @router.delete("/v1/cases/{case}/sealed", summary="Erase the persons and free text of a case, for ever")
    async def erase_sealed(case: str, request: Request) -> Response:
        """Deletes the case's key: every copy of its personal data becomes unreadable, here and in every backup of the log."""
        context = parts.context(request)
        reason = _reason(request)
        if context.principal.kind not in (Kind.DESK, Kind.ADMIN):
            raise forbidden("only the handling desk or an administrator erases personal data")
        found = await _find(case, request, context, parts)
        administers = context.principal.kind is Kind.ADMIN and context.principal.covers(found.division)
        if not administers and not context.principal.may_read_sealed(found.division, found.holder_level):
            raise forbidden("only the handling desk or an administrator erases personal data")
        await _audit(_entry("erase", found.case_id, reason, context, next(numbers)), context, parts)
        names = {found.case_id} if found.kind == INCIDENT.name else {found.key_name(one) for one in found.sealed}
        erased = any([await parts.vault.erase(name) for name in sorted(names)])
        return Response(msgspec.json.encode({"case_id": found.case_id, "erased": erased}), 200, PRIVATE, "application/json")

    return router


def _reason(request: Request) -> str:
    """The query's `reason`, not empty. Raises Invalid."""
    reason = request.query_params.get("reason", "").strip()
    if not reason or len(reason) > MAX_REASON:
        raise Invalid(InvalidPayload(Reason.BAD_VALUE, f"the query parameter `reason` is required, at most {MAX_REASON} characters"))
    return reason


async def _find(case: str, request: Request, context: Context, parts: Parts) -> _SealedCase:
    """The case's ciphertexts, whatever their key. Raises Problem 404 or 503."""
    answer = await parts.reads.get(f"/internal/cases/{segment(case)}/sealed", asking(request), {"realm": context.realm})
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise not_found("case")
    if answer.status_code == HTTPStatus.FORBIDDEN:
        raise forbidden("not in your scope")
    try:
        return msgspec.json.decode(answer.raise_for_status().content, type=_SealedCase)
    except Exception as error:
        raise unavailable(f"the read port answered {answer.status_code}", READS_AWAY) from error


def _entry(action: str, case_id: str, reason: str, context: Context, number: int) -> AuditEntry:
    """`number`: tells apart what one principal does within one millisecond."""
    who = context.principal
    return AuditEntry(
        entry_id=ids.command_id(context.realm, who.id, f"audit:{action}:{case_id}:{context.now}:{number}"),
        case_id=case_id,
        realm=context.realm.value,
        action=action,
        principal=who.id,
        person=who.person,
        org=who.org,
        role=who.kind.value,
        division=who.division,
        reason=reason,
        at=context.now,
    )


async def _audit(entry: AuditEntry, context: Context, parts: Parts) -> None:
    """Raises Problem 503 unless Kafka acknowledged the entry."""
    marks = headers(AUDIT_CODEC.name, entry.entry_id, entry.principal)
    record = Record(entry.case_id.encode(), AUDIT_CODEC.encode(entry), marks)
    (fate,) = await parts.producer.send(AUDIT.in_realm(context.realm), [record])
    if isinstance(fate, Unavailable):
        raise unavailable(f"the audit entry could not be written: {fate.detail}")


def _opened(one: _Ciphertext, key: bytes, case_id: str, context: Context) -> dict[str, object]:
    try:
        nonce, ciphertext = base64.b64decode(one.nonce, validate=True), base64.b64decode(one.ciphertext, validate=True)
        plaintext = unseal(key, nonce, ciphertext, case_id=case_id, realm=context.realm)
    except (BrokenSeal, binascii.Error):
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "broken_seal", f"sealed record {one.sealed_id} can't be opened") from None
    return {"sealed_id": one.sealed_id, "received_at": one.received_at, **msgspec.json.decode(plaintext, type=dict[str, object])}
