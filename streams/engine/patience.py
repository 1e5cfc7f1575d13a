"""Clients that start while no broker answers: to end and be started again, later and later, would help nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaConnectionError
from mode.utils.logging import get_logger

log = get_logger(__name__)
TOLD_EVERY = 30  # attempts, a second apart


async def start(what: str, begin: Callable[[], Awaitable[None]], drop: Callable[[], Awaitable[None]], over: Callable[[], bool]) -> None:
    """Calls `begin` till brokers answer or `over()`; `drop` closes what a failed attempt left open."""
    attempt = 0
    while not over():
        try:
            await begin()
            return
        except KafkaConnectionError as error:
            if attempt % TOLD_EVERY == 0:
                log.warning("%s: no broker answers, waiting: %s", what, error)
            attempt += 1
            await drop()
        await asyncio.sleep(1.0)
