"""`liandong policy activate`, `withdraw` and `active`: which version new cases get, in which realm, since when."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

import httpx
import typer

from schemas.realms import Realm
from services.commands.options import DEFAULT, AsJson, DataDir, end, platform_key, print_json, running

PATH = "/v1/policies/active"
CHINA = timezone(timedelta(hours=8))
SECONDS = 30.0
NOW = "now"


def activate(
    version: Annotated[str, typer.Argument(help="A released version; see `liandong policy list`.")],
    *,
    realm: Annotated[Realm, typer.Option(help="The world whose new cases get it.")],
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="now, or a time such as 2027-01-01T00:00 (Beijing).")],
    reason: Annotated[str, typer.Option(help="Kept with the activation, for ever.")],
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Give new cases of a realm another version of the policies, from a moment on. Cases that are open keep theirs.

    Refused: a version nobody released or that a running case worker does not know, a moment in the past. The same realm and moment again
    replaces what was planned for it. Look before: `liandong policy diff`, `liandong policy rehearse`.

    Example: liandong policy activate 2026.1 --realm live --from 2027-01-01T00:00 --reason "2027年度"
    """
    _, state = running(data_dir)
    body = {"version": version, "reason": reason} | ({} if since == NOW else {"from": with_offset(since)})
    answer = _ask(state, "PUT", realm, body)
    if as_json:
        print_json(answer)
        return
    made = answer["activated"]
    typer.echo(f"{realm.value}: from {shown(made['active_from'])} new cases get {made['version']}. Open cases keep theirs.")
    if not made["holds"]:
        typer.echo("Somebody else has activated another version for the same moment since: `liandong policy active` says which.")


def withdraw(
    *,
    realm: Annotated[Realm, typer.Option(help="The world for which it is planned.")],
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="The moment it is planned for, such as 2027-01-01T00:00 (Beijing).")],
    reason: Annotated[str, typer.Option(help="Kept with the withdrawal, for ever.")],
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take back an activation that is planned and does not hold yet; `liandong policy active` lists them. Who did it and why
    stays on record.

    Example: liandong policy withdraw --realm live --from 2027-01-01T00:00 --reason "印发推迟"
    """
    _, state = running(data_dir)
    answer = _ask(state, "POST", realm, {"from": with_offset(since), "reason": reason}, f"{PATH}:withdraw")
    if as_json:
        print_json(answer)
        return
    after = (
        f"then {answer['planned'][0]['version']} from {shown(answer['planned'][0]['active_from'])}"
        if answer["planned"]
        else "nothing else is planned"
    )
    typer.echo(f"{realm.value}: withdrawn. New cases get {answer['version']}; {after}.")


def active(
    *,
    realm: Annotated[Realm | None, typer.Option(help="Only this realm; all served ones by default.")] = None,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """What holds where since when, what is planned, and what was before.

    Example: liandong policy active --realm live --json
    """
    _, state = running(data_dir)
    answers = [_ask(state, "GET", one) for one in ([realm] if realm else map(Realm, state["realms"]))]
    if as_json:
        print_json(answers[0] if realm else answers)
        return
    for answer in answers:
        since = f"since {shown(answer['since'])}" if answer["since"] else "nothing was activated, so the newest one of the release"
        typer.echo(f"{answer['realm']}: {answer['version']}, {since}")
        for kind in ("earlier", "standing", "planned", "withdrawn"):
            found = [answer["standing"]] if kind == "standing" and answer["standing"] else [] if kind == "standing" else answer[kind]
            for one in found:
                version = f"{one['version']}{_doubt(one)}" if one["version"] else "-"
                typer.echo(f"  {kind:<9} {shown(one['active_from'])}  {version}  {_by(one)}: {one['reason']}")


def _ask(state: dict[str, Any], method: str, realm: Realm, body: dict[str, str] | None = None, path: str = PATH) -> dict[str, Any]:
    """The gateway's answer; ends the command with what it says is wrong."""
    try:
        answer = asyncio.run(_request(state, method, realm, body, path))
    except httpx.HTTPError as error:
        end(f"the gateway does not answer ({type(error).__name__})")
    document: dict[str, Any] = answer.json()
    if answer.is_error:
        wrong = [f"{error['pointer']}: {error['detail']}" for error in document.get("errors", [])] or [document["detail"]]
        end("; ".join(wrong))
    return document


async def _request(state: dict[str, Any], method: str, realm: Realm, body: dict[str, str] | None, path: str) -> httpx.Response:
    async with client(state["gateway"], platform_key(state, "admin")) as http:
        return await http.request(method, path, params={"realm": realm.value}, json=body)


def client(url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=SECONDS, trust_env=False)


def with_offset(text: str, option: str = "--from") -> str:
    """A time without an offset is Beijing's."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        end(f"{option} {text!r} is no time: write now, 2027-01-01T00:00 or 2027-01-01T00:00:00+08:00", code=2)
    return (moment if moment.tzinfo else moment.replace(tzinfo=CHINA)).isoformat()


def shown(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _by(one: dict[str, Any]) -> str:
    return " ".join(filter(None, (one["principal"], f"({one['person']})" if one["person"] else "")))


def _doubt(one: dict[str, Any]) -> str:
    return "" if one["known"] else " (NOT of this release)"
