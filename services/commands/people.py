"""`liandong people`: users, posts, duty rosters; who is on duty, where nobody is; first passwords."""

from __future__ import annotations

import getpass
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.commands.options import DEFAULT, AsJson, DataDir, end, platform_key, print_json, running

app = typer.Typer(help="Import and list people, see who is on duty and where nobody is, set first passwords.", no_args_is_help=True)
SECONDS = 120.0
SHANGHAI = timezone(timedelta(hours=8))
KINDS = ("users", "posts", "rosters")
DAY_MS = 86_400_000
WIDTH = 160


@app.command("import")
def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="TOML, or CSV with Chinese or English headings; together one import.")
    ],
    *,
    check: Annotated[bool, typer.Option("--check", help="Only look for errors.")] = False,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take users, posts and rosters: all of them, or none. Every error is told with file, row and column. Exit code 1 if there are any.

    What there is already and stands in no file stays. Overrides and swaps of a roster that there is: `liandong people import-changes`.

    Example: liandong people import 人员.csv 岗位.csv 值班表.csv

    Example: liandong people import --check duty.toml
    """
    from services.people.files import BadFile, gather

    began = time.monotonic()
    try:
        found = gather(files)
    except (BadFile, OSError) as error:
        end(str(error), code=2)
    counts = ", ".join(f"{len(found.people[kind])} {kind}" for kind in KINDS)
    _say(began, f"read {counts}")
    _sent(data_dir, "/v1/people:import", found, found.people, check=check, as_json=as_json, began=began)


@app.command("import-changes")
def import_changes(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV: 值班席,替班人,被替人,起,止,事由; without 被替人 instead of all layers.")
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look for errors.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Desks that the file names keep no others than its rows.")] = False,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take overrides 替班 and swaps 换班 of duty rosters, a row each: all of them, or none. Every error is told with row and column.
    Exit code 1 if there are any. What stands there already stays once.

    Example: liandong people import-changes 替班.csv --dry-run
    """
    from services.people.files import BadFile, gather_changes

    began = time.monotonic()
    try:
        found = gather_changes(file)
    except (BadFile, OSError) as error:
        end(str(error), code=2)
    _say(began, f"read {len(found.people['changes'])} changes")
    body = {**found.people, "replace": replace}
    _sent(data_dir, "/v1/people/changes:import", found, body, check=dry_run, as_json=as_json, began=began)


@app.command("export-changes")
def export_changes(
    division: Annotated[str, typer.Argument(help="A division: the rosters of its subtree.")] = "440000",
    *,
    output: Annotated[Path | None, typer.Option("--output", help="A file that Excel opens; standard output without it.")] = None,
    data_dir: DataDir = DEFAULT,
) -> None:
    """Overrides and swaps of duty rosters as CSV, as `import-changes` takes it.

    Example: liandong people export-changes 440300 --output 替班.csv
    """
    from schemas.divisions import divisions, is_within
    from schemas.people.records import desk_division
    from services.people.files import changes_csv

    if division not in divisions():
        end(f"there is no division {division}", code=2)
    text = changes_csv(one for one in _listed(data_dir, "rosters") if is_within(desk_division(one["desk"]), division))
    if output:
        output.write_text(text, encoding="utf-8-sig", newline="")
    else:
        sys.stdout.write(text)


@app.command("list")
def list_people(
    kind: Annotated[str, typer.Argument(metavar="[users|posts|rosters]")] = "users", *, data_dir: DataDir = DEFAULT, as_json: AsJson = False
) -> None:
    """Users, posts or rosters. Never shows a contact's address.

    Example: liandong people list posts
    """
    if kind not in KINDS:
        end(f"there is no list of {kind}; there are {', '.join(KINDS)}", code=2)
    rows = _listed(data_dir, kind)
    if as_json:
        print_json(rows)
        return
    cells: list[tuple[Any, ...]]
    if kind == "users":
        cells = [(u["id"], u["name"], u["org"], "" if u["active"] else "not active", ",".join(u["posts"]), ",".join(u["channels"]),
                  "set" if u["password"] else "none") for u in rows]  # fmt: skip
        _print(("id", "name", "org", "", "posts", "channels", "password"), cells)
    elif kind == "posts":
        cells = [(p["id"], p["user"], p["role"], p["org"], p["level"], p["division"], _when(p["since"]), _when(p["until"])) for p in rows]
        _print(("id", "user", "role", "org", "level", "division", "since", "until"), cells)
    else:
        cells = [(r["desk"], " > ".join(layer["name"] for layer in r["layers"]), len(r["overrides"]), len(r["swaps"])) for r in rows]
        _print(("desk", "layers", "overrides", "swaps"), cells)


@app.command()
def duty(
    desk: Annotated[str, typer.Argument(help="A desk, such as 440305-desk, or its division.")],
    *,
    at: Annotated[str, typer.Option(help="Another moment than now, such as '2026-11-22 08:30'.")] = "",
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Who is on duty, and till when. Exit code 1: nobody.

    Example: liandong people duty 440305 --at "2026-11-22 22:00"
    """
    from schemas.divisions import divisions

    division = desk.removesuffix("-desk")
    if division not in divisions():
        end(f"there is no division {division}", code=2)
    params = {"at": at} if at else {}
    found = _ask(data_dir, "GET", f"/v1/desks/{division}/{divisions()[division].level}/duty", params=params, only_right=True).json()
    if as_json:
        print_json(found)
    else:
        names = "、".join(f"{one['name']} ({one['person']})" for one in found["persons"])
        till = f", till {_when(found['next_change'])}" if found["next_change"] else ""
        nobody = "nobody is on duty" if found["roster"] else "there is no roster"
        typer.echo(f"{found['desk']} {found['division_name']} {_when(found['at'])}: {names or nobody}{till}")
    if not found["on_duty"]:
        raise typer.Exit(1)


@app.command()
def gaps(
    division: Annotated[str, typer.Argument(help="A division: all rosters of its subtree.")] = "440000",
    *,
    days: Annotated[int, typer.Option(min=1, max=92, help="How far to look ahead.")] = 7,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """When nobody is on duty at desks that have a roster. Exit code 1: there are gaps.

    Example: liandong people gaps 440300 --days 14
    """
    now = time.time_ns() // 1_000_000
    span = {"since": str(now), "until": str(now + days * DAY_MS)}
    found = _ask(data_dir, "GET", "/v1/rosters", params={"division": division} | span, only_right=True).json()
    if as_json:
        print_json(found)
    else:
        rows = [(one["desk"], _when(gap["start"]), _when(gap["until"])) for one in found["with_gaps"] for gap in one["gaps"]]
        if rows:
            _print(("desk", "nobody from", "till"), rows)
        typer.echo(f"{len(found['with_gaps'])} of {found['rosters']} rosters have gaps within {days} days")
    if found["with_gaps"]:
        raise typer.Exit(1)


@app.command()
def password(
    user: Annotated[str, typer.Argument(help="Id of a user.")],
    *,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from standard input, one line.")] = False,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Set a user's password; needs no running platform. It is asked for, or read from standard input; it is never on the command line.
    Sessions of the user end.

    Example: liandong people password 4403-0017
    """
    from services.clock import now_ms
    from services.embedded.state import is_locked
    from services.people.passwords import Passwords, WeakPassword
    from services.settings import load

    if is_locked(load(data_dir).data_dir):
        _ask(data_dir, "GET", f"/v1/people/users/{user}", only_right=True)
    text = sys.stdin.readline().rstrip("\r\n") if stdin else getpass.getpass(f"password of {user}: ")
    if not stdin and getpass.getpass("again: ") != text:
        end("the two are not the same", code=2)
    try:
        Passwords(load(data_dir).passwords_file).set(user, text, now_ms())
    except WeakPassword as error:
        end(str(error), code=2)
    if as_json:
        print_json({"user": user, "set": True})
    else:
        typer.echo(f"set; {user} logs in with POST /v1/sessions")


def _sent(data_dir: Path, path: str, found: Any, body: Any, *, check: bool, as_json: bool, began: float) -> None:
    """Sends an import, tells what is wrong with it by file, row and column, and ends with 1 if anything is."""
    answer = _ask(data_dir, "POST", path, json=body, params={"dry_run": "true" if check else "false"})
    errors = (
        [_error(found, one) for one in answer.json().get("errors", [])] if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY else []
    )
    if answer.is_error and not errors:
        end(_detail(answer))
    _say(began, f"{len(errors)} wrong: nothing was taken" if errors else "right" if check else "taken")
    if as_json:
        counts = {kind: len(rows) for kind, rows in found.people.items()}
        print_json({"right": not errors, "taken": not errors and not check, "errors": errors} | counts)
    elif errors:
        _print(("file", "row", "column", "wrong"), [(e["file"], e["row"] or "", e["column"], e["detail"]) for e in errors], err=True)
    if errors:
        raise typer.Exit(1)


def _listed(data_dir: Path, kind: str) -> list[dict[str, Any]]:
    """All of a kind, page by page."""
    rows: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = _ask(data_dir, "GET", f"/v1/people/{kind}", params={"after": after}, only_right=True).json()
        rows += page["items"]
        after = page["next"]
    return rows


def _ask(data_dir: Path, method: str, path: str, *, only_right: bool = False, **more: Any) -> httpx.Response:
    """The gateway's answer to the platform's administrator; ends the command where there is none, with `only_right` also for a refusal."""
    _, state = running(data_dir)
    headers = {"Authorization": f"Bearer {platform_key(state, 'admin')}"}
    realm = {"realm": state["realms"][0]}
    try:
        with httpx.Client(base_url=state["gateway"], timeout=SECONDS, trust_env=False) as http:
            answer = http.request(method, path, headers=headers, **(more | {"params": realm | more.get("params", {})}))
    except httpx.HTTPError as error:
        end(f"the gateway does not answer: {error!r}")
    if only_right and answer.is_error:
        end(_detail(answer), code=2)
    return answer


def _detail(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except ValueError:
        return f"the gateway answered {answer.status_code}"
    said = "; ".join(f"{one['pointer']} {one['detail']}".strip() for one in problem.get("errors", []))
    return f"{problem.get('title', answer.status_code)}: {said or problem.get('detail', '')}"


def _error(found: Any, error: dict[str, str]) -> dict[str, Any]:
    place = found.where(error["pointer"])
    return {"file": place.file, "row": place.row, "column": place.column, "detail": error["detail"]}


def _say(began: float, text: str) -> None:
    typer.echo(f"[{time.monotonic() - began:5.1f} s] {text}", err=True)


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, SHANGHAI).strftime("%Y-%m-%d %H:%M") if at else ""


def _print(titles: tuple[str, ...], rows: list[tuple[Any, ...]], err: bool = False) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console = Console(stderr=err, highlight=False)
    (console if console.is_terminal else Console(stderr=err, highlight=False, width=WIDTH)).print(table)
