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

from schemas.principals import Kind
from schemas.topics import ALARM, INCIDENT
from services.gateway import audited
from services.gateway.answers import private
from services.gateway.auth import asking
from services.gateway.intake import Context
from services.gateway.parts import Parts
from services.gateway.problems import READS_AWAY, Problem, forbidden, not_found, unavailable
from services.gateway.reads import segment
from services.sealing import BrokenSeal, unseal


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
        reason = audited.reason_of(request)
        if context.principal.kind is not Kind.DESK:
            raise forbidden("only the handling desk reads personal data")
        found = await _find(case, request, context, parts)
        if not context.principal.may_read_sealed(found.division, found.holder_level):
            raise forbidden("only the handling desk reads personal data")
        await audited.write(audited.entry("read_sealed", found.case_id, reason, context, next(numbers)), context, parts)
        latest = {one.sealed_id: one for one in found.sealed}  # a repeated request sealed the same bytes again
        keyed = [(one, parts.vault.find(found.key_name(one))) for one in latest.values()]
        if keyed and not any(key for _, key in keyed):
            raise Problem(HTTPStatus.GONE, "erased", "the personal data of this case has been erased")
        records = [_opened(one, key, found.case_id, context) for one, key in keyed if key]
        return private({"case_id": found.case_id, "records": records})

    @router.delete("/v1/cases/{case}/sealed", summary="Erase the persons and free text of a case, for ever")
    async def erase_sealed(case: str, request: Request) -> Response:
        """Deletes the case's key: every copy of its personal data becomes unreadable, here and in every backup of the log."""
        context = parts.context(request)
        reason = audited.reason_of(request)
        if context.principal.kind not in (Kind.DESK, Kind.ADMIN):
            raise forbidden("only the handling desk or an administrator erases personal data")
        found = await _find(case, request, context, parts)
        administers = context.principal.kind is Kind.ADMIN and context.principal.covers(found.division)
        if not administers and not context.principal.may_read_sealed(found.division, found.holder_level):
            raise forbidden("only the handling desk or an administrator erases personal data")
        await audited.write(audited.entry("erase", found.case_id, reason, context, next(numbers)), context, parts)
        names = {found.case_id} if found.kind == INCIDENT.name else {found.key_name(one) for one in found.sealed}
        erased = any([await parts.vault.erase(name) for name in sorted(names)])
        await parts.index.erase(found.case_id)
        return private({"case_id": found.case_id, "erased": erased})

    return router


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


def _opened(one: _Ciphertext, key: bytes, case_id: str, context: Context) -> dict[str, object]:
    try:
        nonce, ciphertext = base64.b64decode(one.nonce, validate=True), base64.b64decode(one.ciphertext, validate=True)
        plaintext = unseal(key, nonce, ciphertext, case_id=case_id, realm=context.realm)
    except (BrokenSeal, binascii.Error):
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "broken_seal", f"sealed record {one.sealed_id} can't be opened") from None
    return {"sealed_id": one.sealed_id, "received_at": one.received_at, **msgspec.json.decode(plaintext, type=dict[str, object])}
