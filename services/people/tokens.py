"""Signed tokens: of a session, for its holder; and of a principal, by which the gateway asks the read port for a session's holder.

A token is a prefix, base64url of a JSON object, a dot, and a keyed hash of both with the secret of D/people.bin. Nobody without that file
can make one. What a session may do is not in its token: it is looked up each time, so that an ended post ends it at once.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from typing import TypeVar

import msgspec

from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.adapters.keyfile import KeyFileError, KeyFileView
from services.ports import Keys

SESSION, ASKING = "ls_", "lp_"
ASKING_MS = 60_000  # the read port answers within seconds
Sign = Callable[[bytes], str]
T = TypeVar("T")


class SessionToken(msgspec.Struct, frozen=True):
    """Times in UTC milliseconds. `epoch`: the user's at the login."""

    id: str
    user: str
    post: str
    epoch: int
    issued_at: int
    expires_at: int


class _Asking(msgspec.Struct, frozen=True):
    id: str
    kind: Kind
    person: str
    org: str
    role: str
    level: str
    division: str
    realms: tuple[Realm, ...]
    until: int


def session_token(token: SessionToken, sign: Sign) -> str:
    return _made(SESSION, token, sign)


def read_session(text: str, sign: Sign) -> SessionToken | None:
    """None for anything that we did not sign. Says nothing about its time."""
    return _read(SESSION, text, SessionToken, sign)


def csrf_of(session: str, sign: Sign) -> str:
    """What a state-changing call by cookie brings in a header: another site's page can send the cookie, but can't know this."""
    return sign(f"csrf:{session}".encode())


def asking_token(principal: Principal, now: int, sign: Sign) -> str:
    """For one question to the read port; never given to anybody outside."""
    who = _Asking(
        principal.id, principal.kind, principal.person, principal.org, principal.role, principal.level, principal.division,
        principal.realms, now + ASKING_MS,
    )  # fmt: skip
    return _made(ASKING, who, sign)


class KeysAndAskings:
    """Fulfils ports.Keys for a process that the gateway asks: API keys, and the gateway's own tokens."""

    def __init__(self, keys: Keys, secret: KeyFileView, clock: Callable[[], int]) -> None:
        self._keys = keys
        self._secret = secret
        self._clock = clock

    def find(self, key: str) -> Principal | None:
        if not key.startswith(ASKING):
            return self._keys.find(key)
        try:
            found = _read(ASKING, key, _Asking, self._secret.fingerprint)
        except KeyFileError:
            return None  # no gateway has made the file yet, so it can have signed nothing
        if found is None or found.until <= self._clock():
            return None
        return Principal(found.id, found.kind, found.person, found.org, found.role, found.level, found.division, found.realms)


def _made(prefix: str, content: msgspec.Struct, sign: Sign) -> str:
    body = prefix + base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")
    return f"{body}.{sign(body.encode())}"


def _read(prefix: str, text: str, shape: type[T], sign: Sign) -> T | None:
    body, dot, signature = text.partition(".")
    if not dot or not text.isascii() or not body.startswith(prefix) or not hmac.compare_digest(sign(body.encode()), signature):
        return None
    packed = body.removeprefix(prefix)
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), type=shape)
    except (binascii.Error, msgspec.DecodeError):
        return None
