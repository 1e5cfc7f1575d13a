"""What the platform answered: outcomes of a realm, counted before and after a replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import httpx

KINDS = ("applied", "repeated", "refused", "dead")
POLL_S = 0.5


class ReadPortAway(Exception):
    """The read port did not tell the counts."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    applied: int = 0
    repeated: int = 0
    refused: int = 0
    dead: int = 0

    @property
    def total(self) -> int:
        return self.applied + self.repeated + self.refused + self.dead

    def since(self, before: Outcomes) -> Outcomes:
        return Outcomes(*(getattr(self, kind) - getattr(before, kind) for kind in KINDS))


async def count(client: httpx.AsyncClient, realm: str) -> Outcomes:
    """All outcomes of the realm that the warehouse has. `client` has the read port as base URL and a province key."""
    try:
        answer = await client.get("/v1/snapshot", params={"realm": realm, "division": "440000"})
    except httpx.TransportError as error:
        raise ReadPortAway(str(error) or type(error).__name__) from None
    if answer.status_code != 200:
        raise ReadPortAway(f"HTTP {answer.status_code}: {answer.text[:200]}")
    completeness = answer.json()["completeness"]
    return Outcomes(*(int(completeness[kind]) for kind in KINDS))


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait for outcomes, in seconds without a new one."""

    patience_s: float  # while some are missing
    quiet_s: float = 0.0  # when enough are there: more may come where lines were sent again


async def settled(
    client: httpx.AsyncClient, realm: str, before: Outcomes, expected: int, *, wait: Wait, progress: Callable[[int], None]
) -> Outcomes:
    """The outcomes since `before`, once there are `expected`, or when no more come.

    More than expected is possible: lines sent again after a broken connection, or another sender in the same realm."""
    loop = asyncio.get_running_loop()
    found, changed = Outcomes(), loop.time()
    while True:
        try:
            now = (await count(client, realm)).since(before)
        except ReadPortAway:
            now = found
        if now != found:
            found, changed = now, loop.time()
            progress(found.total)
        if loop.time() - changed >= (wait.quiet_s if found.total >= expected else wait.patience_s):
            return found
        await asyncio.sleep(POLL_S)
