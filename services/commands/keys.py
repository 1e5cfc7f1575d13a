"""`liandong keys`: who may come in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from schemas.divisions import divisions
from schemas.principals import Kind, Principal
from services.commands.options import DEFAULT, AsJson, DataDir, end, print_json
from services.keys import KeyStore
from services.settings import load

app = typer.Typer(help="Add, list and revoke keys. Running processes notice at once.", no_args_is_help=True)


@app.command()
def add(
    id: Annotated[str, typer.Argument(help="Stable id of the principal; the producer of what it sends.")],
    *,
    kind: Annotated[Kind, typer.Option()],
    division: Annotated[str, typer.Option(help="Code of the subtree it may act in.")],
    org: Annotated[str, typer.Option()] = "",
    person: Annotated[str, typer.Option()] = "",
    role: Annotated[str, typer.Option()] = "",
    realms: Annotated[str, typer.Option(help="Comma separated; all served ones by default.")] = "",
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its plaintext is shown this once."""
    settings = load(data_dir, realms=realms or None)
    found = divisions().get(division)
    if found is None:
        end(f"there is no division {division}", code=2)
    principal = Principal(id, kind, person, org or id, role, found.level, division, settings.realm_list)
    key = KeyStore(settings.keys_file).add(principal)
    if as_json:
        print_json({"id": id, "key": key})
    else:
        typer.echo(key)


@app.command("list")
def list_keys(data_dir: DataDir = DEFAULT, as_json: AsJson = False) -> None:
    """Who has keys. Never shows a key itself."""
    entries = KeyStore(load(data_dir).keys_file).list()
    if as_json:
        print_json([{"key_id": entry.id} | asdict(entry.principal) for entry in entries])
        return
    for entry in entries:
        who = entry.principal
        realms = ",".join(who.realms)
        typer.echo(f"{entry.id}  {who.id:<20} {who.kind:<9} {who.division:<12} {who.level:<9} {who.org:<20} {realms}")


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(help="Id of a key, or of a principal: then all its keys.")],
    data_dir: DataDir = DEFAULT,
) -> None:
    """Take keys back, at once."""
    gone = KeyStore(load(data_dir).keys_file).revoke(id)
    if not gone:
        end(f"no key and no principal is called {id}", code=3)
    typer.echo(f"{gone} revoked")
