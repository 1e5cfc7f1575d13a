"""What the gateway's routes share: its parts, the asking principal, bodies with a limit."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from starlette.requests import Request

from schemas.bounds import MAX_ID_LENGTH
from schemas.errors import InvalidPayload, Reason
from schemas.headers import TRACE
from schemas.realms import Realm
from services.gateway.accept import Acceptor
from services.gateway.auth import principal_of, realm_of
from services.gateway.decoding import Invalid
from services.gateway.intake import Context
from services.gateway.limits import RateLimit
from services.gateway.pending import PendingMemory
from services.gateway.problems import too_large, unavailable
from services.gateway.reads import ReadPort
from services.gateway.search_fill import Filler
from services.gateway.search_index import PersonIndex
from services.gateway.sessions import Sessions
from services.ports import Keys, KeyVault, Policies, Producer, Workers

TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")


@dataclass(frozen=True, slots=True)
class Parts:
    """Built once in main.py, or by a test."""

    keys: Keys
    vault: KeyVault
    producer: Producer
    acceptor: Acceptor
    pending: PendingMemory
    reads: ReadPort
    limit: RateLimit
    realms: tuple[Realm, ...]
    departments: tuple[str, ...]
    clock: Callable[[], int]  # UTC milliseconds
    policies: Policies
    workers: Workers
    index: PersonIndex
    filler: Filler
    home_cluster: str = ""
    sessions: Sessions | None = None  # None: keys only

    def context(self, request: Request) -> Context:
        """Raises Problem 401, 403, 422, or 503 while sessions can't be judged."""
        principal = principal_of(request, self.keys, self.sessions)
        realm = realm_of(request, principal, self.realms)
        return Context(principal, realm, self.clock(), self.vault.fingerprint, self.home_cluster)

    def entrance(self, request: Request) -> Context:
        """For what may open an incident: it gets the policies in force. Raises Problem 503 too, until they are known."""
        context = self.context(request)
        if not self.policies.known:
            raise unavailable("the policies in force are not read yet")
        return replace(context, policy_version=self.policies.schedule.version(context.realm.value, context.now))


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises Problem 413 above `limit` bytes, before reading where the length is announced."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large(limit, "bytes in one body")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise too_large(limit, "bytes in one body")
    return bytes(body)


def idempotency_key(request: Request) -> str:
    """The header Idempotency-Key, "" without one. Raises Invalid when it is too long."""
    key = request.headers.get("idempotency-key", "").strip()
    if len(key) > MAX_ID_LENGTH:
        raise Invalid(InvalidPayload(Reason.TOO_LONG, f"the header Idempotency-Key has at most {MAX_ID_LENGTH} characters"))
    return key


def trace_of(request: Request) -> str:
    """A well-formed W3C traceparent, else ""."""
    trace = request.headers.get(TRACE, "")
    return trace if TRACEPARENT.match(trace) else ""
