"""What the tests of the sink on a ClickHouse server share: one broker and ledger a module, a server, platforms on it, the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.embedded.broker import Broker
from services.embedded.ports import free_port
from services.embedded.topics import ensure_topics
from tests.chaos.results import Account
from tests.clickhouse_http import ClickHouseServer
from tests.conftest import TEST_PARTITIONS
from tests.ledger import Ledger
from tests.warehouse_process import WarehouseProcess

BATCH = 300
BOUND = 45.0  # s to be drained after a fault


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    broker = Broker(tmp_path_factory.mktemp("broker"), heap_mb=256).start()
    asyncio.run(ensure_topics(broker.bootstrap, ["live"], TEST_PARTITIONS))
    yield Ledger(broker.bootstrap)
    broker.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    started = ClickHouseServer(tmp_path / "server", free_port()).start()
    yield started
    started.kill()


@pytest.fixture
def warehouses(ledger: Ledger, server: ClickHouseServer, tmp_path: Path) -> Iterator[Callable[..., WarehouseProcess]]:
    """`warehouses("a", port)` makes a platform of its own with a warehouse process, on the one server (or what stands before it)."""
    made: list[WarehouseProcess] = []

    def make(name: str, port: int = 0) -> WarehouseProcess:
        url = f"http://127.0.0.1:{port or server.port}"
        made.append(WarehouseProcess.new(tmp_path / name, ledger.bootstrap, realms="live", clickhouse_url=url))
        return made[-1]

    yield make
    for one in made:
        one.close()


def back(account: Account, warehouse: WarehouseProcess, bound: float = BOUND) -> None:
    """Drains, and says how long it took."""
    began = time.monotonic()
    warehouse.drained(seconds=2 * bound)
    account.recovered(time.monotonic() - began, bound)


def judge(account: Account, ledger: Ledger, warehouse: WarehouseProcess) -> None:
    """Drains, stops, and says what the tables are."""
    back(account, warehouse)
    assert warehouse.stop() == 0
    tell(account, ledger, warehouse)


def tell(account: Account, ledger: Ledger, warehouse: WarehouseProcess) -> None:
    tables = warehouse.tables()
    try:
        found = ledger.broken(tables)
    finally:
        tables.close()
    account.verdict({name: len(texts) for name, texts in found.items()}, {text: 1 for texts in found.values() for text in texts[:1]})
