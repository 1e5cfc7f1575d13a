"""`liandong`: the composition root. Commands live in services/commands, one module each, and are imported when they are called for."""

from __future__ import annotations

import sys
from importlib import import_module

HELP = "Liandong 联动: real-time coordination between province, city and county."

COMMANDS: dict[str, str] = {
    "up": "services.commands.up",
    "down": "services.commands.down",
    "status": "services.commands.status",
    "logs": "services.commands.logs",
    "migrate": "services.commands.migrate",
    "replay": "services.commands.replay",
    "reconcile": "services.commands.reconcile",
    "audit": "services.commands.audit",
    "rebuild": "services.commands.rebuild",
    "dlq": "services.commands.dlq",
    "case": "services.commands.case",
    "repartition": "services.commands.repartition",
    "keys": "services.commands.keys",
    "people": "services.commands.people",
    "policy": "services.commands.policy",
}
"""Name of the command -> module with `app` (a typer.Typer with commands of its own) or a function of the command's name."""


def main() -> None:
    """Entry point of `liandong`."""
    if sys.argv[1:2] == ["run"]:
        from services.commands.run import run

        sys.exit(run(sys.argv[2:]))
    import typer

    root = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    root.callback()(_root)
    called = sys.argv[1] if len(sys.argv) > 1 else ""
    for name in [called] if called in COMMANDS else COMMANDS:
        module = import_module(COMMANDS[name])
        if hasattr(module, "app"):
            root.add_typer(module.app, name=name)
        else:
            root.command(name)(getattr(module, name))
    root()


def _root() -> None:
    """Without a callback, Typer would take the only command mounted for the program itself."""


if __name__ == "__main__":
    main()
