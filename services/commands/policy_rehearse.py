"""`liandong policy rehearse`: what a draft would have done with what was recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.policies import lend
from schemas.policy import store
from schemas.realms import Realm
from services.adapters.topic_log import CannotLook
from services.clock import now_ms
from services.commands.options import DEFAULT, AsJson, DataDir, end, print_json, running
from services.commands.policy_activate import shown, with_offset
from services.commands.policy_drafts import console, open_policies, table_of
from services.rehearse import files, history
from services.rehearse.comparing import Window, compared, type_words
from services.rehearse.playing import Rehearsal

MOST_ROWS = 20
Tell = Any  # of how many, how many are done


def rehearse(
    draft: Annotated[str, typer.Argument(metavar="VERSION|PATH", help="A version, or a draft folder or file.")],
    *,
    realm: Annotated[Realm, typer.Option(help="Whose record is played.")] = Realm.LIVE,
    since: Annotated[str, typer.Option(metavar="TIME", help="Count from here; cases are played from their beginning.")] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Play and count up to here; by default to the end of the record.")] = "",
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="A file of --save instead of a platform.", exists=True, dir_okay=False),
    ] = None,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep what was played (JSON lines; .gz packs it).")] = None,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Play recorded commands again under a draft and beside what was in force, in memory; nothing is sent or stored.

    Prints breaches by clock and type, pages by desk and night, load by level, and which cases would be late or no longer. What people did
    is held fixed. A platform keeps 30 days of commands; cases that began before are left out and counted.

    Example: liandong policy rehearse drafts/faster-grade-2 --realm sandbox --since 2026-11-01
    """
    found = open_policies(draft)
    version = found.version if found.version in store.versions() else lend(found)
    window = Window(_moment(since, "--since") if since else 0, _moment(until, "--until") if until else 0)
    if until and window.until <= window.since:
        end("--until is not after --since", code=2)
    rehearsal = Rehearsal(version)
    began = time.monotonic()
    unreadable, last = _played(rehearsal, realm, window.until, source, save, data_dir)
    if not rehearsal.commands:
        end(f"there is no recorded command{f' before {until}' if until else ''}", code=3)
    last = min(window.until or last, last)
    rehearsal.finish(last)
    seconds = time.monotonic() - began
    report = compared(rehearsal, Window(window.since or rehearsal.beginning, last + 1))
    report["record"] |= {"realm": realm.value, "source": str(source) if source else "incident.commands", "unreadable": unreadable}
    report |= {"seconds": round(seconds, 1), "commands_per_second": round(rehearsal.commands / max(seconds, 1e-9))}
    if as_json:
        print_json(report)
    else:
        _print(report)


def _played(rehearsal: Rehearsal, realm: Realm, until: int, source: Path | None, save: Path | None, data_dir: Path) -> tuple[int, int]:
    """Plays the record; answers how many records were no commands, and the moment up to which it is known what people did."""
    with ExitStack() as stack:
        tell = stack.enter_context(_bar())
        take = stack.enter_context(files.writing(save, rehearsal.take)) if save else rehearsal.take
        if source:
            try:
                _from_file(source, until, take, tell)
            except files.BadFile as error:
                end(str(error))
            return 0, rehearsal.end
        _, state = running(data_dir)
        if realm.value not in state["realms"]:
            end(f"this platform does not serve realm {realm.value}", code=2)
        now = now_ms()
        try:
            unreadable = asyncio.run(history.play(state["bootstrap"], realm, min(until or now, now), take, tell))
        except (CannotLook, KafkaError) as error:
            end(str(error))
        return unreadable, now if realm.time_source == "wall" else rehearsal.end


def _from_file(path: Path, until: int, take: Any, tell: Tell) -> None:
    """Progress is by bytes, for the number of lines is not known."""
    size = path.stat().st_size
    for number, (recorded, place) in enumerate(files.read(path)):
        if not until or recorded.at < until:
            take(recorded)
        if number % 1000 == 0:
            tell(place, size)
    tell(size, size)


@contextmanager
def _bar() -> Iterator[Tell]:
    window = Console(stderr=True)
    columns = (TextColumn("rehearsing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=window, disable=not window.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _moment(text: str, option: str) -> int:
    return round(datetime.fromisoformat(with_offset(text, option)).timestamp() * 1000)


# --- words ------------------------------------------------------------------------------------------------------------


def _print(report: dict[str, Any]) -> None:
    record, window = report["record"], report["window"]
    typer.echo(f"{report['draft']} against {', '.join(report['in_force']) or 'nothing'}, as it was in force in realm {record['realm']}")
    typer.echo(f"record {shown(record['from'])} to {shown(record['until'])}: {record['commands']:,} commands, {record['cases']:,} cases")
    typer.echo(f"counted {shown(window['since'])} to {shown(window['until'] - 1)} (Beijing)")
    typer.echo(f"{report['commands_per_second']:,} commands/s, {report['seconds']} s\n")
    typer.echo(f"{report['held_fixed']}\n")
    for what, count in (
        ("cases began before the record and are left out", record["without_beginning"]),
        ("records could not be read", record["unreadable"]),
        (f"commands could not be decided ({', '.join(record['undecided'])})", sum(record["undecided"].values())),
    ):
        if count:
            typer.echo(f"{count:,} {what}")
    _compare("Breaches", report["breaches"], {"clock": str, "type": type_words})
    _compare("Pages by desk", report["pages"], {"desk": str, "level": str})
    _compare("Pages by desk, at night (22:00-06:00)", report["night_pages"], {"desk": str, "level": str})
    _compare("Pages by night", sorted(report["nights"], key=lambda row: str(row["night"])), {"night": str}, most=62)
    _levels(report["levels"])
    _cases("would become late", report["becomes_late"])
    _cases("would no longer be late", report["no_longer_late"])
    for row in report["impossible"]:
        typer.echo(f"{row['commands']:,} × {row['command']} was applied then and would be refused under the draft: {row['reason']}")


def _compare(title: str, rows: list[dict[str, Any]], names: dict[str, Any], most: int = MOST_ROWS) -> None:
    """Totals, and the rows with the largest change first."""
    totals = [sum(row[side] for row in rows) for side in ("in_force", "draft")]
    typer.echo(f"\n{title}: {totals[0]:,} → {totals[1]:,}")
    if not rows:
        return
    table = table_of(*names, "in force", "draft", "change")
    for column in table.columns[len(names) :]:
        column.justify = "right"
    for row in rows[:most]:
        words = [escape(turn(row[name])) for name, turn in names.items()]
        table.add_row(*words, f"{row['in_force']:,}", f"{row['draft']:,}", f"{row['draft'] - row['in_force']:+,}")
    console().print(table)
    if len(rows) > most:
        typer.echo(f"and {len(rows) - most:,} more (--json has all)")


def _levels(rows: list[dict[str, Any]]) -> None:
    typer.echo("\nLoad by level:")
    table = table_of("level", "breaches", "pages", "papers of supervision")
    for row in rows:
        table.add_row(row["level"], *(f"{row[kind]['in_force']:,} → {row[kind]['draft']:,}" for kind in ("breaches", "pages", "papers")))
    console().print(table)


def _cases(what: str, found: dict[str, Any]) -> None:
    typer.echo(f"\n{found['cases']:,} cases {what}")
    for row in found["first"]:
        typer.echo(f"  {row['case_number']}  {type_words(row['type'])}  {', '.join(row['clocks'])}")
    if found["cases"] > len(found["first"]):
        typer.echo(f"  and {found['cases'] - len(found['first']):,} more")
