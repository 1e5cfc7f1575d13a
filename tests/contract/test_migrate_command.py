"""`liandong migrate` on a platform that does not run."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from services.commands.migrate import migrate
from services.warehouse.backend import SQL_FILES
from services.warehouse.migrate import migrations

app = typer.Typer()
app.command()(migrate)


def run(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["--data-dir", str(folder), *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_applies_what_is_new_once_and_prints_the_golden_tables(tmp_path: Path) -> None:
    names = [f"{migration.version:04}_{migration.name}" for migration in migrations()]
    assert json.loads(run(tmp_path, "--json"))["applied"] == names
    assert json.loads(run(tmp_path, "--json"))["applied"] == []
    assert run(tmp_path, "--dump").strip() == (SQL_FILES / "schema.sql").read_text(encoding="utf-8").strip()
