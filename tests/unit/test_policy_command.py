"""`liandong policy`: readable without a platform, and its errors point somewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from schemas.policy import store
from services.commands.policy import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def document(*arguments: str, code: int = 0) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """Faster handling of grades 1 and 2."""
    text = (store.ROOT / "sla_emergency" / "v1.toml").read_text(encoding="utf-8")
    text = text.replace("\nversion = 1\n", "\nversion = 2\n").replace('[1, 2]\nbudget = "3 calendar', '[1, 2]\nbudget = "2 calendar')
    (tmp_path / "emergency.toml").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def wrong(draft: Path) -> Path:
    path = draft / "emergency.toml"
    text = path.read_text(encoding="utf-8").replace('"2 minutes"', '"2 mins"').replace('types = ["L"]\nbudget = "24 hours"', "budget = 3")
    path.write_text(text, encoding="utf-8")
    return draft


def test_list_names_every_document_with_its_source_and_certainty() -> None:
    answer = document("list")
    assert (answer["version"], answer["latest"], answer["versions"]) == ("2026.1", "2026.1", ["2026.1"])
    by_id = {row["id"]: row for row in answer["documents"]}
    assert set(by_id) == {placed.document.id for placed in store.released("2026.1").placed}
    assert by_id["report_up_accidents"]["certainty"] == "P"
    assert "第九条" in by_id["report_up_accidents"]["source"]
    assert by_id["report_up_accidents"]["in_force_from"] == "2007-06-01"
    words = run("list").stdout
    assert all(name in words for name in by_id)
    assert "NOT VERIFIED" in words


def test_show_tells_what_holds_for_an_incident_and_why() -> None:
    rules = {rule["subject"]: rule for rule in document("show", "--type", "A20400", "--grade", "3")["rules"]}
    report = rules["report up"]
    assert report["origin"]["document"] == "report_up_accidents 1"
    assert report["words"]["unit to county"] == "1 hour from occurred"
    assert [hop["to"] for hop in report["hops"]] == ["county", "city", "province"]
    handle = rules["handle clock"]
    assert (handle["unit"], handle["budget"], handle["origin"]["pointer"]) == ("calendar_day", 5, "/clocks/5")
    words = run("show", "--type", "A20400", "--grade", "3").stdout
    assert "A20400 危险化学品事故, grade 3, under 2026.1" in words
    assert "生产安全事故报告和调查处理条例" in words
    assert "sla_emergency 1 /clocks/5" in words


def test_show_without_a_grade_is_of_an_incident_not_yet_graded() -> None:
    answer = document("show", "--type", "A20400")
    assert "report up" not in {rule["subject"] for rule in answer["rules"]}
    assert "not yet graded" in run("show", "--type", "A20400").stdout


def test_show_prints_one_document_with_each_rule_and_its_place() -> None:
    answer = document("show", "supervision_ladder")
    assert [rule["code"] for rule in answer["rules"]] == ["remind", "supervise", "circulate", "summon", "listed"]
    words = run("show", "suspension_incident").stdout
    assert "called 信访听证" in words
    assert "suspension_incident 1 /reasons/0" in words
    grounds = {rule["code"]: rule["words"] for rule in document("show", "suspension_incident")["rules"]}
    assert grounds["petition_hearing"]["source of the length"] == "D, Liandong: the article sets no length"
    assert "source of the length" not in grounds["legal_proceedings"]
    assert "P primary text read [2]" in words
    assert "  [2] 信访工作条例 (2022) 第三十六条" in words


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show",), 2, "name a document, or an incident"),
        (("show", "sla_default", "--type", "A10100"), 2, "one of both"),
        (("show", "--type", "Z9"), 2, "no incident type Z9"),
        (("show", "--type", "A10100", "--grade", "5"), 2, "--grade"),
        (("show", "sla_dream"), 3, "it has lateness_incident, report_up_accidents"),
        (("list", "--in", "1999.1"), 3, "versions: 2026.1"),
        (("check", "nowhere"), 3, "no document (*.toml)"),
        (("diff", "2026.1", "nowhere"), 3, "no version and no path nowhere"),
    ],
)
def test_an_error_says_what_there_is(arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert said in result.output


def test_check_of_a_right_draft_says_how_to_see_what_it_changes(draft: Path) -> None:
    assert document("check", str(draft)) == {"right": True, "based_on": "2026.1", "faults": []}
    words = run("check", str(draft)).stdout
    assert f"liandong policy diff 2026.1 {draft}" in words


def test_check_tells_all_faults_at_once_with_pointers(wrong: Path) -> None:
    answer = document("check", str(wrong), code=1)
    assert not answer["right"]
    assert [(fault["document"], fault["pointer"]) for fault in answer["faults"]] == [
        ("emergency.toml", "/clocks/1/budget"),
        ("emergency.toml", "/clocks/11/budget"),
    ]
    assert all("5 working days" in fault["allowed"] for fault in answer["faults"])
    result = run("check", str(wrong))
    assert result.exit_code == 1
    assert "/clocks/11/budget" in result.stdout
    assert "'2 mins' is not allowed" in result.stdout
    assert "2 wrong" in result.stdout


def test_diff_says_in_words_what_changes_for_whom(draft: Path) -> None:
    words = "handle clock of A…, R… grade 1, 2: 3 calendar days → 2 calendar days"
    assert run("diff", "2026.1", str(draft)).stdout.splitlines() == [words]
    assert document("diff", "2026.1", str(draft)) == [
        {
            "subject": "handle clock",
            "aspect": "",
            "types": ["A", "R"],
            "grades": [1, 2],
            "before": "3 calendar days",
            "after": "2 calendar days",
            "words": words,
        }
    ]


def test_diff_of_what_is_the_same_says_so(draft: Path) -> None:
    assert run("diff", "2026.1", "2026.1").stdout == "2026.1 and 2026.1 say the same for every incident\n"
    assert document("diff", str(draft), str(draft)) == []


def test_a_draft_with_faults_is_not_compared_or_shown(wrong: Path) -> None:
    for arguments in (("diff", "2026.1", str(wrong)), ("show", "sla_emergency", "--in", str(wrong))):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert "/clocks/1/budget" in result.stderr
        assert "is not right yet" in result.stderr


def test_show_of_a_draft_shows_the_drafts_rule(draft: Path) -> None:
    rules = {rule["subject"]: rule for rule in document("show", "--type", "A10100", "--grade", "1", "--in", str(draft))["rules"]}
    assert (rules["handle clock"]["budget"], rules["handle clock"]["origin"]["document"]) == (2, "sla_emergency 2")


@pytest.mark.parametrize("name", ["list", "show", "check", "diff"])
def test_the_help_of_each_command_has_an_example(name: str) -> None:
    assert f"Example: liandong policy {name}" in " ".join(run(name, "--help").stdout.split())
