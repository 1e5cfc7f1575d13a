"""Who is asking and in which realm: from the key or session and the query, never from a body."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus

from starlette.requests import Request

from schemas.errors import InvalidPayload, Reason
from schemas.principals import Principal
from schemas.realms import Realm
from services.gateway.problems import Problem, forbidden
from services.gateway.sessions import Sessions
from services.people.tokens import SessionToken
from services.ports import Keys

COOKIE, CSRF = "liandong_session", "X-CSRF-Token"
SAFE = ("GET", "HEAD", "OPTIONS")
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="liandong"'}


def principal_of(request: Request, keys: Keys, sessions: Sessions | None = None) -> Principal:
    """The holder of the key or session in `Authorization: Bearer …`, or of the session in the cookie. Raises Problem 401, 403, 503."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if not key and sessions is not None and COOKIE in request.cookies:
        return session_of(request, sessions)[0]
    if scheme.lower() != "bearer" or not key:
        raise Problem(HTTPStatus.UNAUTHORIZED, "no_key", "send Authorization: Bearer KEY", headers=CHALLENGE)
    if sessions is not None and sessions.is_session(key.strip()):
        return session_of(request, sessions)[0]
    principal = keys.find(key.strip())
    if principal is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, "no_key", "this key is unknown or was revoked", headers=CHALLENGE)
    return principal


def session_of(request: Request, sessions: Sessions) -> tuple[Principal, SessionToken]:
    """The session in the Authorization header, else in the cookie: a cookie is sent by any page, so what changes something also brings the
    session's CSRF token. Raises Problem 401, 403, 503."""
    key = request.headers.get("authorization", "").partition(" ")[2].strip()
    principal, token = sessions.find(key or request.cookies.get(COOKIE, ""))
    if not key and request.method not in SAFE and not sessions.is_csrf(token, request.headers.get(CSRF, "")):
        raise Problem(HTTPStatus.FORBIDDEN, "csrf", f"a call by cookie that changes something brings the header {CSRF}")
    request.state.asking = f"Bearer {sessions.asking(principal)}"
    return principal, token


def asking(request: Request) -> dict[str, str]:
    """The header by which the read port knows who asks: the caller's own key, or ours for the session's holder."""
    mine = getattr(request.state, "asking", "") or request.headers.get("authorization", "")
    return {"authorization": mine} if mine else {}


def realm_of(request: Request, principal: Principal, served: Collection[Realm]) -> Realm:
    """`?realm=`, live without it. Raises Problem 422 (not served here) or 403 (not this principal's)."""
    name = request.query_params.get("realm", Realm.LIVE.value)
    if name not in {realm.value for realm in served}:
        error = InvalidPayload(Reason.BAD_VALUE, f"realm {name[:20]!r} is not served here: {', '.join(served)}")
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "realm_not_served", error.detail, [error])
    realm = Realm(name)
    if not principal.may_use(realm):
        raise forbidden(f"{principal.id} may not use realm {realm.value}")
    return realm
