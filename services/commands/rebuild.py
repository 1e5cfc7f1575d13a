"""`liandong rebuild`: all ClickHouse tables anew, from Kafka and from what the old tables know alone; and the index of persons."""

from __future__ import annotations

import time
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.realms import Realm
from services.clock import now_ms
from services.commands.options import DEFAULT, AsJson, DataDir, end, platform_key, print_json, running
from services.warehouse.rebuild.book import place_order

app = typer.Typer(help="Make stored things anew.", no_args_is_help=True)
POLL_SECONDS = 0.5
WORDS = {
    "": "waiting for the warehouse", "begun": "putting the old tables aside", "aside": "asking Kafka what it has",
    "cut": "carrying over rows that Kafka no longer has", "carried": "moving back in Kafka", "filling": "reading from Kafka",
}  # fmt: skip


@app.callback()
def _group() -> None:
    """Make stored things anew."""


@app.command()
def warehouse(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Build all ClickHouse tables anew from Kafka, while departments send and workers decide. Reads answer 503 until it is done.

    Example: liandong rebuild warehouse --yes --json

    Rows that only the old tables have are carried over. A rebuild that is under way is joined, not begun again; it goes on when this
    command or any process is killed. Exit code 0: whole. 1: some records are in neither Kafka nor the old tables (it says which).
    """
    settings, state = running(data_dir)
    port = _Port(state["read"], platform_key(state, "admin"), settings.realm_list[0])
    found = port.ask()
    if found is not None and found["step"] not in ("", "done"):
        order = found["order"]
        typer.echo("a rebuild is under way, joining it", err=True)
    else:
        if not yes:
            typer.confirm("Reads and screens stand still until the tables are built anew. Go on?", abort=True, err=True)
        order = now_ms()
        place_order(settings.data_dir, order)
    result = _followed(port, order)
    if as_json:
        print_json({"order": order, "whole": not result["missing"], **result})
    else:
        _print(result)
    raise typer.Exit(1 if result["missing"] else 0)


@app.command()
def search(*, data_dir: DataDir = DEFAULT, as_json: AsJson = False) -> None:
    """Fill the gateway's index of persons anew from what was sealed, while departments send; till then searches say so.

    Example: liandong rebuild search --json
    """
    settings, state = running(data_dir)
    headers, realm = {"Authorization": f"Bearer {platform_key(state, 'admin')}"}, {"realm": settings.realm_list[0].value}

    def ask(method: str, path: str) -> dict[str, Any]:
        try:
            answer = httpx.request(method, state["gateway"] + path, params=realm, headers=headers, timeout=30)
        except httpx.HTTPError as error:
            end(f"the gateway does not answer ({type(error).__name__})")
        if answer.is_error:
            end(f"the gateway answered {answer.status_code}: {answer.text[:200]}")
        found: dict[str, Any] = answer.json()
        return found

    found = ask("POST", "/internal/search/rebuild")
    while found["running"]:
        time.sleep(POLL_SECONDS)
        found = ask("GET", "/internal/search")
    if as_json:
        print_json(found)
    else:
        typer.echo(f"{found['read']:,} sealed records read; search by person is {'whole' if found['whole'] else 'NOT whole'}")
    raise typer.Exit(0 if found["whole"] else 1)


class _Port:
    """The read port, which is away while the warehouse process starts anew."""

    def __init__(self, url: str, key: str, realm: Realm) -> None:
        self._url, self._headers, self._realm = url, {"Authorization": f"Bearer {key}"}, {"realm": realm.value}

    def ask(self) -> dict[str, Any] | None:
        """None while nobody answers."""
        try:
            answer = httpx.get(f"{self._url}/internal/rebuild", params=self._realm, headers=self._headers, timeout=10)
        except httpx.HTTPError:
            return None
        if answer.status_code in (401, 404):
            end(f"the read port answered {answer.status_code}: {answer.text[:200]}")
        found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
        return found


def _followed(port: _Port, order: int) -> dict[str, Any]:
    """Shows how far it is, till it is done."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} of {task.total:,}"), TimeElapsedColumn())
    said = ""
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(WORDS[""], total=0)
        while True:
            found = port.ask()
            if found is not None and found["order"] >= order and found["step"] == "done":
                result: dict[str, Any] = found["result"]
                return result
            ours = found is not None and found["order"] >= order
            words = WORDS[found["step"]] if found is not None and ours else WORDS[""]
            if found is not None and ours:
                progress.update(task, description=words, completed=found["done"], total=found["total"] or found["done"])
            if words != said and not console.is_terminal:
                console.print(words)
            said = words
            time.sleep(POLL_SECONDS)


def _print(result: dict[str, Any]) -> None:
    carried = sum(result["carried"].values())
    typer.echo(
        f"rebuilt in {result['seconds']:,.1f} s: {result['read']:,} records read from Kafka, {carried:,} rows carried over, "
        f"{result['derived_deltas']:,} deltas made from events"
    )
    for gap in result["missing"]:
        typer.echo(
            f"MISSING: {gap['topic']} partition {gap['partition']}, offsets {gap['from']:,} to {gap['to'] - 1:,}: neither Kafka nor the "
            "old tables have these records"
        )
    if result["missing"] and not result["old_tables"]:
        typer.echo("there were no old tables to carry rows from")
