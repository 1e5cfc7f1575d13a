"""`liandong audit states`: an independent look at whether the log, the case table and ClickHouse say the same.
`liandong audit timers`: an independent look at whether every deadline was told, once, at its own time."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from schemas.realms import Realm
from services.audit import Report, audit_states
from services.audit.timers import TimersReport, audit_timers
from services.clock import now_ms
from services.commands.options import DEFAULT, AsJson, DataDir, platform_key, print_json, running

app = typer.Typer(help="Look independently at what is stored.", no_args_is_help=True)
READ_SECONDS = 300.0
TELL_SECONDS = 30.0


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


@app.command()
def timers(
    *,
    realm: Annotated[Realm | None, typer.Option(help="Only this realm; all served ones by default.")] = None,
    late_after: Annotated[float, typer.Option(help="Seconds after which what is due and not told yet counts as missing.", min=0)] = 60.0,
    heartbeat: Annotated[
        str, typer.Option(help="URL that the verdict is posted to, only if it is exact: an outside dead-man's switch.")
    ] = "",
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Derive every deadline anew from the log of events and the policies, and compare it with what was told, when, and how often.

    Example: liandong audit timers --realm sandbox --json

    Exit code 0: exact. 1: something differs; each difference is counted, with examples. 2: nothing differs as far as could be seen, but
    not everything could be looked at, or nobody took the heartbeat (it says what). The platform may be running and under load.
    """
    settings, state = running(data_dir)
    realms = [realm] if realm else list(settings.realm_list)
    reports = asyncio.run(_timers(state["bootstrap"], realms, int(late_after * 1000)))
    documents = [report.document() for report in reports]
    document = documents[0] if realm else {"exact": all(report.exact for report in reports), "realms": documents}
    if as_json:
        print_json(document)
    else:
        _print_timers(reports)
    codes = [report.exit_code for report in reports]
    code = 1 if 1 in codes else max(codes)
    if heartbeat and not code:
        code = _beat(heartbeat, document)
    raise typer.Exit(code)


async def _timers(bootstrap: str, realms: list[Realm], late_after: int) -> list[TimersReport]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found = []
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        for realm in realms:
            task = bar.add_task(realm.value, total=None)

            def read(what: str, done: int, total: int, task: Any = task, name: str = realm.value) -> None:
                bar.update(task, description=f"{name} {what}", completed=done, total=total)

            found.append(await audit_timers(realm, bootstrap, now_ms, read, late_after=late_after))
    return found


def _beat(url: str, document: dict[str, Any]) -> int:
    """Posts the verdict; 2 if nobody took it."""
    try:
        httpx.post(url, json=document, timeout=TELL_SECONDS).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        typer.echo(f"liandong: exact, and {url} did not take the heartbeat ({type(error).__name__})", err=True)
        return 2
    return 0


def _print_timers(reports: list[TimersReport]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("realm")
    for name in ("events", "cases", "clocks", "firings", "late p50 ms", "p99", "max", "pending", "events/s"):
        table.add_column(name, justify="right")
    table.add_column("exact")
    for report in reports:
        late = report.lateness()
        figures = [report.figures[name] for name in ("events", "cases", "clocks", "firings")]
        numbers = [*figures, late["p50"], late["p99"], late["max"], len(report.pending), round(report.figures["events"] / report.seconds)]
        verdict = "NO" if report.differences else "yes" if report.exact else "?"
        table.add_row(report.realm, *(f"{number:,}" for number in numbers), verdict)
    Console(width=140).print(table)
    for report in reports:
        for name, found in sorted(report.differences.items()):
            typer.echo(f"{report.realm} {name}: {found.count:,}")
            for example in found.examples:
                typer.echo(f"    {example}")
        for why, count in sorted(report.not_looked_at.items()):
            typer.echo(f"{report.realm} not looked at: {count:,} {why}")
        for why in report.blocked:
            typer.echo(f"{report.realm} could not look: {why}")
