"""Ways out to people: what every ports.Pager keeps, and what a webhook's receiver may rely on."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from schemas.people.records import Channel
from services.adapters.pagers import LogPager, WebhookPager, gateways, pagers, webhook_secret
from services.notifier import words
from services.notifier.throttle import Waiting
from services.ports import Contact, Message, Pager
from tests.fakes import FakePager
from tests.helpers import until
from tests.pages import START, notification
from tests.webhooks import Receiver, receiver

SECRET = "a secret of two"
WHO = Contact("off-01", "李雷", ())
PAGE = words.single(notification(1, urgency=3), "p-1", START, "")
URGENT = words.single(notification(2, urgency=1), "p-2", START, "")
BUNDLE = words.bundle([Waiting("p-3", "C-3", "标题", "desk", "d", START)], "k-3", "live", "")


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as found:
        yield found


def webhook(client: httpx.AsyncClient, bound: float = 10.0, gateway: str = "") -> WebhookPager:
    return WebhookPager(client, client, SECRET, lambda: START, bound=bound, gateway=gateway)


@pytest.mark.parametrize("message", [PAGE, URGENT, BUNDLE], ids=lambda message: message.key)
@pytest.mark.parametrize("kind", ["fake", "log", "webhook"])
async def test_what_was_taken_over_is_answered_by_nothing(kind: str, message: Message, server: Receiver, client: httpx.AsyncClient) -> None:
    known: dict[str, Pager] = {"fake": FakePager(), "log": LogPager(), "webhook": webhook(client)}
    pager = known[kind]
    assert await pager.send(WHO, Channel(kind, f"{server.url}/x"), message) == ""
    assert await pager.send(WHO, Channel(kind, f"{server.url}/x"), message) == "", "again is as good"


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/", "no url at all", "ftp://127.0.0.1/x", "http://", "http://[::"])
@pytest.mark.parametrize("kind", ["fake", "webhook"])
async def test_what_was_not_taken_over_is_answered_by_why_and_raises_nothing(kind: str, address: str, client: httpx.AsyncClient) -> None:
    fake = FakePager()
    fake.broken.add(address)
    known: dict[str, Pager] = {"fake": fake, "webhook": webhook(client, bound=0.5)}
    pager = known[kind]
    assert await pager.send(WHO, Channel(kind, address), PAGE)


async def test_a_webhook_is_signed_and_names_its_key_also_when_it_is_repeated(server: Receiver, client: httpx.AsyncClient) -> None:
    pager = webhook(client)
    for _ in range(2):
        await pager.send(WHO, Channel("webhook", f"{server.url}/duty?x=1"), PAGE)
    (path, headers, body), again = server.got
    assert (path, headers["content-type"]) == ("/duty?x=1", "application/json")
    assert (headers["idempotency-key"], again[1]["idempotency-key"]) == ("p-1/off-01", "p-1/off-01")
    when, signed = (part.partition("=")[2] for part in headers["liandong-signature"].split(","))
    assert int(when) == START // 1000
    assert signed == hmac.new(SECRET.encode(), f"{when}.".encode() + body, hashlib.sha256).hexdigest()
    said = json.loads(body)
    assert (said["key"], said["person"], said["case_number"], said["urgency"]) == ("p-1/off-01", "off-01", "C-1", 3)
    assert said["text"].startswith("【联动】事项 1")
    assert "李雷" not in body.decode()


async def test_a_gateway_of_short_messages_gets_the_number_and_not_as_its_address(server: Receiver, client: httpx.AsyncClient) -> None:
    assert await webhook(client, gateway=f"{server.url}/sms").send(WHO, Channel("sms", "13800000001"), PAGE) == ""
    ((path, _, body),) = server.got
    assert (path, json.loads(body)["to"]) == ("/sms", "13800000001")


@pytest.mark.parametrize("first", [500, 503, 429, 408, -1])
async def test_what_may_pass_is_tried_again(first: int, server: Receiver, client: httpx.AsyncClient) -> None:
    server.answers = [first]
    assert await webhook(client).send(WHO, Channel("webhook", server.url), PAGE) == ""
    assert server.keys == ["p-1/off-01"] * 2


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302])
async def test_what_will_not_pass_is_not_tried_again(status: int, server: Receiver, client: httpx.AsyncClient) -> None:
    server.answers = [status]
    assert await webhook(client).send(WHO, Channel("webhook", server.url), PAGE) == f"HTTP {status}"
    assert len(server.got) == 1


async def test_it_ends_within_its_bound(server: Receiver, client: httpx.AsyncClient) -> None:
    server.hang = threading.Event()
    assert "gave up after 0.2 s" in await webhook(client, bound=0.2).send(WHO, Channel("webhook", server.url), PAGE)


async def test_urgent_messages_have_connections_of_their_own(server: Receiver) -> None:
    server.hang = threading.Event()
    one = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(limits=one, trust_env=False) as urgent, httpx.AsyncClient(limits=one, trust_env=False) as others:
        pager = WebhookPager(urgent, others, SECRET, lambda: START)
        sending = [asyncio.create_task(pager.send(WHO, Channel("webhook", server.url), message)) for message in (PAGE, PAGE, URGENT)]
        await asyncio.to_thread(until, lambda: len(server.got) == 2, "one of each at the server")
        assert {body["urgency"] for body in server.bodies()} == {1, 3}
        server.hang.set()
        assert await asyncio.gather(*sending) == ["", "", ""]


def test_the_secret_is_the_given_one_or_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "webhook.secret"
    assert webhook_secret(path, "given") == "given"
    assert not path.exists()
    made = webhook_secret(path, "")
    assert len(made) == 64
    assert webhook_secret(path, "") == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_gateways_are_read_by_kind_and_wrong_ones_refused() -> None:
    assert gateways("sms=https://a/x?y=1, phone=http://b") == {"sms": "https://a/x?y=1", "phone": "http://b"}
    assert gateways("") == {}
    for wrong in ("sms", "sms=ftp://a", "=http://a", "s m=http://a"):
        with pytest.raises(ValueError, match="not kind=URL"):
            gateways(wrong)


async def test_each_kind_of_channel_has_its_adapter(client: httpx.AsyncClient) -> None:
    assert set(pagers(client, client, SECRET, lambda: START, {"sms": "http://a"})) == {"log", "webhook", "sms"}
