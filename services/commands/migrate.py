"""`liandong migrate`: the tables, brought to this release."""

from __future__ import annotations

from typing import Annotated

import httpx
import typer

from services.commands.options import DEFAULT, AsJson, DataDir, end, platform_key, print_json
from services.embedded.state import is_locked, read_state
from services.settings import load
from services.warehouse.backend import WarehouseError, open_warehouse
from services.warehouse.migrate import EditedMigration, dump
from services.warehouse.migrate import migrate as apply


def migrate(
    *,
    show: Annotated[bool, typer.Option("--dump", help="Print the tables as the engine describes them.")] = False,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Apply new migrations. A running platform has done so at its start and is only asked."""
    settings = load(data_dir)
    state = read_state(settings.state_file)
    if state and is_locked(settings.data_dir) and not settings.clickhouse_url:
        _ask(state["read"], platform_key(state, "admin"), state["realms"][0], as_json)
        return
    try:
        warehouse = open_warehouse(settings.warehouse_dir, settings.clickhouse_url, 1)
        applied = apply(warehouse)
        text = dump(warehouse) if show else ""
        warehouse.close()
    except (WarehouseError, EditedMigration) as error:
        end(str(error))
    if as_json:
        print_json({"applied": applied} | ({"dump": text} if show else {}))
    else:
        typer.echo(text or "\n".join(applied) or "nothing to do")


def _ask(url: str, key: str, realm: str, as_json: bool) -> None:
    answer = httpx.get(f"{url}/internal/migrations", params={"realm": realm}, headers={"Authorization": f"Bearer {key}"}, timeout=30)
    if answer.status_code != 200:
        end(f"the read port answered {answer.status_code}: {answer.text[:200]}")
    held = [row["name"] for row in answer.json()["migrations"]]
    if as_json:
        print_json({"applied": [], "held": held})
    else:
        typer.echo("the running platform holds\n  " + "\n  ".join(held))
