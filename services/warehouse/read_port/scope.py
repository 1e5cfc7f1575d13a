"""Who asks, and what that lets them see. What is out of scope answers exactly as what does not exist."""

from __future__ import annotations

from collections.abc import Callable, Collection
from http import HTTPStatus

from starlette.requests import Request

from schemas.divisions import PROVINCE, division, subtree_prefix
from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.ports import Keys
from services.problems import Problem

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="liandong"'}
Moments = Callable[[Realm], int]
"""Now in a realm, UTC milliseconds: in one of log time that of its newest record."""
READERS = (Kind.DESK, Kind.SCREEN, Kind.ADMIN)


def not_found() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "unknown, or not yours to see")


class Gatekeeper:
    def __init__(self, keys: Keys, served: Collection[Realm]) -> None:
        self._keys = keys
        self._served = tuple(served)

    def who(self, request: Request) -> tuple[Principal, Realm]:
        """Principal and realm of a request. Raises Problem 401, 404."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        principal = self._keys.find(key.strip()) if scheme.lower() == "bearer" else None
        if principal is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, "send Authorization: Bearer KEY with a valid key", CHALLENGE)
        name = request.query_params.get("realm", Realm.LIVE.value)
        if name not in self._served or not principal.may_use(Realm(name)):
            raise not_found()
        return principal, Realm(name)

    def admin(self, request: Request) -> Realm:
        """The realm, for an administrator of the province. Raises Problem 401, 404."""
        principal, realm = self.who(request)
        if principal.kind is not Kind.ADMIN or principal.division != PROVINCE:
            raise not_found()
        return realm

    def subtree(self, request: Request, code: str) -> Realm:
        """The realm, for a reader of this division. Raises Problem 401, 404."""
        principal, realm = self.who(request)
        if principal.kind not in READERS or not known(code) or not principal.covers(code):
            raise not_found()
        return realm


def known(code: str) -> bool:
    try:
        division(code)
    except KeyError:
        return False
    return True


def prefix_of(code: str) -> str:
    """What every division below begins with; nothing for the province, so that rows without a division count there."""
    return "" if code == PROVINCE else subtree_prefix(code)
