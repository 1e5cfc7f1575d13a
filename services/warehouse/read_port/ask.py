"""Named queries: one file each in queries/, parameters bound by the engine, run on pooled handles in threads of the read port's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

from services.warehouse.backend import Handle, Row, Warehouse
from services.warehouse.read_port import metrics

FOLDER = Path(__file__).parent / "queries"
T = TypeVar("T")


@cache
def sql(name: str) -> str:
    """Text of queries/<name>.sql."""
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")


class Questions:
    """As many questions at once as there are handles; the others wait their turn without holding a thread of the sink."""

    def __init__(self, warehouse: Warehouse, handles: int = 4) -> None:
        self._warehouse = warehouse
        self._threads = ThreadPoolExecutor(handles, thread_name_prefix="read")

    async def ask(self, name: str, **parameters: str | int | bool) -> list[Row]:
        """Rows of the named query. WarehouseError when the engine refuses or is away."""

        def run(handle: Handle) -> list[Row]:
            with metrics.QUERY_SECONDS.labels(name).time():
                return handle.rows(sql(name), parameters)

        return await self.run(run)

    async def run(self, work: Callable[[Handle], T]) -> T:
        """Any work on a reader's handle."""

        def on_thread() -> T:
            with self._warehouse.reader() as handle:
                return work(handle)

        return await asyncio.get_running_loop().run_in_executor(self._threads, on_thread)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
