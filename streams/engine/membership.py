"""Static membership: a worker that comes back within its session takes its own place in the group again, without a rebalance.

The broker gives the place to whoever came last under the name. aiokafka 0.14 says the name when it joins, but neither in heartbeats nor
in commits; so a process whose place a namesake has taken hears `unknown member`, as after a lost session, would join anew and take the
place back, for ever. Here it looks who is in the group, and ends when its name is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiokafka.protocol.admin import DescribeGroupsRequest
from mode.utils.logging import get_logger

from streams.engine.exits import Exit, die

log = get_logger(__name__)
UNKNOWN_MEMBER, FENCED_INSTANCE = 25, 82  # Kafka's error codes


def end_when_replaced(coordinator: Any, instance: str) -> None:
    """Watches every answer that aiokafka's group coordinator gets on behalf of the member named `instance`."""
    send: Callable[[Any], Awaitable[Any]] = coordinator._send_req

    async def watched(request: Any) -> Any:
        mine = coordinator.member_id
        answer = await send(request)
        codes = set(_codes(answer))
        if FENCED_INSTANCE in codes:
            die(Exit.REPLACED, f"another process is in the group as {instance}")
        if UNKNOWN_MEMBER in codes:
            described = await send(DescribeGroupsRequest([coordinator.group_id]))
            others = [member[0] for group in described.groups for member in group[5] if member[0] != mine]
            if any(other.startswith(f"{instance}-") for other in others):  # Kafka makes ids of members out of their names
                die(Exit.REPLACED, f"another process is in the group as {instance}")
            log.warning("the broker has forgotten this worker: it joins anew")
        return answer

    coordinator._send_req = watched


def _codes(answer: Any) -> Iterator[int]:
    yield getattr(answer, "error_code", 0)
    for _, partitions in getattr(answer, "topics", ()):
        for partition in partitions:
            yield partition[-1]
