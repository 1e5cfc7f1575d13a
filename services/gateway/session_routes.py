"""Logging in and out, who one is, and a password of one's own."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from schemas.bounds import MAX_BODY_BYTES
from schemas.divisions import display_name, divisions
from schemas.errors import InvalidPayload, Reason
from schemas.principals import Principal
from services.gateway import bodies, decoding
from services.gateway.answers import NO_STORE, private
from services.gateway.auth import COOKIE, principal_of, session_of
from services.gateway.decoding import Invalid
from services.gateway.documents import LOGIN, PASSWORD, SESSION_CALL
from services.gateway.parts import Parts, read_body
from services.gateway.sessions import Login, Sessions
from services.people.passwords import WeakPassword


def routes(parts: Parts, sessions: Sessions) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/sessions", status_code=201, openapi_extra=LOGIN, summary="Log in")
    async def log_in(request: Request) -> Response:
        """201 with the token, and the same as an HttpOnly cookie. By cookie, what changes something also brings the header X-CSRF-Token."""
        body = decoding.decode(await read_body(request, MAX_BODY_BYTES), bodies.Login)
        login = await sessions.login(body.user, body.password, body.post, _client(request))
        fields = {"token": login.token, "csrf": login.csrf, "expires_at": login.expires_at, "principal": _shown(login.principal, sessions)}
        answer = private(fields, HTTPStatus.CREATED)
        _set_cookie(answer, request, login, parts.clock())
        return answer

    @router.delete("/v1/sessions/current", status_code=204, openapi_extra=SESSION_CALL, summary="Log out")
    async def log_out(request: Request) -> Response:
        """The session has ended for every process when this returns, also after a restart."""
        principal, token = session_of(request, sessions)
        await sessions.end(token, principal)
        answer = Response(status_code=HTTPStatus.NO_CONTENT, headers=NO_STORE)
        answer.delete_cookie(COOKIE, path="/v1")
        return answer

    @router.get("/v1/me", openapi_extra=SESSION_CALL, summary="Who you are here")
    async def me(request: Request) -> Response:
        """The principal of your key or session; of a session also its CSRF token, its end, and your other posts."""
        principal = principal_of(request, parts.keys, sessions)
        fields: dict[str, Any] = {"principal": _shown(principal, sessions)}
        if hasattr(request.state, "asking"):
            _, token = session_of(request, sessions)
            posts = [post.id for post in sessions.directory.register.posts_of(token.user, parts.clock())]
            fields |= {"csrf": sessions.csrf(token), "expires_at": token.expires_at, "posts": posts}
        return private(fields)

    @router.put("/v1/me/password", status_code=204, openapi_extra=PASSWORD, summary="Change your password")
    async def change_password(request: Request) -> Response:
        """Every session of yours ends: log in again."""
        _, token = session_of(request, sessions)
        body = decoding.decode(await read_body(request, MAX_BODY_BYTES), bodies.Password)
        try:
            await sessions.change_password(token, body.old, body.new, _client(request))
        except WeakPassword as error:
            raise Invalid(InvalidPayload(Reason.BAD_VALUE, str(error), "/new")) from None
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=NO_STORE)

    return router


def _set_cookie(answer: Response, request: Request, login: Login, now: int) -> None:
    """Secure where the browser came by TLS: the proxy before us says so in X-Forwarded-Proto."""
    seconds = (login.expires_at - now) // 1000
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, login.token, max_age=seconds, path="/v1", secure=secure, httponly=True, samesite="strict")


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _shown(principal: Principal, sessions: Sessions) -> dict[str, Any]:
    """In the words of the screen beside the codes; the name of a user of ours is the user's own to see."""
    place = principal.division in divisions()
    known = principal.person in sessions.directory.register.users
    return {
        "id": principal.id,
        "kind": principal.kind.value,
        "person": principal.person,
        "name": sessions.directory.contact(principal.person).name if known else "",
        "org": principal.org,
        "role": principal.role,
        "level": principal.level,
        "division": principal.division,
        "division_name": display_name(principal.division) if place else "",
        "realms": [realm.value for realm in principal.realms],
    }
