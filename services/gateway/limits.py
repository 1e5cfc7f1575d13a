"""How much one principal may send: a window per second, counted in events."""

from __future__ import annotations

from http import HTTPStatus

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from schemas.principals import Principal
from services.gateway.problems import Problem


class RateLimit:
    """`rule`: e.g. "50000/second"; counted in this process."""

    def __init__(self, rule: str) -> None:
        """ValueError for a rule that can't be read."""
        self._item = parse(rule)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def check(self, principal: Principal, events: int = 1) -> None:
        """Counts `events`. Raises Problem 429 with Retry-After when the window is full."""
        cost = min(events, self._item.amount)  # a chunk larger than the window waits for an empty one
        if not self._limiter.hit(self._item, principal.id, cost=cost):
            detail = f"{principal.id} may send {self._item.amount} events per {self._item.GRANULARITY.name}"
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "rate_limit", detail, headers={"Retry-After": "1"})
