"""`liandong case`: one case, why its deadlines are what they are, what happened to it, and who had it how long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.ids import CHINA
from schemas.realms import Realm
from services.commands.options import DEFAULT, AsJson, DataDir, end, platform_key, print_json, running
from streams.domain.clocks.words import span_words

app = typer.Typer(help="Read a case: how it stands, its deadlines explained, its timeline, its ledger.", no_args_is_help=True)
Case = Annotated[str, typer.Argument(metavar="ID", help="Id or case number.")]
InRealm = Annotated[Realm, typer.Option("--realm")]
AsOf = Annotated[str, typer.Option("--as-of", metavar="TIME", help="As known then: 2026-11-22T08:30:00+08:00, or a day.")]
SECONDS = 30.0
PAGE = 500
WIDTH = 160  # where nobody looks: no cell is folded for a screen that is not there
CONDITIONS = ("working", "untaken", "unsigned", "suspended", "shelved")
TIMES = ("opened_at", "occurred_at", "received_at", "updated_at")


@app.callback()
def _group() -> None:
    """Read a case."""


@app.command()
def show(case: Case, *, realm: InRealm = Realm.LIVE, data_dir: DataDir = DEFAULT, as_json: AsJson = False) -> None:
    """How a case stands, and its stage in the flow "4+2".

    Example: liandong case show 440305-20261122-7K3M9QXC
    """
    found = _ask(data_dir, f"/v1/cases/{_segment(case)}", realm)
    if as_json:
        print_json(found)
        return
    stages = found.pop("stages")
    for name, value in found.items():
        typer.echo(f"{name:15} {_time(value) if name in TIMES else value}")
    for one in stages:
        flow, stage = one["flow_name"], one["stage_name"]
        typer.echo(f"{'stage':15} {flow['zh']} {stage['zh']}  {flow['en']}: {stage['en']}")


@app.command()
def explain(case: Case, *, as_of: AsOf = "", realm: InRealm = Realm.LIVE, data_dir: DataDir = DEFAULT, as_json: AsJson = False) -> None:
    """Every clock of a case: what it is held to by which paper, why it is due when it is due, and what is left.

    Example: liandong case explain 440305-20261122-7K3M9QXC --realm sandbox
    """
    found = _ask(data_dir, f"/v1/cases/{_segment(case)}/deadlines", realm, as_of=as_of)
    if as_json:
        print_json(found)
        return
    _head(found)
    if not found["clocks"]:
        typer.echo("no clock: its own system counts (mirrored)" if found["mirrored"] else "no clock was started")
    for clock in found["clocks"]:
        name, policy = clock["purpose_name"], clock["policy"]
        typer.echo(f"\n{name['zh']} {name['en']}  {clock['holder']} ({clock['level']})  {_standing(clock)}")
        typer.echo(f"  {clock['sentence']['zh']}")
        typer.echo(f"  {clock['sentence']['en']}")
        certainty = f" [{policy['certainty']}: {policy['certainty_name']}]" if policy["certainty"] else ""
        typer.echo(f"  {policy['document'] or 'source'}: {policy['source']}{certainty}; calendar {clock['calendar']}")
        if clock["articles"]:
            typer.echo(f"  {', '.join(clock['articles'])}")
        if clock["contest"]:
            contest = clock["contest"]
            typer.echo(f"  contested by {contest['by']} ({contest['reason']}): {contest['state']}")


@app.command()
def timeline(case: Case, *, realm: InRealm = Realm.LIVE, data_dir: DataDir = DEFAULT, as_json: AsJson = False) -> None:
    """What happened to a case, in order.

    Example: liandong case timeline 440305-20261122-7K3M9QXC
    """
    events: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = _ask(data_dir, f"/v1/cases/{_segment(case)}/timeline", realm, after=after, limit=PAGE)
        events, after = events + page["events"], page["next"]
    if as_json:
        print_json({"case_id": page["case_id"], "events": events})
        return
    rows = (
        (e["seq"], _time(e["occurred_at"]), e["type"].partition(".")[2], e["state"], f"{e['holder']} ({e['holder_level']})",
         e["actor_org"] or e["cause"], " ".join(filter(None, (e["reason"], e["rule"]))))
        for e in events
    )  # fmt: skip
    _table(("", "when", "event", "state after", "holder", "by", "why"), rows)


@app.command()
def ledger(case: Case, *, as_of: AsOf = "", realm: InRealm = Realm.LIVE, data_dir: DataDir = DEFAULT, as_json: AsJson = False) -> None:
    """Who had a case how long, at which level and in which condition; the sum is the total. And its breaches, with their rulings.

    Example: liandong case ledger 440305-20261122-7K3M9QXC --as-of 2026-11-23
    """
    found = _ask(data_dir, f"/v1/cases/{_segment(case)}/ledger", realm, as_of=as_of)
    if as_json:
        print_json(found)
        return
    _head(found)
    rows = [[row["holder"], row["level"], *_sums(row)] for row in found["holders"]]
    _table(("holder", "level", *CONDITIONS, "total"), [*rows, ["total", "", *_sums(found)]])
    breaches = found["breaches"]
    typer.echo(f"\nbreaches: {breaches['told']} told, {breaches['standing']} standing, {breaches['contested']} contested")
    for one in breaches["items"]:
        ruling = f", {one['contest']['state']} ({one['contest']['by']}: {one['contest']['reason']})" if one["contest"] else ""
        typer.echo(f"  {one['purpose_name']['zh']} {one['holder']}: due {_time(one['due_at'])}, {one['breach']}{ruling}")


def _ask(data_dir: Any, path: str, realm: Realm, **params: Any) -> dict[str, Any]:
    """The read port's answer to an administrator; ends the command where there is none."""
    _, state = running(data_dir)
    asked = {"realm": realm.value} | {name: value for name, value in params.items() if value not in ("", None)}
    headers = {"Authorization": f"Bearer {platform_key(state, 'admin')}"}
    try:
        answer = httpx.get(f"{state['read']}{path}", params=asked, headers=headers, timeout=SECONDS)
    except httpx.HTTPError as error:
        end(f"the read port does not answer ({type(error).__name__})")
    if answer.status_code == 404:
        end(f"no such case in realm {realm.value}; the platform serves {', '.join(state['realms'])}", code=3)
    if answer.status_code == 422:
        end("; ".join(f"{error['pointer'][1:].replace('_', '-')}: {error['detail']}" for error in answer.json()["errors"]), code=2)
    if answer.status_code != 200:
        end(f"the read port answered {answer.status_code}: {answer.text[:200]}")
    found: dict[str, Any] = answer.json()
    return found


def _segment(case: str) -> str:
    """Ends the command for what can be no id and no case number."""
    return case if case.replace("-", "").isalnum() and case.isascii() else end(f"{case[:60]!r} is no case id and no case number", code=2)


def _head(found: dict[str, Any]) -> None:
    typer.echo(f"{found['case_number']}  {found['division_name']}  {found['state']}  {found['holder']} ({found['holder_level']})")
    typer.echo(f"as of {_time(found['as_of'])}")


def _standing(clock: dict[str, Any]) -> str:
    """What a clock shows in a few words."""
    words = [clock["status"], clock["light_name"]["zh"]]
    if clock["left"]:
        words.append(clock["left"]["zh"])
    if clock["breach"] != "none":
        words.append(clock["breach"])
    return ", ".join([*words, *(["provisional 暂定"] if clock["provisional"] else [])])


def _sums(row: dict[str, Any]) -> list[str]:
    return [span_words(row[f"{name}_ms"]).en if row[f"{name}_ms"] else "-" for name in (*CONDITIONS, "total")]


def _table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=WIDTH)).print(table)


def _time(ms: int | None) -> str:
    return datetime.fromtimestamp(ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S") if ms else "-"
