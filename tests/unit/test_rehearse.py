"""A rehearsal by hand: what a draft adds and saves, what it cannot know, and how the command tells it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from schemas import ids
from schemas.policies import latest, lend, policies
from services.commands.policy import app
from services.rehearse import files
from services.rehearse.comparing import HELD_FIXED, Window, compared, night_of
from services.rehearse.playing import Breach, Page, Play, Recorded, Rehearsal
from tests.unit.test_incident_life_cycle import command
from tests.unit.test_policies import drafted, written

MINUTE, HOUR = 60_000, 3_600_000
EVENING = 1_795_359_600_000  # Sunday 2026-11-22T23:00:00+08:00
ALWAYS = Window(0, 1 << 62)
FIRE, LAMP = (ids.case_id("live", "p", name) for name in ("fire", "lamp"))


def asked(offset: int, after: int, name: str, case: str = FIRE, **more: Any) -> Recorded:
    """`after`: minutes since the evening's 23:00."""
    at = EVENING + after * MINUTE
    given: dict[str, Any] = {
        "case_id": case,
        "incident_type": "A20600" if case == FIRE else "M01001",
        "occurred_at": at,
        "org": "fire",
    } | more
    return Recorded(at, "incident.commands", 0, offset, command(name, f"{case}{offset}", **given))


def seen(records: list[Recorded], minute: int) -> int:
    """The sequence that an officer saw then."""
    play = Play()
    for one in records:
        play.ask(one)
    play.settle(FIRE, EVENING + minute * MINUTE, "live")
    return play.cases[FIRE].seq


TOLD = [
    asked(0, 0, "capture"),
    asked(1, 10, "accept"),  # the clock gives 15 minutes
    asked(2, 20, "triage", grade=4),
    asked(3, 25, "assign", org="fire"),
    asked(4, 30, "assign", org="nobody"),  # refused: it is assigned already
]
NIGHT = [
    *TOLD,
    asked(5, 60, "sign", expected_seq=seen(TOLD, 60)),  # five minutes late by its clock of 30
    asked(6, 70, "capture", LAMP),
    asked(7, 71, "wake", LAMP),
]


def rehearsed(records: list[Recorded], version: str, minutes: int = 120) -> Rehearsal:
    rehearsal = Rehearsal(version)
    for one in records:
        rehearsal.take(one)
    rehearsal.finish(EVENING + minutes * MINUTE)
    return rehearsal


@pytest.fixture
def swift(tmp_path: Path) -> Path:
    """Emergencies are accepted within 5 minutes, and signed within an hour."""
    text = written("sla_emergency", ('"15 minutes"', '"5 minutes"'), ('"30 minutes"', '"1 hour"'))
    folder = tmp_path / "swift"
    folder.mkdir()
    (folder / "sla_emergency.toml").write_text(text, encoding="utf-8")
    return folder


def version_of(folder: Path, name: str = "sla_emergency") -> str:
    found, faults = drafted(folder, **{name: (folder / f"{name}.toml").read_text(encoding="utf-8")})
    assert faults == []
    return lend(found)


def test_a_draft_makes_some_late_and_others_not_and_the_record_stays_as_it_was(swift: Path) -> None:
    rehearsal = rehearsed(NIGHT, version_of(swift))
    assert rehearsal.before.breaches == [Breach(FIRE, "sign", "fire", EVENING + 55 * MINUTE, "county", "A20600")]
    assert rehearsal.after.breaches == [Breach(FIRE, "accept", "440305-desk", EVENING + 5 * MINUTE, "county", "A20600")]
    report = compared(rehearsal, ALWAYS)
    assert report["breaches"] == [
        {"clock": "accept", "type": "A20600", "in_force": 0, "draft": 1}, {"clock": "sign", "type": "A20600", "in_force": 1, "draft": 0},
    ]  # fmt: skip
    assert report["late"] == {"in_force": 1, "draft": 1}
    assert (report["in_force"], report["record"]["commands"], report["record"]["cases"]) == ([latest()], 7, 2)
    assert report["impossible"] == [], "the expected sequence is the record's own, and deadlines told anew move it"


def test_a_case_that_becomes_late_is_named_by_its_number_and_clocks(swift: Path) -> None:
    rehearsal = rehearsed(NIGHT[:3], version_of(swift), minutes=20)
    report = compared(rehearsal, ALWAYS)
    number = ids.case_number(FIRE, "440305", EVENING)
    assert report["becomes_late"] == {"cases": 1, "first": [{"case_number": number, "type": "A20600", "clocks": ["accept"]}]}
    assert report["no_longer_late"] == {"cases": 0, "first": []}
    other = compared(rehearsed(NIGHT, version_of(swift)), Window(EVENING + 30 * MINUTE, 1 << 62))
    assert other["becomes_late"]["cases"] == 0, "the accept clock passed before the window"
    assert [row["clocks"] for row in other["no_longer_late"]["first"]] == [["sign"]]


def test_pages_are_counted_by_desk_by_level_and_by_night(swift: Path) -> None:
    rehearsal = rehearsed([NIGHT[0]], version_of(swift), minutes=13)
    told = [Page(target, level, EVENING + minute * MINUTE) for target, level, minute in (
        ("440305-desk", "county", 5), ("440300-desk", "city", 5),
    )]  # fmt: skip
    assert rehearsal.after.pages[:2] == told
    assert rehearsal.before.pages == []
    report = compared(rehearsal, ALWAYS)
    assert {row["desk"]: (row["in_force"], row["draft"]) for row in report["pages"]}["440300-desk"][0] == 0
    assert report["nights"] == [{"night": "2026-11-22", "in_force": 0, "draft": len(rehearsal.after.pages)}]
    assert sum(row["draft"] for row in report["night_pages"]) == len(rehearsal.after.pages)
    levels = {row["level"]: row for row in report["levels"]}
    assert levels["county"]["breaches"] == {"in_force": 0, "draft": 1}
    assert levels["city"]["pages"]["in_force"] == 0
    assert levels["city"]["pages"]["draft"] > 0


@pytest.mark.parametrize(
    ("hour", "minute", "night"),
    [(21, 59, ""), (22, 0, "2026-11-22"), (23, 59, "2026-11-22"), (29, 59, "2026-11-22"), (30, 0, ""), (36, 0, "")],
)
def test_a_night_is_from_22_to_6_in_china_and_has_the_date_of_its_evening(hour: int, minute: int, night: str) -> None:
    assert night_of(EVENING + (hour - 23) * HOUR + minute * MINUTE) == night


def test_what_the_draft_would_have_refused_is_counted_by_command_and_reason(tmp_path: Path) -> None:
    text = written("suspension_incident")
    start = text.index('[[reasons]]\ncode = "expert_appraisal"')
    (tmp_path / "suspension_incident.toml").write_text(text[:start] + text[text.index('[[reasons]]\ncode = "legal') :], encoding="utf-8")
    records = [
        *NIGHT[:6],
        asked(6, 61, "suspend", reason="expert_appraisal", actor_level="city", actor_person="boss"),
        asked(7, 62, "resume", actor_person="boss"),
    ]
    report = compared(rehearsed(records, version_of(tmp_path, "suspension_incident")), ALWAYS)
    assert report["impossible"] == [
        {"command": "suspend", "reason": "ground_unknown", "commands": 1}, {"command": "resume", "reason": "not_suspended", "commands": 1},
    ]  # fmt: skip


def test_a_case_that_was_given_another_version_has_the_draft_all_the_same(swift: Path) -> None:
    name = version_of(swift)
    older = msgspec.structs.replace(NIGHT[0], command=msgspec.structs.replace(NIGHT[0].command, policy_version=lend(policies("2026.1"))))
    repin = asked(1, 1, "repin", actor_level="province", actor_division="440000", policy_version="2026.1")
    rehearsal = rehearsed([older, repin], name, minutes=2)
    assert rehearsal.before.cases[FIRE].policy_version == "2026.1"
    assert rehearsal.after.cases[FIRE].policy_version == name
    assert not rehearsal.impossible


def test_cases_whose_beginning_is_not_in_the_record_are_left_out_and_counted(swift: Path) -> None:
    report = compared(rehearsed(NIGHT[1:], version_of(swift)), ALWAYS)
    assert (report["record"]["without_beginning"], report["record"]["cases"]) == (1, 1)


def test_a_command_on_which_the_core_fails_is_counted_and_the_rest_goes_on(swift: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = asked(8, 80, "capture", ids.case_id("live", "p", "broken"), division="not a division")
    report = compared(rehearsed([broken, *NIGHT], version_of(swift)), ALWAYS)
    assert report["record"]["undecided"] == {"KeyError": 1}
    assert report["record"]["cases"] == 2


# --- files and the command ------------------------------------------------------------------------------------------------


def saved(path: Path) -> Path:
    with files.writing(path, lambda recorded: None) as take:
        for one in NIGHT:
            take(one)
    return path


@pytest.mark.parametrize("name", ["night.jsonl", "night.jsonl.gz"])
def test_what_is_written_to_a_file_is_read_again(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name)
    assert [recorded for recorded, _ in files.read(path)] == NIGHT
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


@pytest.mark.parametrize("content", [b'{"at": 1}\n', b"no json\n", b"\xff\xfe\n"])
def test_a_file_of_something_else_is_refused_with_its_line(tmp_path: Path, content: bytes) -> None:
    path = saved(tmp_path / "night.jsonl")
    path.write_bytes(path.read_bytes() + content)
    with pytest.raises(files.BadFile, match=r"night\.jsonl, line 9"):
        list(files.read(path))
    packed = tmp_path / "cut.gz"
    packed.write_bytes(gzip.compress(b"x" * 1000)[:-8])
    with pytest.raises(files.BadFile, match=r"cut\.gz"):
        list(files.read(packed))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rehearse", *arguments])


def test_the_command_plays_a_file_and_tells_it_for_programs(tmp_path: Path, swift: Path) -> None:
    again = tmp_path / "again.jsonl"
    result = run(str(swift), "--from", str(saved(tmp_path / "night.jsonl")), "--save", str(again), "--until", "2026-11-23T00:05", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["draft"].startswith("draft of 2026.1 ")
    assert report["held_fixed"] == HELD_FIXED
    assert report["window"] == {"since": EVENING, "until": EVENING + 60 * MINUTE + 1}, "what people did later is not in the record"
    assert report["late"] == {"in_force": 1, "draft": 1}
    assert report["record"]["commands"] == 6
    assert [recorded for recorded, _ in files.read(again)] == NIGHT[:6]


def test_the_command_tells_people_what_is_held_fixed_and_which_cases_change(tmp_path: Path, swift: Path) -> None:
    words = run(str(swift), "--from", str(saved(tmp_path / "night.jsonl"))).stdout
    assert HELD_FIXED in words
    assert "Breaches: 1 → 1" in words
    assert "accept A20600 火灾事故 0 1 +1" in " ".join(words.split())
    assert "0 cases would become late" in words
    assert "7 commands, 2 cases" in words
    same = run("2026.1", "--from", str(tmp_path / "night.jsonl")).stdout
    assert "2026.1 against 2026.1" in same


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("2026.1", "--from", "NIGHT", "--since", "2026-11-23", "--until", "2026-11-22"), 2, "--until is not after --since"),
        (("2026.1", "--from", "NIGHT", "--since", "then"), 2, "--since 'then' is no time"),
        (("2026.1", "--from", "NIGHT", "--until", "2020-01-01"), 3, "no recorded command before 2020-01-01"),
        (("1999.1", "--from", "NIGHT"), 3, "no version and no path 1999.1"),
        (("2026.1", "--data-dir", "nowhere"), 3, "no platform runs"),
    ],
)
def test_an_error_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    night = str(saved(tmp_path / "night.jsonl"))
    result = run(*(night if argument == "NIGHT" else argument for argument in arguments))
    assert result.exit_code == code
    assert said in " ".join(result.output.split())


def test_a_draft_with_faults_is_not_rehearsed(tmp_path: Path, swift: Path) -> None:
    path = swift / "sla_emergency.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"5 minutes"', '"5 mins"', 1), encoding="utf-8")
    result = run(str(swift), "--from", str(saved(tmp_path / "night.jsonl")))
    assert result.exit_code == 1
    assert "/clocks/0/budget" in result.stderr


def test_the_help_has_an_example() -> None:
    assert "Example: liandong policy rehearse drafts/faster-grade-2" in " ".join(run("--help").stdout.split())
