"""Who is asking and in which realm: from the key and the query, never from a body."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus

from starlette.requests import Request

from schemas.errors import InvalidPayload, Reason
from schemas.principals import Principal
from schemas.realms import Realm
from services.gateway.problems import Problem, forbidden
from services.ports import Keys

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="liandong"'}


def principal_of(request: Request, keys: Keys) -> Principal:
    """The holder of the key in `Authorization: Bearer KEY`. Raises Problem 401."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Problem(HTTPStatus.UNAUTHORIZED, "no_key", "send Authorization: Bearer KEY", headers=CHALLENGE)
    principal = keys.find(key.strip())
    if principal is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, "no_key", "this key is unknown or was revoked", headers=CHALLENGE)
    return principal


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
