"""How much one principal may send: a window per second, counted in events."""

from __future__ import annotations

import math
from http import HTTPStatus

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

from schemas.principals import Principal
from services.clock import now_ms
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


class Attempts:
    """Failed logins: few for one user from one address, more for a user from all (so that a stranger's guessing does not lock out)."""

    def __init__(self, here: str = "5/5 minutes", everywhere: str = "50/hour") -> None:
        self._rules = (parse(here), parse(everywhere))
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, user: str, client: str) -> None:
        """Raises Problem 429 with Retry-After when too many have failed."""
        for rule, key in zip(self._rules, self._keys(user, client), strict=True):
            if not self._limiter.test(rule, *key):
                wait = max(1, math.ceil(self._limiter.get_window_stats(rule, *key).reset_time - now_ms() / 1000))
                detail = f"too many failed logins; again in {wait} s"
                raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "login_limit", detail, headers={"Retry-After": str(wait)})

    def failed(self, user: str, client: str) -> None:
        for rule, key in zip(self._rules, self._keys(user, client), strict=True):
            self._limiter.hit(rule, *key)

    @staticmethod
    def _keys(user: str, client: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (user, client), (user,)
