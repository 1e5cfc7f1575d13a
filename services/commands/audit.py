"""`liandong audit states`: an independent look at whether the log, the case table and ClickHouse say the same."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from schemas.realms import Realm
from services.audit import Report, audit_states
from services.commands.options import DEFAULT, AsJson, DataDir, platform_key, print_json, running

app = typer.Typer(help="Look independently at what is stored.", no_args_is_help=True)
READ_SECONDS = 300.0


@app.callback()
def _group() -> None:
    """Look independently at what is stored."""


@app.command()
def states(
    *,
    realm: Annotated[Realm | None, typer.Option(help="Only this realm; all served ones by default.")] = None,
    wait: Annotated[
        float, typer.Option(help="Seconds without progress after which workers and sink are no longer waited for.", min=0)
    ] = 60.0,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Fold the log of events anew and compare it with the case table, the facts, the newest rows and the rollups.

    Example: liandong audit states --realm sandbox --json

    Exit code 0: all agree. 1: something differs; each difference is counted, with examples. 2: nothing differs as far as could be seen, but
    not everything could be looked at (it says what). The platform may be running and under load.
    """
    settings, state = running(data_dir)
    realms = [realm] if realm else list(settings.realm_list)
    console = Console(stderr=True, highlight=False)
    with console.status("reading") as status:
        reports = asyncio.run(_reports(state, realms, status.update, wait))
    if as_json:
        documents = [report.document() for report in reports]
        print_json(documents[0] if realm else {"agrees": all(report.agrees for report in reports), "realms": documents})
    else:
        _print(reports)
    codes = [report.exit_code for report in reports]
    raise typer.Exit(1 if 1 in codes else max(codes))


async def _reports(state: dict[str, Any], realms: list[Realm], progress: Any, wait: float) -> list[Report]:
    headers = {"Authorization": f"Bearer {platform_key(state, 'admin')}"}
    async with httpx.AsyncClient(base_url=state["read"], headers=headers, timeout=READ_SECONDS) as read:
        return [await audit_states(realm, state["bootstrap"], read, progress, still=wait) for realm in realms]


def _print(reports: list[Report]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("realm", "kind"):
        table.add_column(name)
    names = list(next(iter(reports[0].figures.values())))
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("agrees")
    for report in reports:
        for kind, figures in report.figures.items():
            wrong = any(of == kind for of, _ in report.differences)
            verdict = "NO" if wrong else "?" if any(why.startswith(f"{kind}:") for why in report.blocked) else "yes"
            table.add_row(report.realm, kind, *(f"{figures[name]:,}" for name in names), verdict)
    Console(width=140).print(table)
    for report in reports:
        for (kind, name), found in sorted(report.differences.items()):
            typer.echo(f"{report.realm} {kind} {name}: {found.count:,}")
            for example in found.examples:
                typer.echo(f"    {example}")
        for why in report.blocked:
            typer.echo(f"{report.realm} could not look: {why}")
