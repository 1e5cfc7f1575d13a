"""`liandong reconcile`: the proof that nothing was lost or doubled."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import httpx
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from schemas.realms import Realm
from services.acks import AckReader
from services.adapters.topic_log import CannotLook
from services.commands.options import DEFAULT, AsJson, DataDir, end, platform_key, print_json, running
from services.reconcile import Reconciliation
from services.settings import Settings

FIGURES = ("acknowledged", "unacknowledged", "applied", "repeated", "refused", "dead", "facts", "pages_due", "pages")
FAULTS = ("missing", "duplicated", "unexplained", "rollup_mismatches")
READ_SECONDS = 300.0


def reconcile(
    *,
    realm: Annotated[Realm | None, typer.Option(help="Only this realm; all served ones by default.")] = None,
    wait: Annotated[
        float, typer.Option(help="Seconds without progress after which what is not yet stored counts as missing.", min=0)
    ] = 60.0,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Compare what departments were promised with Kafka and ClickHouse, row by row. Exit code 1 when it is not exact."""
    settings, state = running(data_dir)
    realms = [realm] if realm else list(settings.realm_list)
    console = Console(stderr=True, highlight=False)
    with console.status("reading") as status:
        try:
            accounts = asyncio.run(_accounts(settings, state, realms, wait, status.update))
        except CannotLook as error:
            end(str(error))
        except KafkaError as error:
            end(f"Kafka does not answer ({type(error).__name__})")
    whole = _whole(accounts)
    if as_json:
        print_json(accounts[0] if realm else whole | {"realms": accounts})
    else:
        _print(accounts)
    if not whole["exact"]:
        raise typer.Exit(1)


async def _accounts(settings: Settings, state: dict[str, Any], realms: list[Realm], wait: float, progress: Any) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {platform_key(state, 'admin')}"}
    async with httpx.AsyncClient(base_url=state["read"], headers=headers, timeout=READ_SECONDS) as read:
        return [await Reconciliation(realm, state["bootstrap"], read, progress).run(AckReader(settings.acks_dir), wait) for realm in realms]


def _whole(accounts: list[dict[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {name: sum(account[name] for account in accounts) for name in (*FIGURES, *FAULTS)}
    return figures | {"exact": all(account["exact"] for account in accounts)}


def _print(accounts: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("realm")
    for account in accounts:
        table.add_column(account["realm"], justify="right")
    for name in (*FIGURES, *FAULTS):
        table.add_row(name.replace("_", " "), *(f"{account[name]:,}" for account in accounts))
    table.add_row("exact", *("yes" if account["exact"] else "NO" for account in accounts))
    Console().print(table)
    for account in accounts:
        for line in account["by_partition"]:
            if line["pages_due"] != line["pages"]:
                typer.echo(f"{line['topic']} partition {line['partition']}: {line['pages']} of {line['pages_due']} pages are stored")
            for example in line["examples"]:
                typer.echo(f"{line['topic']} partition {line['partition']}: {example}")
        for line in account["intake"]:
            if line["missing"]:
                typer.echo(
                    f"{line['topic']} partition {line['partition']}: {line['missing']} of {line['records']} neither relayed nor dead"
                )
        for name, rows in account["rollups"].items():
            typer.echo(f"{name}: {rows[0]['keys']} keys differ from a recount, e.g. {rows[0]['key']}")
        for why in account["failing"]:
            typer.echo(f"{account['realm']}: the sink is waiting: {why}")
