"""The restore of a worker begins again when the client cancels a call under it, and ends when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine.recovery import BulkRecovery


class Restoring(BulkRecovery):
    """A recovery whose restores do as the test says; None stands for success."""

    def __init__(self, *ends: BaseException | None) -> None:
        app: Any = SimpleNamespace(consumer_generation_id=0, state_table=object(), conf=SimpleNamespace(stream_recovery_delay=0.0))
        super().__init__(app, SimpleNamespace())
        self.ends, self.restored, self.used_up = list(ends), asyncio.Event(), asyncio.Event()
        self.on_cancelled: Callable[[], object] = lambda: None

    async def _restore(self, table: object, partitions: set[int]) -> None:
        if not self.ends:
            self.used_up.set()
            await asyncio.Event().wait()
        end = self.ends.pop(0)
        if isinstance(end, asyncio.CancelledError):  # as aiokafka does: a future of its own, not our task
            self.on_cancelled()
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


async def test_a_restore_that_is_cancelled_again_and_again_does_not_count_as_moving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.engine.recovery.AGAIN_SECONDS", 0.0)
    recovery = Restoring(*[asyncio.CancelledError() for _ in range(20)])
    seen: list[float] = []
    recovery.on_cancelled = lambda: seen.append(recovery.moved_at)
    recovery.signal_recovery_start.set()
    task = asyncio.create_task(recovery._restart_recovery(recovery))
    await asyncio.wait_for(recovery.used_up.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(seen) == 20
    assert len(set(seen)) == 1, "the watchdog's patience runs from the first"
    assert seen[0] > 0


async def test_a_cancelled_recovery_ends() -> None:
    recovery = Restoring(None)
    task = asyncio.create_task(recovery._restart_recovery(recovery))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
