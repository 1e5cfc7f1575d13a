"""The sink on a ClickHouse server that is away, slow, full or cut off, or whose tables lost their newest rows."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from tests.chaos import sinks
from tests.chaos.proxy import Proxy
from tests.chaos.results import Account
from tests.chaos.sinks import BATCH, BOUND, back, judge
from tests.clickhouse_http import ClickHouseServer
from tests.helpers import until
from tests.ledger import Ledger
from tests.warehouse_process import WarehouseProcess

ledger, server, warehouses = sinks.ledger, sinks.server, sinks.warehouses  # fixtures
pytestmark = [pytest.mark.broker, pytest.mark.chaos]
LONG = os.environ.get("CHAOS_LONG") == "1"
AWAY_SECONDS = 600.0 if LONG else 20.0
SLOW_SECONDS = 15.0 if LONG else 4.0  # each way
GROWTH_MB = 400  # a block being inserted, one built and one collected, of 20,000 rows each, for every stream; and what a fetch brings
DRAINED_A_SECOND = 20_000  # rows, at least, on a machine that also runs the server and the broker
INSERT_BYTES = 50_000  # more than any question is long


@pytest.fixture
def proxy(server: ClickHouseServer) -> Iterator[Proxy]:
    started = Proxy(server.port).start()
    yield started
    started.stop()


@pytest.mark.scenario("F7", "the server away under load, then slow, then cut off after it has stored: answers lost")
def test_a_server_that_is_away_or_slow_or_whose_answers_are_lost_is_waited_for(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, server: ClickHouseServer, proxy: Proxy
) -> None:
    """One run: each fault has a drain after it, and the tables are compared at the end and on the way by `drained`."""
    warehouse = warehouses("platform", proxy.port).start()
    ledger.write(BATCH)
    warehouse.drained()
    before = peak = resident_mb(warehouse)
    server.kill()  # in the middle of an insert, as likely as not
    until_back = time.monotonic() + AWAY_SECONDS
    while time.monotonic() < until_back:
        ledger.write(BATCH)
        peak = max(peak, resident_mb(warehouse))
    assert not warehouse.ended(), "the process waits, it does not die"
    assert not warehouse.health()["ok"]
    account.figure("waiting MB", peak - before)
    account.verdict({"I10": int(peak - before > GROWTH_MB)})
    server.start()
    back(account, warehouse, BOUND + 3 * sum(ledger.acked.values()) / DRAINED_A_SECOND)
    for _ in range(3):  # stored, but the sink never hears of it
        stored = outcomes(server)
        proxy.drop_replies()
        ledger.write(BATCH)
        until(partial(stored_more, server, stored), "an insert is stored whose answer is lost", 30)
        proxy.heal()
        back(account, warehouse)
    proxy.delay(SLOW_SECONDS, jitter=0.5)
    ledger.write(BATCH)
    until(lambda: proxy.held > INSERT_BYTES, "an insert is on its slow way", 30)
    ledger.write(BATCH)
    until(lambda: outcomes(server) == sum(ledger.acked.values()), "all is stored, slowly", BOUND + 8 * SLOW_SECONDS)
    proxy.heal()
    judge(account, ledger, warehouse)
    account.held()


@pytest.mark.scenario("F7", "too many parts: the server refuses inserts till merges catch up")
def test_too_many_parts_are_waited_for(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, server: ClickHouseServer
) -> None:
    warehouse = warehouses("platform").start()
    ledger.write(BATCH)
    warehouse.drained()
    tables = ("incident_events", "state_totals", "outcome_counts")
    for table in tables:  # a fact table and two rollups: the facts are there, or only the rollup is not
        run(server, f"SYSTEM STOP MERGES liandong.{table}")
        run(server, f"ALTER TABLE liandong.{table} MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 1")
    ledger.write(BATCH)
    until(lambda: not warehouse.health()["ok"], "the sink says that the server refuses", 30)
    assert '"code": 252' in warehouse.log.read_text()
    ledger.write(BATCH)
    for table in tables:
        run(server, f"ALTER TABLE liandong.{table} RESET SETTING parts_to_delay_insert, parts_to_throw_insert")
        run(server, f"SYSTEM START MERGES liandong.{table}")
    judge(account, ledger, warehouse)
    account.held()


@pytest.mark.scenario("F8", "a server's tables came back from an older copy; then the facts' newest part vanished")
def test_tables_of_a_server_that_lost_their_newest_rows_are_filled_again(
    warehouses: Callable[..., WarehouseProcess], ledger: Ledger, account: Account, server: ClickHouseServer, tmp_path: Path
) -> None:
    warehouse = warehouses("platform").start()
    ledger.write(BATCH)
    warehouse.drained()
    assert warehouse.stop() == 0
    server.kill()
    shutil.copytree(server.directory, tmp_path / "copy", symlinks=True)
    server.start()
    warehouse.start()
    ledger.write(BATCH)
    warehouse.drained()
    assert warehouse.stop() == 0
    server.kill()
    shutil.rmtree(server.directory)
    shutil.copytree(tmp_path / "copy", server.directory, symlinks=True)
    server.start()
    warehouse.start()
    account.window("an older copy")
    back(account, warehouse)
    for count in (3, 3, 3):  # several parts, not merged into one
        ledger.write(count)
        warehouse.drained()
    assert warehouse.stop() == 0
    for table in ("incident_events", "outcomes"):
        newest = (
            "SELECT name FROM system.parts WHERE active AND database = 'liandong' AND table = '{}' ORDER BY max_block_number DESC LIMIT 1"
        )
        part = run(server, newest.format(table)).strip()
        run(server, f"ALTER TABLE liandong.{table} DROP PART '{part}'")
    warehouse.start()
    account.window("the newest part of facts")
    judge(account, ledger, warehouse)
    assert warehouse.log.read_text().count("rewound to the tables") >= 2
    account.held()


def outcomes(server: ClickHouseServer) -> int:
    """Rows stored, asked of the server itself."""
    return int(run(server, "SELECT count() FROM liandong.outcomes"))


def stored_more(server: ClickHouseServer, than: int) -> bool:
    return outcomes(server) > than


def resident_mb(warehouse: WarehouseProcess) -> float:
    return float(psutil.Process(warehouse.pid).memory_info().rss) / (1 << 20)


def run(server: ClickHouseServer, sql: str) -> str:
    answer = httpx.post(server.url, content=sql, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text
