"""What the commands of `liandong policy` share: opening a version or a draft, its faults, tables."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.policies import Policies, latest, policies
from schemas.policy import store
from schemas.policy.checks import check as faults_of
from schemas.policy.reading import Fault, in_order
from services.commands.options import end

WIDTH = 160


def open_policies(where: str) -> Policies:
    """A version by its name, or a draft by its path; ends the command where that cannot be."""
    name = where or latest()
    if name in store.versions():
        return policies(name)
    if not Path(name).exists():
        end(f"there is no version and no path {name}; versions: {', '.join(store.versions())}", code=3)
    collection, faults = read_draft(Path(name))
    faults = in_order((*faults, *faults_of(collection)))
    if faults:
        print_faults(faults, err=True)
        end(f"{name} is not right yet")
    return Policies(collection)


def read_draft(path: Path) -> tuple[store.Collection, list[Fault]]:
    try:
        return store.draft(path, latest())
    except ValueError as error:
        end(str(error), code=3)


def print_faults(faults: list[Fault], err: bool = False) -> None:
    table = table_of("document", "pointer", "wrong", "allowed")
    for fault in faults:
        table.add_row(*(escape(cell) for cell in (fault.document, fault.pointer or "(whole)", fault.wrong, fault.allowed)))
    console(err).print(table)
    typer.echo(f"{len(faults)} wrong", err=err)


def table_of(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def console(err: bool = False) -> Console:
    """Wide where nobody watches, as wide as the window otherwise."""
    window = Console(stderr=err, highlight=False)
    return window if window.is_terminal else Console(stderr=err, highlight=False, width=WIDTH)
