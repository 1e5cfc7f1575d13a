"""aiokafka on uvloop: a write to a connection that the broker has just reset is a lost connection, not a bug.

uvloop answers such a write with RuntimeError; aiokafka expects OSError alone (aio-libs/aiokafka issue 1038), and its sender, fetcher or
coordinator stops for good, where it would have connected again.
"""

from __future__ import annotations

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def repair() -> None:
    """For all connections of this process. May be called again."""
    AIOKafkaConnection.send = send


def send(self: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    """As aiokafka's; raises KafkaConnectionError, which it tries again, where uvloop says RuntimeError."""
    try:
        return _send(self, request, expect_response)
    except RuntimeError as error:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}") from error
