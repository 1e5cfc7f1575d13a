"""The shape of the repository: arrows, sizes, and documents that are true of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from schemas import catalogue
from services.cli import COMMANDS
from services.commands.up import curl_line
from services.settings import Settings
from tests.unit.test_deploy import METRIC, declared_metrics

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh-CN.md")
RUNBOOKS = tuple(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "deploy" / "runbooks").glob("*.md")))
DOCUMENTS = (
    *READMES,
    "CHANGELOG.md",
    "schemas/README.md",
    "schemas/policies/README.md",
    "schemas/reference/README.md",
    "services/notifier/README.md",
    "services/replay/README.md",
    *RUNBOOKS,
)
CODE = (".py", ".ts", ".css", ".sql")
LONGEST = 330
LONGER = {
    "schemas/clickhouse/schema.sql": "the golden dump: written by the engine, read by a test",
}
"""Files above the limit, each with its reason."""

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"^(?:schemas|streams|services|deploy|tests)/[\w./<>-]*$")
PLACEHOLDER = re.compile(r"<\w+>|NNNN_\w+|vN")
HOSTS = {"127.0.0.1", "github.com", "opencollective.com", "tidelift.com", "www.apache.org", "www.w3.org", "keepachangelog.com"}
"""Hosts that tracked files may name; registries and mirrors are settings of a machine."""
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|tmp|home)/")
URL = re.compile(r"https?://(?:[^\s/@'\"]*@)?([A-Za-z0-9.-]+)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def tracked() -> tuple[str, ...]:
    """Files of the repository as it will be committed. Skips where there is no git (an archive)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no git work tree: tracked files are not known")
    return tuple(name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file())


def commands(text: str) -> list[str]:
    """Every command line in a document: lines of its sh blocks, and what stands in backticks."""
    lines = [line for block in BLOCK.findall(text) if block.startswith("```sh") for line in block.splitlines()[1:-1]]
    return lines + INLINE.findall(BLOCK.sub("", text))


def test_arrows_never_turn() -> None:
    ran = subprocess.run([str(Path(sys.executable).with_name("lint-imports"))], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 broken" in ran.stdout


def test_files_stay_readable() -> None:
    found = {
        name: lines
        for name in tracked()
        if name.startswith(("schemas/", "streams/", "services/")) and name.endswith(CODE) and (lines := text_of(name).count("\n")) > LONGEST
    }
    assert set(found) - set(LONGER) == set(), "split them, or give a reason in LONGER"


@pytest.mark.parametrize("name", LONGER)
def test_a_file_that_may_be_long_is_long(name: str) -> None:
    assert text_of(name).count("\n") > LONGEST, "it no longer needs its place in LONGER"


def test_no_tracked_file_names_a_path_of_one_machine_or_a_host_of_a_registry() -> None:
    bad = []
    for name in tracked():
        try:
            text = text_of(name)
        except UnicodeDecodeError:
            continue
        bad += [f"{name}: {match[0]}" for match in MACHINE_PATH.finditer(text)]
        bad += [f"{name}: {host}" for host in URL.findall(text) if "." in host.strip(".") and host not in HOSTS]
    assert bad == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(name: str) -> None:
    links = [link for link in LINK.findall(BLOCK.sub("", text_of(name))) if "://" not in link]
    assert [link for link in links if not ((ROOT / name).parent / link).exists()] == []


@pytest.mark.parametrize("name", READMES)
def test_every_section_a_document_points_to_is_there(name: str) -> None:
    text = text_of(name)
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    headings = {re.sub(r"[^\w\s-]", "", title).strip().lower().replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_a_document_names_is_there(name: str) -> None:
    """`schemas/avro/<type>/` is there when one such path is."""
    named = [token for token in INLINE.findall(BLOCK.sub("", text_of(name))) if PATH.match(token)]
    assert [path for path in named if not list(ROOT.glob(PLACEHOLDER.sub("*", path).rstrip("/")))] == []


@pytest.mark.parametrize("name", READMES)
def test_every_place_where_something_goes_is_there(name: str) -> None:
    """The table has a place and a test or check in each row, and they exist (the test above looks)."""
    heading = {"README.md": "## Where does X go", "README.zh-CN.md": "## 各类改动放在哪里"}[name]
    section = text_of(name).split(heading)[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 10
    for _, place, check in rows:
        assert place.strip()
        assert check.strip()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_a_document_names_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    for line in commands(text_of(name)):
        words = line.split("#")[0].split()
        if words[:1] == ["make"] and len(words) > 1:
            assert words[1] in targets, line
        elif words[:1] == ["liandong"] and len(words) > 1:
            assert words[1] in {*COMMANDS, "run"}, line
            options = {word.split("=")[0] for word in words if word.startswith("--")}
            assert options <= _options(words[1]), line
        elif words[:2] == ["python", "-m"]:
            assert (ROOT / f"{words[2].replace('.', '/')}.py").is_file(), line


def _options(command: str) -> set[str]:
    """Options that `liandong <command>`, or one of its own commands, takes."""
    if command == "run":
        return {"--data-dir", "--after"}
    module: Any = import_module(COMMANDS[command])
    app = typer.Typer()
    if hasattr(module, "app"):
        app = module.app
    else:
        app.command()(getattr(module, command))
    built: Any = get_command(app)
    every = getattr(built, "commands", {command: built}).values()
    return {"--help"} | {option for one in every for parameter in one.params for option in parameter.opts}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_setting_and_metric_a_document_names_exists(name: str) -> None:
    text = text_of(name)
    assert set(METRIC.findall(text)) <= declared_metrics()
    settings = {f"LIANDONG_{field.upper()}" for field in Settings.model_fields}
    assert set(re.findall(r"\bLIANDONG_[A-Z_]*[A-Z]", text)) <= settings


@pytest.mark.parametrize("name", READMES)
def test_the_line_to_try_is_the_one_that_is_printed(name: str) -> None:
    assert curl_line("http://127.0.0.1:8780", "KEY", "sandbox") in text_of(name).splitlines()


def test_both_languages_say_the_same() -> None:
    english, chinese = map(text_of, READMES)
    assert BLOCK.findall(english) == BLOCK.findall(chinese)
    for shape in (r"^(#+) ", r"^(\|)", r"^(- )"):
        assert re.findall(shape, english, re.MULTILINE) == re.findall(shape, chinese, re.MULTILINE), shape
    links = [sorted(set(LINK.findall(text)) - set(READMES)) for text in (english, chinese)]
    assert links[0] == links[1]
    paths = [{token for token in INLINE.findall(BLOCK.sub("", text)) if PATH.match(token)} for text in (english, chinese)]
    assert paths[0] == paths[1]


def test_the_catalogue_of_types_is_that_of_the_registry() -> None:
    assert catalogue.within(text_of("schemas/README.md")) == catalogue.catalogue(), "run python -m schemas.catalogue --write"
