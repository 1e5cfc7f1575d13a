"""`liandong dlq`: records nobody could read or decide, and sending them again once the cause is gone."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import typer
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from schemas.headers import REPLAYED
from schemas.realms import Realm
from schemas.topics import INTAKE, KINDS, unlabelled
from services.commands.options import DEFAULT, AsJson, DataDir, end, platform_key, print_json, running

app = typer.Typer(help="List, show and replay dead letters.", no_args_is_help=True)
InRealm = Annotated[Realm, typer.Option("--realm")]
Reason = Annotated[str, typer.Option("--reason", help="Only letters of this reason.")]
PAGE = 500
SECONDS = 30.0
MAX_BYTES = 256 << 20  # a letter may hold the largest record of any topic


@app.command("list")
def list_letters(
    *, realm: InRealm = Realm.LIVE, reason: Reason = "", limit: int = 50, data_dir: DataDir = DEFAULT, as_json: AsJson = False
) -> None:
    """Dead letters of a realm, oldest first, and how many there are by reason."""
    _, state = running(data_dir)
    page = _page(state, realm, reason=reason, limit=min(limit, PAGE))
    if as_json:
        print_json(page)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("id", "topic", "partition", "offset", "lane", "reason", "detail"):
        table.add_column(name, overflow="fold")
    for row in page["letters"]:
        table.add_row(*(str(row[name]) for name in ("id", "topic", "partition", "offset", "lane", "reason", "detail")))
    Console().print(table)
    for row in page["reasons"]:
        typer.echo(f"{row['letters']:>8}  {row['reason']} ({row['lane']})")


@app.command()
def show(id: str, *, realm: InRealm = Realm.LIVE, data_dir: DataDir = DEFAULT, as_json: AsJson = False) -> None:
    """One dead letter with its original bytes."""
    _, state = running(data_dir)
    found = _page(state, realm, id=id, bytes=True)["letters"]
    if not found:
        end(f"no dead letter {id} in realm {realm.value}", code=3)
    row = found[0]
    if as_json:
        print_json(row)
        return
    for name, value in row.items():
        shown = _bytes(value) if name in ("key", "value") and value is not None else value
        typer.echo(f"{name:13} {shown!r}" if isinstance(shown, bytes) else f"{name:13} {shown}")


@app.command()
def replay(
    *,
    realm: InRealm = Realm.LIVE,
    reason: Reason = "",
    id: Annotated[list[str] | None, typer.Option("--id", help="Only these letters; may be given again.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Send the original bytes to their original topic again. Their ids are the same, so what was applied meanwhile is only repeated."""
    _, state = running(data_dir)
    chosen = list(_letters(state, realm, reason, id or []))
    sendable = [row for row in chosen if may_be_replayed(row["topic"], realm)]
    kept_back = len(chosen) - len(sendable)
    if not sendable and not as_json:
        typer.echo(f"nothing to replay ({kept_back} letters stand on topics only our lanes write)")
    if sendable and not (dry_run or yes):
        typer.confirm(f"Send {len(sendable)} records again?", abort=True, err=True)
    sent = 0 if dry_run else asyncio.run(_send(state["bootstrap"], sendable))
    if as_json:
        print_json({"chosen": len(chosen), "kept_back": kept_back, "sent": sent, "dry_run": dry_run})
    elif sendable:
        typer.echo(f"{sent} of {len(chosen)} sent again, {kept_back} kept back" + (" (dry run)" if dry_run else ""))


def may_be_replayed(topic: str, realm: Realm) -> bool:
    """Only what somebody outside wrote: a derived record is made again by its lane from its source, not sent again."""
    name = unlabelled(topic)
    return any(name == kind.commands.in_realm(realm) for kind in KINDS) or name.startswith(INTAKE.in_realm(realm, ""))


def _letters(state: dict[str, Any], realm: Realm, reason: str, ids: list[str]) -> Iterator[dict[str, Any]]:
    for one in ids:
        found = _page(state, realm, id=one, bytes=True)["letters"]
        if not found:
            end(f"no dead letter {one} in realm {realm.value}", code=3)
        yield from found
    after: str | None = "" if not ids else None
    while after is not None:
        page = _page(state, realm, reason=reason, after=after, bytes=True, limit=PAGE)
        yield from page["letters"]
        after = page["next"]


def _page(state: dict[str, Any], realm: Realm, **params: Any) -> dict[str, Any]:
    try:
        answer = httpx.get(
            f"{state['read']}/internal/dead-letters", params={"realm": realm.value, **params},
            headers={"Authorization": f"Bearer {platform_key(state, 'admin')}"}, timeout=SECONDS,
        )  # fmt: skip
    except httpx.HTTPError as error:
        end(f"the read port does not answer ({type(error).__name__})")
    if answer.status_code != 200:
        end(f"the read port answered {answer.status_code}: {answer.text[:200]}")
    page: dict[str, Any] = answer.json()
    return page


async def _send(bootstrap: str, letters: list[dict[str, Any]]) -> int:
    """Sends with acks=all, in the order of the letters; answers how many Kafka acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_request_size=MAX_BYTES)
    await producer.start()
    try:
        waiting = [
            await producer.send(
                unlabelled(row["topic"]), _bytes(row["value"]), key=_bytes(row["key"]), headers=[(REPLAYED, row["id"].encode())]
            )
            for row in letters
        ]
        await asyncio.gather(*waiting)
        return len(waiting)
    finally:
        await producer.stop()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
