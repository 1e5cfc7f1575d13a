"""Migrations: numbered, frozen, forward only; what they make is the golden dump; their columns are the fields of the schemas."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas import registry
from services.sink.container import LEADING
from services.sink.streams import STREAMS, Stream
from services.warehouse.backend import SQL_FILES, Warehouse, expand_engines, open_warehouse, scalar
from services.warehouse.migrate import EditedMigration, dump, migrate, migrations
from services.warehouse.read_port.ask import FOLDER
from services.warehouse.read_port.snapshot import ENDED
from streams.domain.incident import table

GOLDEN = SQL_FILES / "schema.sql"
TYPES = {"string": ("String",), "long": ("Int64", "DateTime64(3, 'UTC')"), "int": ("Int32",), "boolean": ("Bool",), "bytes": ("String",)}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    warehouse = open_warehouse(tmp_path_factory.mktemp("fresh"))
    migrate(warehouse)
    yield warehouse
    warehouse.close()


def test_migrations_on_an_empty_engine_make_the_golden_dump(fresh: Warehouse) -> None:
    """`liandong migrate --dump --data-dir NEW > schemas/clickhouse/schema.sql` writes it anew."""
    assert dump(fresh).strip() == GOLDEN.read_text(encoding="utf-8").strip()


def test_a_second_run_changes_nothing(fresh: Warehouse) -> None:
    assert migrate(fresh) == []


def test_an_edited_migration_is_refused(fresh: Warehouse, tmp_path: Path) -> None:
    folder = shutil.copytree(SQL_FILES, tmp_path / "sql")
    edited = folder / "0003_outcomes.sql"
    edited.write_text(edited.read_text(encoding="utf-8") + "-- a thought\n", encoding="utf-8")
    with pytest.raises(EditedMigration, match="0003_outcomes"):
        migrate(fresh, folder)


def test_a_migration_cut_off_between_a_statement_and_its_note_is_continued(tmp_path: Path, fresh: Warehouse) -> None:
    folder = shutil.copytree(SQL_FILES, tmp_path / "sql")
    number = len(migrations()) + 1
    texts = [f"CREATE TABLE {name} (a Int32) ENGINE = Null;\n" for name in ("more_a", "more_b")]
    (folder / f"{number:04}_more.sql").write_text("".join(texts))
    with fresh.reader() as handle:
        handle.run("CREATE TABLE more_a (a Int32) ENGINE = Null")  # done, then killed
        try:
            assert migrate(fresh, folder) == [f"{number:04}_more"]
            assert scalar(handle, "SELECT count() FROM system.tables WHERE name IN ('more_a', 'more_b')") == 2
        finally:
            handle.run(f"ALTER TABLE schema_migrations DELETE WHERE version = {number} SETTINGS mutations_sync = 2")
            handle.run("DROP TABLE more_a SYNC")
            handle.run("DROP TABLE IF EXISTS more_b SYNC")


def test_numbers_without_gaps(tmp_path: Path) -> None:
    folder = shutil.copytree(SQL_FILES, tmp_path / "sql")
    (folder / "0002_live_deltas.sql").unlink()
    with pytest.raises(ValueError, match="not numbered"):
        migrations(folder)


def test_engines_are_replicated_on_a_cluster_and_plain_elsewhere() -> None:
    text = "ENGINE = {engine:ReplacingMergeTree(case_seq)}"
    assert expand_engines(text, replicated=False) == "ENGINE = ReplacingMergeTree(case_seq)"
    assert expand_engines(text, replicated=True) == (
        "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', case_seq)"
    )
    for path in SQL_FILES.glob("0*.sql"):
        assert not re.search(r"ENGINE = \w*MergeTree", path.read_text(encoding="utf-8")), f"{path.name} does not use the engine macro"


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_facts_have_the_fields_of_their_schema(fresh: Warehouse, stream: Stream) -> None:
    schema = json.loads(registry.latest(stream.type).text)
    wanted = {name for name, _ in LEADING} | {field["name"] for field in schema["fields"]}
    with fresh.reader() as handle:
        for name in (stream.inlet, stream.facts):
            rows = handle.rows("SELECT name, type FROM system.columns WHERE database = 'liandong' AND table = {t:String}", {"t": name})
            columns = {row["name"]: row["type"] for row in rows}
            assert columns.keys() == wanted
            for field in schema["fields"]:
                found = _plain(columns[field["name"]])
                assert re.fullmatch(_wanted(field["type"]), found), (field, columns[field["name"]])


def _plain(column: str) -> str:
    """A column's type without dictionaries and spaces."""
    return re.sub(r"(?:LowCardinality|Nullable)\((String)\)", r"\1", column).replace(" ", "")


def _wanted(kind: Any) -> str:
    """Pattern of the columns that hold a schema's type: arrays, and records with the names of their fields in order."""
    if isinstance(kind, list):
        return _wanted(kind[1])
    if isinstance(kind, str):
        return f"(?:{'|'.join(re.escape(allowed.replace(' ', '')) for allowed in TYPES[kind])})"
    if kind["type"] == "array":
        return rf"Array\({_wanted(kind['items'])}\)"
    return rf"Tuple\({','.join(field['name'] + _wanted(field['type']) for field in kind['fields'])}\)"


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_every_target_keeps_the_block_number(fresh: Warehouse, stream: Stream) -> None:
    with fresh.reader() as handle:
        for name in (stream.facts, *stream.rollups):
            assert scalar(handle, f"SELECT count() FROM system.columns WHERE table = '{name}' AND name = '_blk'") == 1


def test_ended_states_are_those_of_the_life_cycle() -> None:
    """The states are spelled out in SQL; a new one must be spelled out there too, in a new migration."""
    ended = {state.value for state in table.ENDED}
    assert ended == ENDED
    texts = [path.read_text(encoding="utf-8") for path in (SQL_FILES / "0002_live_deltas.sql", *sorted(FOLDER.glob("*.sql")))]
    lists = [listed for text in texts for listed in re.findall(r"IN \(('\w+'(?:, '\w+')+)\)", text)]
    assert len(lists) == 13
    assert all(set(re.findall(r"\w+", listed)) == ended for listed in lists)


def test_bi_views_hold_no_personal_data_and_keep_the_realm(fresh: Warehouse) -> None:
    with fresh.reader() as handle:
        rows = handle.rows("SELECT table, name FROM system.columns WHERE database = 'liandong' AND table LIKE 'bi\\_%'")
    for view in ("bi_incidents_daily", "bi_case_now"):
        names = {row["name"] for row in rows if row["table"] == view}
        assert "realm" in names
        assert not names & {"title", "producer", "holder", "actor_person", "sealed_ref", "case_id"}
