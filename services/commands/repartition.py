"""`liandong repartition`: a platform moved to topics with another number of partitions."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from services.commands.options import DEFAULT, AsJson, DataDir, end, print_json
from services.settings import load


def repartition(
    *,
    to_data_dir: Annotated[Path, typer.Option("--to-data-dir", help="An empty directory: the new platform's.")],
    partitions: Annotated[int, typer.Option(help="Partitions of every topic of the new platform.", min=1, max=1000)] = 48,
    to: Annotated[str, typer.Option("--to", help="Brokers of the new Kafka cluster; an embedded broker in the new directory else.")] = "",
    replication_factor: Annotated[int, typer.Option(help="Of the new topics; 0: 3 on a cluster, 1 embedded.", min=0)] = 0,
    clickhouse_url: Annotated[str, typer.Option(help="The new platform's ClickHouse server, if it has one.")] = "",
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Re-produce every record of a stopped platform by key into topics with another number of partitions, and compare both.

    The old platform is only read. A killed run goes on where it was when it is started again. Exit code 1 when anything differs.
    """
    from aiokafka.errors import KafkaError

    from services.embedded.broker import BrokerError
    from services.embedded.jars import JarError
    from services.embedded.java import JavaError
    from services.embedded.state import AlreadyRunning
    from services.repartition.run import Order, repartition
    from services.repartition.topics import CannotRepartition
    from services.warehouse.backend import WarehouseError

    settings = load(data_dir)
    if not settings.data_dir.exists():
        end(f"there is no platform in {data_dir}.", code=3)
    order = Order(settings, to_data_dir.absolute(), partitions, to, clickhouse_url, replication_factor)
    bars = Bars()
    try:
        account = repartition(order, bars)
    except (CannotRepartition, AlreadyRunning, BrokerError, JavaError, JarError, WarehouseError, KafkaError, OSError) as error:
        bars.stop()
        end(str(error))
    bars.stop()
    if as_json:
        print_json(account)
    else:
        _print(account)
    if not account["equal"]:
        raise typer.Exit(1)


class Bars:
    """Progress on standard error: bars on a terminal, a line each elsewhere."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=self._console
        )
        if self._console.is_terminal:
            self._progress.start()

    def note(self, text: str) -> None:
        self._console.print(f"[{time.monotonic() - self._began:6.1f} s] {text}", markup=False)

    def bar(self, text: str, total: int) -> Callable[[int], None]:
        if not self._console.is_terminal:
            if total:
                self.note(f"{text}: {total:,} records")
            return lambda _: None
        task = self._progress.add_task(text, total=total)
        return lambda count: self._progress.advance(task, count)

    def stop(self) -> None:
        self._progress.stop()


def _print(account: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("topic", "read", "written", "held", "in order", "equal"):
        table.add_column(name, justify="left" if name == "topic" else "right", overflow="fold")
    for row in account["topics"]:
        order = "yes" if not (row["disorder"] or row["misplaced"]) else f"NO ({row['disorder'] + row['misplaced']})"
        table.add_row(row["topic"], *(f"{row[n]:,}" for n in ("read", "written", "held")), order, "yes" if row["equal"] else "NO")
    for row in account["tables"]:
        table.add_row(row["topic"], *(f"{row[n]:,}" for n in ("keys", "written", "held")), "", "yes" if row["equal"] else "NO")
    Console().print(table)
    for name in account["not_ours"]:
        typer.echo(f"left out, not a topic of ours: {name}")
    for name, rows in account["carried_rows"].items():
        typer.echo(f"carried over in the warehouse, as Kafka no longer has their records: {rows:,} rows of {name}")
    if account["equal"]:
        typer.echo(f"equal. Next: liandong up --data-dir {account['data_dir']}; the old one must not be started again.")
    else:
        typer.echo("NOT equal: the new platform must not be started; nothing of the old one was changed.")
