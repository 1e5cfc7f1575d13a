"""The routes of policies: which version new cases get, in each realm and from when; activating and withdrawing."""

from __future__ import annotations

import asyncio
from datetime import date
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from schemas.avro.activation.event import Activation
from schemas.bounds import MAX_BODY_BYTES, parse_time
from schemas.calendar import number
from schemas.codec import codec
from schemas.divisions import PROVINCE
from schemas.errors import InvalidPayload, Reason
from schemas.policies import latest, policies
from schemas.policy import store
from schemas.policy.schedule import Schedule, key_of
from schemas.principals import Kind
from schemas.realms import Realm
from schemas.topics import CONFIG
from services.gateway import bodies, decoding
from services.gateway.accept import headers
from services.gateway.answers import private
from services.gateway.decoding import Invalid
from services.gateway.documents import ACTIVATION, READ, WITHDRAWAL
from services.gateway.intake import Context
from services.gateway.parts import Parts, read_body, trace_of
from services.gateway.problems import Problem, forbidden, unavailable
from services.ports import Record, Unavailable

ACTIVATIONS = codec(Activation)
DAY_MS, CHINA_MS = 86_400_000, 28_800_000
MOST_AHEAD_MS = 400 * DAY_MS
READ_SECONDS = 5.0
LATEST_WITHDRAWAL_MS = 10_000  # before its moment: longer than entrances take to read a record


def routes(parts: Parts) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/policies/active", openapi_extra=READ, summary="Which policies new cases get, since when, and what is planned")
    async def get_active(request: Request) -> Response:
        """Every activation of the realm: earlier, standing, planned. Without one, the newest version of the release holds."""
        context = parts.entrance(request)
        return _answer(parts.policies.schedule, context)

    @router.put("/v1/policies/active", openapi_extra=ACTIVATION, summary="Activate a version of the policies from a moment on")
    async def put_active(request: Request) -> Response:
        """Cases that are open keep their version. The same realm and moment again replaces what was planned for it. 409 while a running
        case worker of the realm does not know the version."""
        context = _administrator(parts, request)
        body = decoding.decode(await read_body(request, MAX_BODY_BYTES), bodies.Activation)
        activation = activation_of(body, context)
        unaware = await parts.workers.unaware(context.realm, activation.version)
        if unaware:
            known = "; ".join(f"{name} knows {', '.join(versions) or 'none'}" for name, versions in sorted(unaware.items()))
            error = InvalidPayload(Reason.BAD_VALUE, f"not known by every running worker: {known}. Upgrade it first", "/version")
            raise Problem(HTTPStatus.CONFLICT, "worker_too_old", error.detail, [error])
        await _write(activation, parts, trace_of(request))
        return _answer(parts.policies.schedule, context, activation)

    @router.post("/v1/policies/active:withdraw", openapi_extra=WITHDRAWAL, summary="Withdraw an activation that is planned")
    async def withdraw(request: Request) -> Response:
        """A record of its own on topic `config`, with who and why. What holds already is not withdrawn: activate another version."""
        context = _administrator(parts, request)
        body = decoding.decode(await read_body(request, MAX_BODY_BYTES), bodies.Withdrawal)
        await _write(withdrawal_of(body, context, parts.policies.schedule), parts, trace_of(request))
        return _answer(parts.policies.schedule, context)

    return router


def _administrator(parts: Parts, request: Request) -> Context:
    """Of the province: a version holds for the whole realm. Raises Problem 401, 403, 429, 503."""
    context = parts.entrance(request)
    if context.principal.kind is not Kind.ADMIN or context.principal.division != PROVINCE:
        raise forbidden("only administrators of the province activate policies")
    parts.limit.check(context.principal)
    return context


def withdrawal_of(body: bodies.Withdrawal, context: Context, schedule: Schedule) -> Activation:
    """What is to be written. Raises Invalid where nothing is planned for that moment, or it begins before every entrance can know."""
    realm, who = context.realm.value, context.principal
    try:
        moment, _ = parse_time(body.from_, "/from")
    except InvalidPayload as error:
        raise Invalid(error) from None
    planned = [one.active_from for one in schedule.of(realm) if one.active_from > context.now]
    if moment not in planned:
        raise Invalid(InvalidPayload(Reason.BAD_VALUE, f"nothing is planned for then; {len(planned)} activations are planned", "/from"))
    if moment < context.now + LATEST_WITHDRAWAL_MS:
        raise Invalid(InvalidPayload(Reason.TIME_TOO_OLD, "too late: it begins within seconds, and every entrance must know", "/from"))
    return Activation("", "", realm, moment, who.id, who.person, who.org, body.reason, context.now)


def activation_of(body: bodies.Activation, context: Context) -> Activation:
    """What is to be written, or Invalid with everything that is wrong. Without a moment it holds from now on."""
    errors: list[InvalidPayload] = []
    usable = [line.version for line in store.locked() if line.version and line.used]
    if body.version not in usable:
        only_read = body.version in store.versions()
        why = "this release only reads it; the next one gives it to new cases" if only_read else f"there are {', '.join(usable)}"
        errors.append(InvalidPayload(Reason.BAD_VALUE, f"{body.version[:20]!r}: {why}", "/version"))
    moment = context.now
    if body.from_ is not None:
        try:
            moment, _ = parse_time(body.from_, "/from")
            _check_moment(moment, context.now)
        except InvalidPayload as error:
            errors.append(error)
    if not errors and context.realm is Realm.LIVE and moment < midnight(policies(body.version).in_force_from):
        since = policies(body.version).in_force_from.isoformat()
        errors.append(InvalidPayload(Reason.BAD_VALUE, f"{body.version} is in force from {since}, not before", "/from"))
    if errors:
        raise Invalid(*errors)
    who = context.principal
    return Activation(
        body.version, store.fingerprint(body.version), context.realm.value, moment, who.id, who.person, who.org, body.reason, context.now
    )


def midnight(day: date) -> int:
    """The beginning of a day in China, UTC milliseconds."""
    return number(day) * DAY_MS - CHINA_MS


def _check_moment(moment: int, now: int) -> None:
    if moment < now:
        raise InvalidPayload(Reason.TIME_TOO_OLD, "in the past: cases have entered since", "/from")
    if moment > now + MOST_AHEAD_MS:
        raise InvalidPayload(Reason.TIME_IN_FUTURE, "more than 400 days ahead", "/from")


async def _write(activation: Activation, parts: Parts, trace: str) -> None:
    """Returns once Kafka has it and this gateway has read it back. Raises Problem 503."""
    marks = headers(ACTIVATIONS.name, key_of(activation), activation.principal, trace)
    record = Record(key_of(activation).encode(), ACTIVATIONS.encode(activation), marks)
    fate = (await parts.producer.send(CONFIG.name, [record]))[0]
    if isinstance(fate, Unavailable):
        raise unavailable(fate.detail)
    try:
        await asyncio.wait_for(parts.policies.reached(fate.partition, fate.offset), READ_SECONDS)
    except TimeoutError:
        raise unavailable("it is written, and this gateway has not read it back yet") from None


def _answer(schedule: Schedule, context: Context, written: Activation | None = None) -> Response:
    """`written`: what this call wrote. Should another gateway have written for the same moment since, `holds` says so."""
    realm, now = context.realm.value, context.now
    every = schedule.of(realm)
    standing = schedule.standing(realm, now)
    answer: dict[str, Any] = {
        "realm": realm,
        "version": schedule.version(realm, now),
        "since": standing.active_from if standing else None,
        "newest": latest(),
        "standing": _shown(standing) if standing else None,
        "planned": [_shown(one) for one in every if one.active_from > now],
        "earlier": [_shown(one) for one in every if one.active_from <= now and one is not standing],
        "withdrawn": [_shown(one) for one in schedule.withdrawn(realm)],
    }
    if written:
        answer["activated"] = _shown(written) | {"holds": written in every}
    return private(answer)


def _shown(activation: Activation) -> dict[str, Any]:
    """`known`: whether this release holds a version of that name and contents."""
    known = activation.version in store.versions() and store.fingerprint(activation.version) == activation.fingerprint
    shown: dict[str, Any] = msgspec.structs.asdict(activation)
    return shown | {"known": known}
