"""What is carried beside Kafka: keys, sealing keys, the ledger of acknowledgements, settings, rows whose records Kafka has no more."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from schemas.topics import LOG
from services.process import write_private
from services.repartition.copying import Account
from services.repartition.topics import CannotRepartition, Held
from services.settings import Settings
from services.sink import repair
from services.sink.streams import STREAMS, Stream
from services.warehouse.backend import Handle, open_warehouse, scalar

SECRET_FILES = ("keys.json", "secrets.json", "keys.bin", "people.bin", "passwords.json", "webhook.secret")


def carry_files(old: Settings, new: Path, log: str) -> list[str]:
    """Copies keys and the ledger; answers the names. May be repeated: the old platform stands still."""
    carried = []
    for name in SECRET_FILES:
        if (old.data_dir / name).exists():
            _copy(old.data_dir / name, new / name)
            carried.append(name)
    acks = sorted(old.acks_dir.rglob("*.bin")) if old.acks_dir.exists() else []
    for path in acks:
        within = path.relative_to(old.acks_dir)
        target = new / "acks" / (within if len(within.parts) > 1 else Path(log) / within)
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(path, target)
    return carried + ([f"acks ({len(acks)} files)"] if acks else [])


def _copy(source: Path, target: Path) -> None:
    """On the disk before it has its name, for its owner only."""
    fresh = target.with_name(f".{target.name}.partial")
    with source.open("rb") as taken, os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        shutil.copyfileobj(taken, out)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(target)


def write_settings(old: Settings, new: Path, realms: str, departments: Iterable[str], **changed: Any) -> None:
    """liandong.toml of the new platform: the old one's, its realms and departments, and what has changed."""
    kept = old.data_dir / "liandong.toml"
    values: dict[str, Any] = tomllib.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    values |= {"realms": realms, "departments": ",".join(departments)} | changed
    write_private(new / "liandong.toml", tomli_w.dumps(values))


def carry_rows(old: Settings, new: Path, url: str, log: str, held: Iterable[Held], accounts: Mapping[str, Account]) -> dict[str, int]:
    """Rows whose records are no longer in Kafka, into the new warehouse; answers how many of each stream. `url`: a restored copy of the
    old server's database, to be changed in place; needed only when there are such rows."""
    names = {stream.name: [h.name for h in held if h.topic in stream.topics] for stream in STREAMS}
    if not any(at for topics in names.values() for name in topics for at in accounts[name].lowest.values()):
        return {}
    if old.clickhouse_url and not url:
        raise CannotRepartition(
            "Kafka has deleted records by age whose rows stand in the ClickHouse server: restore a copy of its database "
            "(BACKUP, RESTORE) on another server and name it by --clickhouse-url."
        )
    if url:
        return _carry(new, url, log, names, accounts)
    if (new / "warehouse").exists():
        return {}  # an earlier run has done it
    partial = new / "warehouse.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(old.warehouse_dir, partial, symlinks=True)
    found = _carry(partial, "", log, names, accounts)
    partial.rename(new / "warehouse")
    return found


def _carry(directory: Path, url: str, log: str, names: Mapping[str, list[str]], accounts: Mapping[str, Account]) -> dict[str, int]:
    warehouse = open_warehouse(directory, url, 1)
    try:
        with warehouse.reader() as handle:
            return {stream.name: _carry_stream(handle, stream, log, names[stream.name], accounts) for stream in STREAMS}
    finally:
        warehouse.close()


def _carry_stream(handle: Handle, stream: Stream, log: str, names: list[str], accounts: Mapping[str, Account]) -> int:
    """Leaves only rows whose records are gone, with labelled places, and counts the rollups anew from them."""
    gone = [
        f"(_topic = '{name}' AND _part = {part:d} AND _off < {at:d})" for name in names for part, at in accounts[name].lowest.items() if at
    ]
    condition = " OR ".join([f"position(_topic, '{LOG}') > 0", *gone])
    rows = int(scalar(handle, f"SELECT count() FROM {stream.facts} WHERE {condition}") or 0)
    if rows and stream.topic.retention_days < 0:
        raise CannotRepartition(
            f"{rows} rows of {stream.facts} have no record in Kafka, though it keeps that topic for ever: see the runbook."
        )
    kept = f"{stream.facts}_carried"
    if rows:  # by way of another table: mutations take `_part` for ClickHouse's own column of that name
        columns = ("_topic", "src_topic") if stream.marked else ("_topic",)
        labels = ", ".join(f"if({c} = '' OR position({c}, '{LOG}') > 0, {c}, concat('{log}{LOG}', {c})) AS {c}" for c in columns)
        handle.run(f"DROP TABLE IF EXISTS {kept} SYNC")
        handle.run(f"CREATE TABLE {kept} AS {stream.facts} ENGINE = MergeTree ORDER BY tuple()")
        handle.run(f"INSERT INTO {kept} SELECT * FROM {stream.facts} WHERE {condition}")
    handle.run(f"TRUNCATE TABLE {stream.facts} SYNC")
    if rows:
        handle.run(f"INSERT INTO {stream.facts} SELECT * REPLACE ({labels}) FROM {kept}")
        handle.run(f"DROP TABLE {kept} SYNC")
    for rollup in stream.rollups:
        handle.run(f"TRUNCATE TABLE {rollup} SYNC")
    repair.repair_rollups(handle, stream)
    return rows
