"""The restore of a worker begins again when the client cancels a call under it, and ends when it is told to."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine.recovery import BulkRecovery


class Restoring(BulkRecovery):
    """A recovery whose restores do as the test says; None stands for success."""

    def __init__(self, *ends: BaseException | None) -> None:
        app: Any = SimpleNamespace(consumer_generation_id=0, state_table=object(), conf=SimpleNamespace(stream_recovery_delay=0.0))
        super().__init__(app, SimpleNamespace())
        self.ends, self.restored = list(ends), asyncio.Event()

    async def _restore(self, table: object, partitions: set[int]) -> None:
        end = self.ends.pop(0)
        if isinstance(end, asyncio.CancelledError):  # as aiokafka does: a future of its own, not our task
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        elif end is not None:
            raise end

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        self.restored.set()


@pytest.mark.parametrize("ends", [(None,), (asyncio.CancelledError(), None), (asyncio.CancelledError(), asyncio.CancelledError(), None)])
async def test_a_restore_under_which_a_call_was_cancelled_begins_again(ends: tuple[BaseException | None, ...]) -> None:
    recovery = Restoring(*ends)
    recovery.signal_recovery_start.set()
    task = asyncio.create_task(recovery._restart_recovery(recovery))
    await asyncio.wait_for(recovery.restored.wait(), 10)
    assert not recovery.ends
    assert not task.done(), "it waits for the next rebalance"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_recovery_ends() -> None:
    recovery = Restoring(None)
    task = asyncio.create_task(recovery._restart_recovery(recovery))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
