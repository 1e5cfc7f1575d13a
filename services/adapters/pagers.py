"""Ways out to people, each fulfilling ports.Pager: a line in the log, a webhook, a gateway of short messages or calls by webhook.

A webhook is a POST of JSON. `Idempotency-Key` is the same for every repeat to the same person: who carries it drops what it has carried
already. `Liandong-Signature: t=<seconds>,v1=<hex>` is HMAC-SHA256 of "<seconds>.<body>" under the platform's webhook secret. 2xx takes it
over; 408, 425, 429, 5xx and a broken connection are tried again within the bound; anything else is final.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import msgspec
import structlog

from schemas.people.records import Channel
from services.ports import Contact, Message, Pager
from services.process import write_private

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
TRIES = 4
PAUSE_SECONDS = 0.2  # doubled from try to try
BOUND_SECONDS = 10.0  # of all tries together
TRY_SECONDS = 4.0
URGENT = 1
SIGNATURE, KEY = "Liandong-Signature", "Idempotency-Key"
SECRET_BYTES = 32

log = structlog.get_logger("pages")


class LogPager:
    """A structured line. A platform without rosters shows its pages so."""

    async def send(self, to: Contact, channel: Channel, message: Message) -> str:
        log.warning(
            "page", to=to.person, page=message.key, urgency=message.urgency, case=message.case_number, text=message.text, link=message.link
        )
        return ""


class WebhookPager:
    """`gateway`: the URL that carries this kind of channel, with the channel's address as `to`; "" : the address is the URL. `clock`: UTC
    milliseconds. `bound`: seconds for all tries."""

    def __init__(
        self,
        urgent: httpx.AsyncClient,
        others: httpx.AsyncClient,
        secret: str,
        clock: Callable[[], int],
        *,
        gateway: str = "",
        bound: float = BOUND_SECONDS,
    ) -> None:
        """Urgent messages have connections of their own, so that no others are before them."""
        self._urgent = urgent
        self._others = others
        self._secret = secret.encode()
        self._clock = clock
        self._gateway = gateway
        self._bound = bound

    async def send(self, to: Contact, channel: Channel, message: Message) -> str:
        key = f"{message.key}/{to.person}"
        body = msgspec.json.encode(
            msgspec.to_builtins(message) | {"key": key, "to": channel.address if self._gateway else "", "person": to.person}
        )
        client = self._urgent if message.urgency == URGENT else self._others
        why = "no time to try"
        try:
            async with asyncio.timeout(self._bound):
                for number in range(TRIES):
                    if number:
                        await asyncio.sleep(PAUSE_SECONDS * 2 ** (number - 1))
                    why, final = await self._try(client, self._gateway or channel.address, key, body)
                    if final:
                        return why
        except TimeoutError:
            why = f"{why}; gave up after {self._bound:g} s"
        return why

    async def _try(self, client: httpx.AsyncClient, url: str, key: str, body: bytes) -> tuple[str, bool]:
        """(why not, whether that is the end of it)."""
        headers = {"Content-Type": "application/json", KEY: key, SIGNATURE: signature(self._secret, self._clock() // 1000, body)}
        try:
            answer = await client.post(url, content=body, headers=headers, timeout=TRY_SECONDS)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            return type(error).__name__, True
        except httpx.HTTPError as error:  # says the kind only: a URL may hold a secret
            return type(error).__name__, False
        if answer.is_success:
            return "", True
        return f"HTTP {answer.status_code}", answer.status_code not in AGAIN


def signature(secret: bytes, seconds: int, body: bytes) -> str:
    """What a receiver computes again; it refuses what is older than a few minutes."""
    return f"t={seconds},v1={hmac.new(secret, f'{seconds}.'.encode() + body, hashlib.sha256).hexdigest()}"


def webhook_secret(path: Path, given: str) -> str:
    """The secret of the settings, else the one in `path`, made there once (mode 0600)."""
    if given:
        return given
    if not path.exists():
        write_private(path, secrets.token_hex(SECRET_BYTES))
    return path.read_text(encoding="utf-8").strip()


def gateways(setting: str) -> dict[str, str]:
    """ "sms=https://…,phone=https://…" by kind of channel. ValueError for what is not written so."""
    found = {}
    for part in filter(None, (part.strip() for part in setting.split(","))):
        kind, equals, url = part.partition("=")
        if not (kind.isidentifier() and equals and url.startswith(("http://", "https://"))):
            raise ValueError(f"not kind=URL: {part[:40]!r}")
        found[kind] = url
    return found


def pagers(
    urgent: httpx.AsyncClient, others: httpx.AsyncClient, secret: str, clock: Callable[[], int], by_kind: Mapping[str, str]
) -> dict[str, Pager]:
    """The adapter of each kind of channel."""
    carried = {kind: WebhookPager(urgent, others, secret, clock, gateway=url) for kind, url in by_kind.items()}
    return {"log": LogPager(), "webhook": WebhookPager(urgent, others, secret, clock), **carried}
