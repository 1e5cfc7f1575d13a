"""A client that starts while no broker answers waits for one, and leaves nothing open on the way."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.engine import patience


class Client:
    """Starts at its nth attempt."""

    def __init__(self, nth: int) -> None:
        self.nth, self.attempts, self.dropped = nth, 0, 0

    async def begin(self) -> None:
        self.attempts += 1
        if self.attempts < self.nth:
            raise KafkaConnectionError("Unable to bootstrap")

    async def drop(self) -> None:
        self.dropped += 1


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds that pass at once."""
    yield_once = asyncio.sleep
    monkeypatch.setattr("streams.engine.patience.asyncio.sleep", lambda _: yield_once(0))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("nth", [1, 2, 40])
async def test_it_starts_when_a_broker_answers_and_every_failed_attempt_was_closed(nth: int) -> None:
    client = Client(nth)
    await patience.start("client", client.begin, client.drop, lambda: False)
    assert (client.attempts, client.dropped) == (nth, nth - 1)


@pytest.mark.usefixtures("quick")
async def test_it_gives_up_when_the_worker_stops() -> None:
    client = Client(1000)
    await patience.start("client", client.begin, client.drop, lambda: client.attempts == 3)
    assert (client.attempts, client.dropped) == (3, 3)
