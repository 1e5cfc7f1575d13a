"""A connection that is gone is reported as gone, whatever the event loop calls it."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest

from services.adapters import uvloop_repair


def test_a_write_to_a_connection_just_reset_is_a_lost_connection_on_uvloop() -> None:
    async def scenario() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        connection = AIOKafkaConnection("127.0.0.1", port)
        connection._reader, connection._writer = await asyncio.open_connection("127.0.0.1", port)
        connection._read_task = asyncio.create_task(asyncio.sleep(60))
        connection._writer.transport.abort()
        with contextlib.suppress(OSError):
            await connection._writer.wait_closed()
        with pytest.raises(RuntimeError):  # what aiokafka does not expect; when this fails, the repair may go
            uvloop_repair._send(connection, ApiVersionRequest())
        with pytest.raises(KafkaConnectionError):
            uvloop_repair.send(connection, ApiVersionRequest())
        assert not connection.connected()
        listener.close()

    uvloop.run(scenario())
