"""Search by person: for desks, of the cases that they handle themselves, with a reason that is on record before the answer.

A POST, so that no phone number stands in an address that somebody logs. Only the token of it is looked for, county by county.
"""

from __future__ import annotations

import itertools
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from schemas.bounds import MAX_BODY_BYTES
from schemas.divisions import PROVINCE
from schemas.errors import InvalidPayload, Reason
from schemas.principals import Kind, Principal
from services.gateway import audited, bodies, decoding
from services.gateway.answers import private
from services.gateway.auth import asking
from services.gateway.decoding import Invalid
from services.gateway.documents import PERSON_SEARCH, PLAIN_READ
from services.gateway.parts import Parts, read_body
from services.gateway.problems import READS_AWAY, forbidden, not_found, unavailable
from services.gateway.reads import fields_of
from services.gateway.search_fill import Filler
from services.gateway.search_index import PersonIndex
from services.gateway.search_tokens import NAME, PHONE, Fingerprint, counties_of, name_of, phone_of, token

SEARCHED = "search_person"


def routes(parts: Parts, index: PersonIndex, filler: Filler) -> APIRouter:
    router = APIRouter()
    numbers = itertools.count()

    @router.post("/v1/search/person", openapi_extra=PERSON_SEARCH, summary="Cases of a person, for the handling desk")
    async def search_person(request: Request) -> Response:
        """By phone, by name, or by both. `reason` is required and logged with your name before you get an answer. `complete` says whether
        every case could be looked at: not while the index is filled anew."""
        context = parts.context(request)
        parts.limit.check(context.principal)
        if context.principal.kind is not Kind.DESK:
            raise forbidden("only desks search by person, and only for what they handle")
        body = decoding.decode(await read_body(request, MAX_BODY_BYTES), bodies.PersonSearch)
        asked = wanted(body)
        await audited.write(audited.entry(SEARCHED, "", body.reason.strip(), context, next(numbers)), context, parts)
        complete, found = index.whole, await _cases(index, asked, context.fingerprint, context.realm.value, context.principal)
        shown: list[Any] = []
        if found:
            params = {"realm": context.realm.value, "ids": ",".join(found)}
            answer = await parts.reads.get("/internal/search/cases", asking(request), params)
            if answer.status_code != HTTPStatus.OK:
                raise unavailable(f"the read port answered {answer.status_code}", READS_AWAY)
            listed = fields_of(answer).get("items")
            shown = listed if isinstance(listed, list) else []
        return private({"items": shown, "complete": complete})

    @router.get("/internal/search", openapi_extra=PLAIN_READ, summary="Whether search by person is whole")
    async def progress(request: Request) -> Response:
        _admin(parts, request)
        return private(filler.progress)

    @router.post("/internal/search/rebuild", status_code=202, openapi_extra=PLAIN_READ, summary="Fill search by person anew")
    async def rebuild(request: Request) -> Response:
        """From `incident.sealed`, while departments send. One that is under way goes on."""
        _admin(parts, request)
        filler.again()
        return private(filler.progress, HTTPStatus.ACCEPTED)

    return router


def wanted(body: bodies.PersonSearch) -> dict[str, str]:
    """What is looked for, by kind of token. Raises Invalid with a pointer for everything that is wrong."""
    errors = []
    found = {PHONE: phone_of(body.phone or ""), NAME: name_of(body.name or "")}
    if body.phone is None and body.name is None:
        errors.append(InvalidPayload(Reason.BAD_VALUE, "a phone number or a name", ""))
    if body.phone is not None and not found[PHONE]:
        errors.append(InvalidPayload(Reason.BAD_VALUE, "not a phone number", "/phone"))
    if body.name is not None and not found[NAME]:
        errors.append(InvalidPayload(Reason.BAD_VALUE, "required", "/name"))
    if not body.reason.strip():
        errors.append(InvalidPayload(Reason.BAD_VALUE, "required: it is logged with your name", "/reason"))
    if errors:
        raise Invalid(*errors)
    return {kind: value for kind, value in found.items() if value}


async def _cases(index: PersonIndex, asked: dict[str, str], sign: Fingerprint, realm: str, who: Principal) -> list[str]:
    """Cases in which every one of these stands, newest first."""
    counties = counties_of(who.division)
    lists = [await index.find([token(sign, realm, county, kind, value) for county in counties]) for kind, value in asked.items()]
    return [case for case in lists[0] if all(case in other for other in lists[1:])]


def _admin(parts: Parts, request: Request) -> None:
    principal = parts.context(request).principal
    if principal.kind is not Kind.ADMIN or principal.division != PROVINCE:
        raise not_found("resource")
