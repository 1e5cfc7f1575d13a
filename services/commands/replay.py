"""`liandong replay`: a department's file, mapped and sent through the gateway."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.bounds import parse_time
from schemas.errors import InvalidPayload
from schemas.ids import CHINA, case_id
from schemas.murmur import partition_of
from schemas.realms import Realm
from services.clock import now_ms
from services.commands.options import DEFAULT, AsJson, DataDir, end, platform_key, print_json, running
from services.keys import KeyStore
from services.replay.errors import MappingError
from services.replay.mapping import Mapping, load
from services.replay.outcomes import Outcomes, ReadPortAway, Wait, count, settled
from services.replay.passing import pass_time
from services.replay.reader import Damaged, open_rows, row_estimate
from services.replay.rows import RowMapper
from services.replay.run import Counts, Refused
from services.replay.run import replay as send
from services.replay.sender import Plan
from services.settings import Settings

LANES = 4
REQUEST_S = 60.0
QUIET_S = 10.0
ENDED_EARLY, BAD_CALL, NOT_ALL = 1, 2, 4


class Call(NamedTuple):
    """One replay, checked and ready."""

    mapping: Mapping
    data: Path
    gateway: str
    read: str
    producer_key: str
    reader_key: str
    plan: Plan
    wait_s: float


def replay(
    data: Annotated[Path | None, typer.Argument(help="csv or csv.gz", exists=True, dir_okay=False)] = None,
    *,
    mapping: Annotated[
        Path | None, typer.Option(help="Mapping file (TOML); services/replay/README.md explains it.", exists=True, dir_okay=False)
    ] = None,
    realm: Annotated[Realm, typer.Option()] = Realm.REPLAY,
    speed: Annotated[str, typer.Option(help="Seconds of the data's clock a second, or max.")] = "max",
    limit: Annotated[int | None, typer.Option(help="Only the first N rows.", min=1)] = None,
    errors: Annotated[Path | None, typer.Option(help="Where rows that could not be sent are listed.")] = None,
    until: Annotated[
        str, typer.Option(help="Then let the realm's own time run on to this moment (RFC 3339), so that all that was due by then is told.")
    ] = "",
    wait: Annotated[float, typer.Option(help="Seconds without a new outcome after which we stop waiting.", min=0)] = 60.0,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Replay a real file into a realm; the summary accounts for every row. With --until, and with no file too, time passes in it."""
    settings, state = running(data_dir)
    if realm not in state["realms"]:
        end(f"this platform does not serve realm {realm.value}", BAD_CALL)
    moment = _moment(until, realm)
    if data is None or mapping is None:
        if data or mapping or not moment:
            end("a replay takes a file and its --mapping, or --until alone", BAD_CALL)
        summary: dict[str, Any] = {}
    else:
        summary = _replayed(settings, state, data, mapping, realm, speed, limit, errors, wait)
    if moment and not summary.get("failure"):  # rows that were not sent must not find their future told already
        passed = asyncio.run(_passed(state["bootstrap"], realm, moment, settings.partitions, wait))
        summary |= {"until": moment, "settled": passed}
    if as_json:
        print_json(summary)
    else:
        _say(summary)
    raise typer.Exit(_exit_code(summary))


def _moment(text: str, realm: Realm) -> int:
    """UTC milliseconds; 0 for no text."""
    if not text:
        return 0
    if realm.time_source != "log":
        end(f"in realm {realm.value} time passes by itself; --until is for realms on log time", BAD_CALL)
    try:
        moment, _ = parse_time(text)
    except InvalidPayload as error:
        end(f"--until: {error.detail}", BAD_CALL)
    return moment if moment <= now_ms() else end("--until lies in the future", BAD_CALL)


async def _passed(bootstrap: str, realm: Realm, moment: int, partitions: int, wait: float) -> bool:
    try:
        return await pass_time(bootstrap, realm, moment, partitions, wait)
    except KafkaError as error:
        end(f"time did not pass: Kafka does not answer ({type(error).__name__})", ENDED_EARLY)


def _replayed(
    settings: Settings,
    state: dict[str, Any],
    data: Path,
    mapping: Path,
    realm: Realm,
    speed: str,
    limit: int | None,
    errors: Path | None,
    wait: float,
) -> dict[str, Any]:
    """The summary of a whole file."""
    try:
        rules = load(mapping)
        rules.check_realm(realm)
    except MappingError as error:
        end(f"mapping {mapping.name}: {error}", BAD_CALL)
    producer_key, admin_key = platform_key(state, "producer"), platform_key(state, "admin")
    principal = KeyStore(settings.keys_file).find(producer_key)
    if principal is None:
        end("the platform's own producer key was revoked", BAD_CALL)

    def lane_of(external_id: str) -> int:
        """By partition: each partition then holds the rows in file order, and a second replay makes the same log."""
        return partition_of(case_id(realm, principal.id, external_id).encode(), settings.partitions) % LANES

    call = Call(
        rules,
        data,
        state["gateway"],
        state["read"],
        producer_key,
        admin_key,
        Plan(realm.value, lane_of, LANES, speed=_speed(speed), limit=limit),
        wait,
    )
    listed = errors or settings.data_dir / "replay" / f"{rules.name}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.errors.csv"
    try:
        summary = asyncio.run(_run(call, listed))
        if listed.exists():
            summary["errors_file"] = str(listed)
    except (MappingError, Damaged, OSError) as error:
        end(f"{data.name}: {error}", BAD_CALL)
    return summary


def _speed(text: str) -> float:
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        end(f"--speed is max or a number above 0, not {text!r}", BAD_CALL)
    return speed


async def _run(call: Call, listed: Path) -> dict[str, Any]:
    header, rows = open_rows(call.data, call.mapping.file)
    mapper = RowMapper(call.mapping, header)
    async with _client(call.gateway, call.producer_key) as gateway, _client(call.read, call.reader_key) as read:
        before, trouble = await _before(read, call.plan.realm)
        with _errors_file(listed) as refused, _bar(call) as bar:
            began = time.perf_counter()
            counts = await send(gateway, rows, mapper, call.plan, refused=refused, progress=bar.sent)
            seconds = time.perf_counter() - began
            outcomes = Outcomes()
            if before is not None:
                rest = Wait(call.wait_s, QUIET_S if counts.sent.resent else 0.0)
                outcomes = await settled(read, call.plan.realm, before, counts.sent.accepted, wait=rest, progress=bar.answered)
            all_seconds = time.perf_counter() - began
    return _summary(call, counts, outcomes, seconds, all_seconds) | trouble


def _client(url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=REQUEST_S, trust_env=False)


async def _before(read: httpx.AsyncClient, realm: str) -> tuple[Outcomes | None, dict[str, str]]:
    try:
        return await count(read, realm), {}
    except ReadPortAway as error:
        return None, {"outcomes_unknown": f"the read port does not answer ({error}); ask `liandong reconcile` later"}


def _summary(call: Call, counts: Counts, outcomes: Outcomes, seconds: float, all_seconds: float) -> dict[str, Any]:
    accepted = counts.sent.accepted
    return {
        "mapping": call.mapping.name,
        "realm": call.plan.realm,
        "read": counts.read,
        "accepted": accepted,
        "applied": outcomes.applied,
        "repeated": outcomes.repeated,
        "refused": outcomes.refused,
        "dead": outcomes.dead,
        "missing_outcomes": max(accepted - outcomes.total, 0),
        "extra_outcomes": max(outcomes.total - accepted, 0),
        "not_mapped": dict(counts.not_mapped),
        "rejected": dict(counts.sent.rejected),
        "unsent": counts.unsent,
        "resent": counts.sent.resent,
        "seconds": round(seconds, 3),
        "events_per_s": round(accepted / seconds) if seconds else 0,
        "seconds_to_outcomes": round(all_seconds, 3),
        "outcomes_per_s": round(outcomes.total / all_seconds) if all_seconds else 0,
        "invented_places": call.mapping.invented_places,
        "failure": counts.failure,
    }


def _exit_code(summary: dict[str, Any]) -> int:
    if summary.get("failure") or summary.get("missing_outcomes") or "outcomes_unknown" in summary or summary.get("settled") is False:
        return ENDED_EARLY
    return NOT_ALL if summary.get("not_mapped") or summary.get("rejected") else 0


def _say(summary: dict[str, Any]) -> None:
    if "settled" in summary:
        done = "all that was due by then is told" if summary["settled"] else "the case lane stands still: not all that was due is told yet"
        typer.echo(f"time passed to {datetime.fromtimestamp(summary['until'] / 1000, CHINA).isoformat()}: {done}")
    if "mapping" not in summary:
        return
    lines = [
        f"{summary['mapping']} -> realm {summary['realm']}" + (" (places invented)" if summary["invented_places"] else ""),
        f"read {summary['read']:,} · accepted {summary['accepted']:,} in {summary['seconds']:.1f} s ({summary['events_per_s']:,}/s)",
        f"applied {summary['applied']:,} · repeated {summary['repeated']:,} · refused {summary['refused']:,} · dead {summary['dead']:,}"
        f" after {summary['seconds_to_outcomes']:.1f} s",
    ]
    for name, words in (("not_mapped", "not mapped"), ("rejected", "rejected by the gateway")):
        lines += [f"{number:,} rows {words}: {reason}" for reason, number in summary[name].items()]
    if summary["resent"]:
        lines.append(f"{summary['resent']:,} lines were sent again after a broken connection or a busy gateway")
    if summary["extra_outcomes"]:
        lines.append(f"{summary['extra_outcomes']:,} outcomes more than lines accepted: sent again, or another sender in this realm")
    if summary["missing_outcomes"]:
        lines.append(f"{summary['missing_outcomes']:,} outcomes are missing; see `liandong status`, and later `liandong reconcile`")
    if summary["failure"]:
        lines.append(f"ended early: {summary['failure']}; {summary['unsent']:,} rows read were not sent. Run it again: ids repeat")
    lines += [summary[name] for name in ("outcomes_unknown",) if name in summary]
    lines += [f"bad rows: {summary['errors_file']}"] if "errors_file" in summary else []
    typer.echo("\n".join(lines))


@contextmanager
def _errors_file(path: Path) -> Iterator[Refused]:
    """Made with the first bad row."""
    file = None

    def refused(number: int, external_id: str, reason: str, detail: str) -> None:
        nonlocal file
        if file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            csv.writer(file).writerow(["row", "external_id", "reason", "detail"])
        csv.writer(file).writerow([number, external_id, reason, detail])

    try:
        yield refused
    finally:
        if file:
            file.close()


class _Bar:
    """Rows sent and outcomes that came back, on a terminal."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._sent = progress.add_task("sent", total=total)
        self._answered = progress.add_task("answered", total=total, visible=False)

    def sent(self, counts: Counts) -> None:
        done = counts.read - counts.unsent
        self._progress.update(self._sent, completed=done, description=f"sent, {counts.not_mapped.total()} not mapped")

    def answered(self, outcomes: int) -> None:
        self._progress.update(self._answered, completed=outcomes, visible=True)


@contextmanager
def _bar(call: Call) -> Iterator[_Bar]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield _Bar(progress, call.plan.limit or (row_estimate(call.data) if console.is_terminal else None))
