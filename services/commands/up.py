"""`liandong up`: starts a platform and keeps it running."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from services.commands.options import DEFAULT, AsJson, DataDir, end, print_json
from services.commands.progress import Progress
from services.embedded.loglines import last_words
from services.embedded.state import private_directory, read_state
from services.settings import Settings, load

REALM_SHOWN = "sandbox"
"""The realm of the printed links: the simulation feeds it, so there is something to see."""


def up(
    *,
    data_dir: DataDir = DEFAULT,
    detach: Annotated[bool, typer.Option("--detach", help="Return once everything is ready.")] = False,
    as_json: AsJson = False,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Delete the data when it stops.")] = False,
    no_simulation: Annotated[bool, typer.Option("--no-simulation", help="Leave the sandbox realm empty.")] = False,
    gateway_port: Annotated[int | None, typer.Option(help="0: a free one.")] = None,
    dashboard_port: Annotated[int | None, typer.Option(help="0: a free one.")] = None,
    realms: Annotated[str | None, typer.Option(help="Comma separated: live, sandbox, replay, drill.")] = None,
    java: Annotated[str | None, typer.Option(help="Java 17 or newer to run Kafka with.")] = None,
    silent: Annotated[bool, typer.Option("--silent", hidden=True, help="For --detach: its log is no place for keys.")] = False,
) -> None:
    """Start Kafka, agents, warehouse, gateway and screens on this machine."""
    if ephemeral and data_dir == DEFAULT:
        data_dir = Path(tempfile.mkdtemp(prefix="liandong-"))
    try:
        settings = load(data_dir, gateway_port=gateway_port, dashboard_port=dashboard_port, realms=realms, java=java)
    except ValidationError as error:
        end("; ".join(f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors()), code=2)
    from services.repartition.note import unfinished

    if unfinished(settings.data_dir):
        end(f"a repartitioning into {settings.data_dir} was begun and has not ended: start `liandong repartition` again.")
    if detach:
        _detached(settings, as_json, sys.argv)
    else:
        _foreground(settings, "" if silent else "json" if as_json else "words", simulate=not no_simulation, ephemeral=ephemeral)


def _foreground(settings: Settings, answer: str, *, simulate: bool, ephemeral: bool) -> None:
    from services.embedded.broker import BrokerError
    from services.embedded.jars import JarError
    from services.embedded.java import JavaError
    from services.embedded.platform import Callbacks, CannotStart, run_platform
    from services.embedded.state import AlreadyRunning
    from services.embedded.supervisor import StartError
    from services.embedded.topics import TopicError

    progress = Progress()

    def on_ready(facts: dict[str, Any]) -> None:
        progress.finish()
        if answer:
            _announce(read_state(settings.state_file) | facts, answer == "json", simulate)

    async def body() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_platform(
            settings, simulate=simulate, ephemeral=ephemeral, tell=Callbacks(progress.note, progress.changed, on_ready), stop=stop
        )

    try:
        asyncio.run(body())
    except (AlreadyRunning, StartError, BrokerError, JavaError, JarError, CannotStart, TopicError, OSError) as error:
        progress.finish()
        end(str(error))


def _detached(settings: Settings, as_json: bool, argv: list[str]) -> None:
    """Starts the same command without --detach in a session of its own and waits till it is ready or has ended."""
    log = settings.logs_dir / "supervisor.log"
    private_directory(settings.data_dir)
    log.parent.mkdir(exist_ok=True)
    rest = [argument for argument in argv[2:] if argument not in ("--detach", "--json")]
    command = [sys.executable, "-m", "services.cli", "up", *rest, "--silent", "--data-dir", str(settings.data_dir)]
    with log.open("ab") as out:
        start = out.tell()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    progress = Progress()
    while child.poll() is None:
        state = read_state(settings.state_file)
        if state.get("supervisor_pid") == child.pid:
            progress.follow(state)
            if state["ready"]:
                progress.finish()
                _announce(state, as_json, "simulation" in state["processes"])
                return
        time.sleep(0.05)
    progress.finish()
    with log.open("rb") as file:
        file.seek(start)
        said = file.read().decode("utf-8", "replace")
    reason = said[said.rfind("liandong: ") + len("liandong: ") :] if "liandong: " in said else last_words(log)
    end(reason.strip() or f"it ended with {child.returncode}; see {log}")


def _announce(state: dict[str, Any], as_json: bool, simulate: bool) -> None:
    """Where to look and what to type; for programs, addresses, keys and pids."""
    if as_json:
        pids = {name: child["pid"] for name, child in state["processes"].items()} | {"supervisor": state["supervisor_pid"]}
        print_json({name: state[name] for name in ("gateway", "dashboard", "bootstrap", "keys")} | {"pids": pids})
        return
    realm = REALM_SHOWN if simulate and REALM_SHOWN in state["realms"] else state["realms"][0]
    keys = state["keys"]
    typer.echo(f"""
Screen    {state["dashboard"]}/#key={keys.get("screen", "<screen key>")}&realm={realm}
Gateway   {state["gateway"]}   (API: {state["gateway"]}/openapi.json)
Kafka     {state["bootstrap"]}

Post an incident and watch it appear:

{curl_line(state["gateway"], keys.get("producer", "<producer key>"), realm)}
""")


def curl_line(gateway: str, key: str, realm: str) -> str:
    """A line for a shell that posts a fresh incident each time."""
    body = (
        """'{"type":"A10100","division":"440305","occurred_at":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'","event_id":"try-'$(date +%s)'","""
        """"reporter":{"name":"张三","phone":"13800000000"},"note":"路面积水"}'"""
    )
    return f"curl -sS '{gateway}/v1/incidents?realm={realm}' -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d {body}"
