"""Policies: what holds for whom, immutable versions, and a checker that tells everything at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from schemas import policies as module
from schemas.clocks import Unit, Until
from schemas.event_types import event_types
from schemas.policies import Policies, latest, policies
from schemas.policy import store
from schemas.policy.checks import check
from schemas.policy.difference import changes, prefixes
from schemas.policy.reading import Fault, in_order
from schemas.policy.store import AlteredPolicy, Locked
from schemas.policy.terms import NEVER_PAUSE, Certainty, Grantor, Length, Level, Purpose, Starts, Whom, length

HOUR = 3_600_000
GRADES = (0, 1, 2, 3, 4)
FIRST = policies("2026.1")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The released files, where they may be altered."""
    root = tmp_path / "policies"
    shutil.copytree(store.ROOT, root)
    store.released.cache_clear()
    monkeypatch.setattr(store, "ROOT", root)
    monkeypatch.setattr(store.locked, "__defaults__", (root,))
    monkeypatch.setattr(store.lock_text, "__defaults__", (root,))
    yield root
    store.released.cache_clear()


def written(name: str, *replacements: tuple[str, str]) -> str:
    """A released document as its next version, with these texts replaced."""
    text = (store.ROOT / name / "v1.toml").read_text(encoding="utf-8")
    for old, new in (("\nversion = 1\n", "\nversion = 2\n"), *replacements):
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def drafted(folder: Path, **texts: str) -> tuple[Policies, list[Fault]]:
    """A draft over the first version: its documents by file name."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    collection, faults = store.draft(folder, "2026.1")
    return Policies(collection), in_order((*faults, *check(collection)))


# --- what holds ---------------------------------------------------------------------------------------------------------

EXPECTED: list[tuple[Purpose, str, int, Unit, int, Until, Starts, str]] = [
    (Purpose.ACCEPT, "S99", 0, Unit.WORKING_MS, 4 * HOUR, Until.MIDNIGHT, Starts.RECEIVED, "D"),
    (Purpose.ACCEPT, "A20600", 0, Unit.MS, HOUR // 4, Until.MIDNIGHT, Starts.RECEIVED, "D"),
    (Purpose.ACCEPT, "L01", 0, Unit.MS, 120_000, Until.MIDNIGHT, Starts.RECEIVED, "D"),
    (Purpose.ACCEPT, "M06028", 4, Unit.WORKING_MS, 2 * HOUR, Until.MIDNIGHT, Starts.RECEIVED, "D"),
    (Purpose.SIGN, "S01", 0, Unit.WORKING_DAY, 1, Until.BUSINESS, Starts.EVENT, "S"),
    (Purpose.SIGN, "R020100", 2, Unit.MS, HOUR // 2, Until.MIDNIGHT, Starts.EVENT, "D"),
    (Purpose.HANDLE, "A10100", 1, Unit.CALENDAR_DAY, 3, Until.MIDNIGHT, Starts.EVENT, "D"),
    (Purpose.HANDLE, "A10100", 3, Unit.CALENDAR_DAY, 5, Until.MIDNIGHT, Starts.EVENT, "D"),
    (Purpose.HANDLE, "A10100", 4, Unit.WORKING_DAY, 5, Until.BUSINESS, Starts.EVENT, "D"),
    (Purpose.HANDLE, "M01001", 0, Unit.WORKING_DAY, 5, Until.BUSINESS, Starts.EVENT, "D"),
    (Purpose.HANDLE, "M09009", 0, Unit.WORKING_DAY, 2, Until.BUSINESS, Starts.EVENT, "D"),
    (Purpose.HANDLE, "M09012", 0, Unit.MS, 2 * HOUR, Until.MIDNIGHT, Starts.EVENT, "D"),
    (Purpose.REPLY, "S02", 0, Unit.WORKING_DAY, 1, Until.BUSINESS, Starts.EVENT, "D"),
    (Purpose.TOTAL, "H01", 0, Unit.WORKING_DAY, 2, Until.BUSINESS, Starts.RECEIVED, "S"),
    (Purpose.HANDLE, "H01", 0, Unit.WORKING_DAY, 1, Until.BUSINESS, Starts.EVENT, "D"),
    (Purpose.TOTAL, "H02", 0, Unit.WORKING_DAY, 10, Until.BUSINESS, Starts.RECEIVED, "S"),
    (Purpose.TOTAL, "H03", 0, Unit.WORKING_DAY, 15, Until.BUSINESS, Starts.RECEIVED, "S"),
    (Purpose.TOTAL, "H04", 4, Unit.WORKING_DAY, 15, Until.BUSINESS, Starts.RECEIVED, "S"),
    (Purpose.ACCEPT, "X03", 0, Unit.CALENDAR_DAY, 15, Until.BUSINESS, Starts.RECEIVED, "P"),
    (Purpose.SIGN, "X01", 0, Unit.WORKING_DAY, 5, Until.BUSINESS, Starts.EVENT, "P"),
    (Purpose.HANDLE, "X03", 0, Unit.CALENDAR_DAY, 60, Until.BUSINESS, Starts.EVENT, "P"),
    (Purpose.HANDLE, "X02", 0, Unit.CALENDAR_DAY, 60, Until.BUSINESS, Starts.EVENT, "D"),
    (Purpose.TOTAL, "X03", 0, Unit.CALENDAR_DAY, 75, Until.BUSINESS, Starts.RECEIVED, "D"),
    (Purpose.TOTAL, "X04", 0, Unit.CALENDAR_DAY, 30, Until.BUSINESS, Starts.RECEIVED, "P"),
    (Purpose.TOTAL, "X05", 0, Unit.CALENDAR_DAY, 30, Until.BUSINESS, Starts.RECEIVED, "P"),
    (Purpose.TOTAL, "S01", 0, Unit.WORKING_DAY, 10, Until.BUSINESS, Starts.RECEIVED, "S"),
    (Purpose.TOTAL, "S99", 0, Unit.WORKING_DAY, 15, Until.BUSINESS, Starts.RECEIVED, "D"),
    (Purpose.TOTAL, "M01001", 0, Unit.WORKING_DAY, 10, Until.BUSINESS, Starts.RECEIVED, "D"),
    (Purpose.TOTAL, "A40300", 2, Unit.CALENDAR_DAY, 30, Until.MIDNIGHT, Starts.RECEIVED, "D"),
]


@pytest.mark.parametrize(("purpose", "code", "grade", "unit", "budget", "until", "starts", "certainty"), EXPECTED)
def test_the_clock_of_an_incident_is_the_one_written_for_it(
    purpose: Purpose, code: str, grade: int, unit: Unit, budget: int, until: Until, starts: Starts, certainty: str
) -> None:
    rule = FIRST.clock(purpose, code, grade)
    assert rule is not None
    assert (rule.unit, rule.budget, rule.until, rule.starts, rule.origin.certainty) == (unit, budget, until, starts, certainty)


def test_the_time_of_a_hearing_counts_but_in_the_second_review_of_a_petition() -> None:
    """信访工作条例 art. 36 leaves it out of its own 30 days; art. 34 and 35 leave out nothing. Art. 34: 30 days more, by the own head."""
    pausable = {
        (code, purpose.value)
        for code in event_types() if code.startswith("X")
        for purpose in (Purpose.HANDLE, Purpose.TOTAL) if (rule := FIRST.clock(purpose, code, 0)) and rule.pausable
    }  # fmt: skip
    assert pausable == {("X05", "handle"), ("X05", "total")}
    longer = FIRST.clock(Purpose.HANDLE, "X03", 0)
    assert longer is not None
    assert longer.extension is not None
    assert (longer.extension.unit, longer.extension.budget, longer.extension.by) == (Unit.CALENDAR_DAY, 30, Grantor.OWN_HEAD)
    assert "第三十四条" in longer.origin.source
    reviews = [FIRST.clock(Purpose.TOTAL, code, 0) for code in ("X04", "X05")]
    assert [rule and rule.extension for rule in reviews] == [None, None]


def test_every_incident_has_the_five_clocks_and_response_clocks_never_pause() -> None:
    for code in event_types():
        for grade in GRADES:
            for purpose in set(Purpose) - {Purpose.REPORT_UP, Purpose.SUPPLEMENT}:
                rule = FIRST.clock(purpose, code, grade)
                assert rule is not None, (purpose, code, grade)
                assert not (rule.pausable and purpose in NEVER_PAUSE)
                assert rule.warning < 1000 < rule.overdue
                assert rule.backdating_ms > 0
    assert set(NEVER_PAUSE) == {Purpose.ACCEPT, Purpose.SIGN, Purpose.REPORT_UP, Purpose.SUPPLEMENT}


def test_only_accidents_at_work_have_a_window_for_supplements_which_is_of_the_law() -> None:
    """生产安全事故报告和调查处理条例 13: thirty days, seven for road traffic and fires."""
    days = {code: rule.budget for code in event_types() if (rule := FIRST.clock(Purpose.SUPPLEMENT, code, 2))}
    assert {code for code, budget in days.items() if budget == 7} == {"A20600", "A20700", "R020300"}
    assert set(days.values()) == {7, 30}
    reports = [FIRST.report_up(4, code) for code in days]
    assert {report.origin.document for report in reports if report} == {"report_up_accidents 1"}
    assert all(reports)
    rule = FIRST.clock(Purpose.SUPPLEMENT, "A20100", 2)
    assert rule
    assert (rule.window, rule.overdue, rule.starts, rule.origin.certainty) == (True, 0, "occurred", "P")


def test_what_is_in_no_document_has_no_rule() -> None:
    assert FIRST.clock("lunch", "A10100", 1) is None
    assert FIRST.clock(Purpose.REPORT_UP, "A10100", 1) is None, "its clocks are the hops of report_up"
    assert FIRST.report_up(2, "M06028") is None
    assert FIRST.report_up(0, "A20600") is None, "nothing is reported by a grade that nobody gave"
    assert FIRST.ladder("lunch", "A10100", 1) is None
    assert FIRST.suspension("the officer was on holiday") is None
    assert FIRST.rung("shout") is None


@pytest.mark.parametrize(
    ("grade", "top", "hours"),
    [(1, Level.STATE, [1, 2, 2, 2]), (2, Level.STATE, [1, 2, 2, 2]), (3, Level.PROVINCE, [1, 2, 2]), (4, Level.CITY, [1, 2])],
)
def test_an_accident_is_reported_as_high_and_as_fast_as_the_regulation_says(grade: int, top: Level, hours: list[int]) -> None:
    """安全事故条例 art. 9 to 11: 1 h, then at most 2 h a hop; 一般 ends at the city, 较大 at the province, above at the State."""
    rule = FIRST.report_up(grade, "A20400")
    assert rule is not None
    assert (rule.highest, [hop.clock.budget // HOUR for hop in rule.hops]) == (top, hours)
    for hop in rule.hops:
        assert (hop.clock.purpose, hop.clock.unit, hop.clock.pausable, hop.clock.extension) == (Purpose.REPORT_UP, Unit.MS, False, None)
        assert hop.clock.origin.certainty is Certainty.PRIMARY
        assert "第九条" in hop.clock.origin.source


def test_each_level_owes_the_hop_that_ends_above_it() -> None:
    rule = FIRST.report_up(3, "A20400")
    assert rule is not None
    owed = {level: rule.hop_from(level) for level in ("unit", "village", "town", "county", "city", "province", "state")}
    assert {level: hop and hop.to.value for level, hop in owed.items()} == {
        "unit": "county", "village": "county", "town": "county", "county": "city", "city": "province", "province": None, "state": None,
    }  # fmt: skip


def test_hours_that_nobody_verified_do_not_pass_for_law() -> None:
    health, disaster = FIRST.report_up(1, "A30100"), FIRST.report_up(1, "A10100")
    assert health is not None
    assert {hop.clock.origin.certainty for hop in health.hops} == {Certainty.UNVERIFIED}
    assert disaster is not None
    assert {hop.clock.origin.certainty for hop in disaster.hops} == {Certainty.DESIGN}
    hearing = FIRST.suspension("petition_hearing")
    assert hearing is not None
    assert (hearing.origin.certainty, hearing.longest_origin.certainty) == (Certainty.PRIMARY, Certainty.DESIGN), (
        "ground by law, length ours"
    )


def test_only_emergencies_of_grade_one_and_two_climb_to_the_province() -> None:
    for code in event_types():
        for grade in GRADES:
            for purpose in set(Purpose) - {Purpose.REPORT_UP, Purpose.SUPPLEMENT}:
                ladder = FIRST.ladder(purpose, code, grade)
                assert ladder is not None
                if ladder.highest is Level.PROVINCE:
                    assert code[0] in "AR"
                    assert grade in (1, 2)
                if code[0] in "LMS":
                    assert ladder.highest is Level.COUNTY, "an elder's call or a lamp never wakes a city"


def test_an_unsigned_case_climbs_as_the_ladder_says() -> None:
    ladder = FIRST.ladder(Purpose.SIGN, "M06028", 0)
    assert ladder is not None
    assert [(step.at, step.tell, step.supervise) for step in ladder.steps] == [
        (1000, (Whom.DESK,), ""),
        (1500, (Whom.HEAD, Whom.SUPERIOR_DESK), ""),
        (2000, (), "remind"),
    ]
    assert (ladder.climb_every, ladder.ack_unit, ladder.ack_within, ladder.ack_again) == (1000, Unit.WORKING_MS, HOUR, 1)


def test_supervision_rises_in_five_rungs_each_with_its_paper_and_reply() -> None:
    assert [(rung.order, rung.title_zh, rung.paper, rung.reply.budget) for rung in FIRST.rungs.values()] == [
        (1, "提醒", "提醒单", 1), (2, "督办", "督办单", 3), (3, "通报", "通报", 5), (4, "约谈", "约谈通知书", 5),
        (5, "挂牌督办", "挂牌督办通知书", 10),
    ]  # fmt: skip
    assert {(rung.reply.purpose, rung.reply.unit, rung.reply.pausable) for rung in FIRST.rungs.values()} == {
        (Purpose.REPLY, Unit.WORKING_DAY, False)
    }


def test_an_extension_is_in_the_unit_of_its_clock_and_names_who_grants_it() -> None:
    rule = FIRST.clock(Purpose.HANDLE, "S01", 0)
    assert rule is not None
    assert rule.extension is not None
    assert (rule.extension.unit, rule.extension.budget, rule.extension.by) == (rule.unit, 5, Grantor.SUPERIOR)


CLOCKS = """
[[clocks]]
purpose = "handle"
budget = "1 hour"
starts = "event"
[[clocks]]
purpose = "handle"
grades = [2]
budget = "2 hours"
starts = "event"
[[clocks]]
purpose = "handle"
types = ["A1", "A10100"]
budget = "3 hours"
starts = "event"
[[clocks]]
purpose = "handle"
types = ["A1"]
grades = [2]
budget = "4 hours"
starts = "event"
"""


@pytest.mark.parametrize(
    ("code", "grade", "hours"), [("S01", 1, 1), ("S01", 2, 2), ("A10200", 1, 3), ("A10200", 2, 4), ("A10100", 1, 3), ("A10100", 2, 3)]
)
def test_the_longest_prefix_decides_then_the_rule_that_names_the_grade(tmp_path: Path, code: str, grade: int, hours: int) -> None:
    text = written("sla_default")
    found, _ = drafted(tmp_path, sla_default=text[: text.index("[[clocks]]")] + CLOCKS)
    found.clocks = tuple(rule for rule in found.clocks if rule.origin.document == "sla_default 2")
    rule = found.clock(Purpose.HANDLE, code, grade)
    assert rule is not None
    assert rule.budget == hours * HOUR


# --- lengths of time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("1 second", Unit.MS, 1000), ("30 minutes", Unit.MS, 1_800_000), ("2 hours", Unit.MS, 2 * HOUR),
        ("90 working minutes", Unit.WORKING_MS, 5_400_000), ("4 working hours", Unit.WORKING_MS, 4 * HOUR),
        ("1 working day", Unit.WORKING_DAY, 1), ("60 calendar days", Unit.CALENDAR_DAY, 60),
    ],
)  # fmt: skip
def test_a_length_of_time_is_read_and_written_alike(text: str, unit: Unit, amount: int) -> None:
    assert length(text) == Length(unit, amount)
    assert str(length(text)) == text


@pytest.mark.parametrize("text", ["", "0 hours", "5", "5 days", "5  hours", "-1 hour", "1.5 hours", "5 workdays", "hours", "5 hours later"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: a whole number and a unit"):
        length(text)


# --- versions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", store.versions())
def test_every_released_version_is_right(version: str) -> None:
    assert list(map(str, check(store.released(version)))) == []


def test_the_lock_holds_every_file_and_a_document_that_no_version_names_is_not_released() -> None:
    assert store.lock_text() == (store.ROOT / store.LOCK).read_text(encoding="utf-8"), "run python -m schemas.policy.store --write"
    named = {store.file_of(p.document.id, p.document.version) for version in store.versions() for p in store.released(version).placed}
    assert {line.file for line in store.locked() if not line.version} == named


def test_a_document_stands_where_its_id_and_version_say() -> None:
    for version in store.versions():
        for placed in store.released(version).placed:
            assert placed.file == store.file_of(placed.document.id, placed.document.version)


@pytest.mark.parametrize("file", ["sla_default/v1.toml", "versions/2026.1.toml"])
def test_a_released_file_that_was_changed_is_neither_used_nor_locked_anew(copy: Path, file: str) -> None:
    path = copy / file
    path.write_text(path.read_text(encoding="utf-8").replace("2026-11-01", "2026-11-02"), encoding="utf-8")
    with pytest.raises(AlteredPolicy, match=file):
        store.released("2026.1")
    with pytest.raises(AlteredPolicy, match="never changes"):
        store.lock_text()


def test_a_released_file_that_is_gone_is_missed(copy: Path) -> None:
    (copy / "sla_hotline" / "v1.toml").unlink()
    with pytest.raises(AlteredPolicy, match="sla_hotline"):
        store.released("2026.1")


def test_a_new_version_adds_lines_to_the_lock_documents_before_the_version_that_names_them(copy: Path) -> None:
    before = (copy / store.LOCK).read_text(encoding="utf-8")
    (copy / "sla_default" / "v2.toml").write_text(written("sla_default", ('"5 working days"', '"4 working days"')), encoding="utf-8")
    manifest = (copy / "versions" / "2026.1.toml").read_text(encoding="utf-8")
    manifest = manifest.replace('version = "2026.1"', 'version = "2026.2"').replace("sla_default = 1", "sla_default = 2")
    (copy / "versions" / "2026.2.toml").write_text(manifest, encoding="utf-8")
    text = store.lock_text()
    assert text.startswith(before)
    assert [line.split()[1] for line in text[len(before) :].splitlines()] == ["sla_default/v2.toml", "versions/2026.2.toml"]
    (copy / store.LOCK).write_text(text, encoding="utf-8")
    rule = Policies(store.released("2026.2")).clock(Purpose.HANDLE, "S01", 0)
    assert rule is not None
    assert (rule.budget, rule.origin.document) == (4, "sla_default 2")


def test_a_version_that_is_only_read_is_not_given_to_new_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (Locked("versions/2026.1.toml", ""), Locked("x/v1.toml", ""), Locked("versions/2026.2.toml", "", used=False))
    monkeypatch.setattr(store, "locked", lambda: lines)
    latest.cache_clear()
    try:
        assert latest() == "2026.1"
        lines = (*lines[:2], Locked("versions/2026.2.toml", ""))
        latest.cache_clear()
        assert latest() == "2026.2"
    finally:
        latest.cache_clear()


def test_the_word_read_is_read_from_the_lock(copy: Path) -> None:
    lock = copy / store.LOCK
    lock.write_text(lock.read_text(encoding="utf-8").rstrip("\n") + "  read\n", encoding="utf-8")
    assert [line.used for line in store.locked() if line.version] == [False]


def test_a_version_that_this_release_does_not_know_is_a_key_error() -> None:
    with pytest.raises(KeyError, match=r"2031\.1"):
        policies("2031.1")


def test_a_version_is_read_once() -> None:
    assert policies("2026.1") is FIRST
    assert latest() == store.versions()[-1]
    assert module.policies is policies


# --- what the checker finds ---------------------------------------------------------------------------------------------

FAULTS: list[tuple[str, str, str, str, str]] = [
    ("sla_default", 'certainty = "D"', 'certainty = "P"', "/certainty", "is no P"),
    ("sla_default", "Liandong: common", "Law: common", "/source", "our own choice (D)"),
    ("sla_hotline", 'certainty = "S"', 'certainty = "P"', "/source", "names no article"),
    ("sla_hotline", "[defaults]", 'in_force_until = 2020-01-01\n[defaults]', "/in_force_until", "before in_force_from"),
    ("sla_hotline", "[defaults]", 'in_force_until = 2026-10-31\n[defaults]', "/in_force_until", "before the whole comes into force"),
    ("sla_hotline", "2022-09-01\n", "2026-11-02\n", "/in_force_from", "after the whole comes into force"),
    ("sla_hotline", '["S01"]', '["X9"]', "/clocks/0/types/0", "no incident type begins with X9"),
    ("sla_hotline", '["S01"]', '["S01", "S01"]', "/clocks/0/types", "twice"),
    ("sla_hotline", 'types = ["S01"]', "grades = [1, 5]", "/clocks/0/grades/1", "5 is not allowed"),
    ("sla_default", 'purpose = "accept"', 'purpose = "accept"\npausable = true', "/clocks/0/pausable", "never pauses"),
    ("sla_default", 'purpose = "accept"', 'purpose = "report_up"', "/clocks/0/purpose", "a report's clocks are its hops"),
    ("sla_default", 'purpose = "accept"', 'purpose = "accept"\nuntil = "business"', "/clocks/0/until", "ends at its minute"),
    ("sla_default", 'purpose = "accept"', 'purpose = "accept"\nbackdating = "1 working day"', "/clocks/0/backdating", "calendar"),
    ("sla_default", 'backdating = "72 hours"', 'backdating = "3 calendar days"', "/defaults/backdating", "calendar"),
    ("sla_default", 'purpose = "accept"', 'purpose = "accept"\nsource = "Liandong: us"', "/clocks/0/certainty", "is missing"),
    ("sla_default", 'extension = { budget = "5 working', 'extension = { budget = "5 calendar', "/clocks/2/extension/budget", "do not add"),
    ("sla_default", 'purpose = "reply"', 'purpose = "sign"', "/clocks/3", "holds as closely as the one at sla_default.toml /clocks/1"),
    ("sla_default", '"5 working days"', '"16 working days"', "/clocks/2/budget", "takes longer than sla_default 2 allows for all"),
    ("lateness_incident", "at = 1500", "at = 900", "/ladders/0/steps/1/at", "900 does not come after 1000"),
    ("lateness_incident", ', tell = ["desk"]', "", "/ladders/0/steps/0", "does nothing"),
    ("lateness_incident", '"remind"', '"shout"', "/ladders/1/steps/2/supervise", "no rung shout"),
    ("lateness_incident", '"1 working hour"', '"1 working day"', "/ladders/0/ack/within", "too coarse"),
    ("lateness_incident", 'climb_every = 1000', 'on_timeout.highest = "city"', "/ladders/0/on_timeout", "nobody is offered a case"),
    ("lateness_incident", 'on_timeout.certainty = "D"\n', "", "/ladders/3/on_timeout/certainty", "is missing"),
    ("lateness_incident", "{ at = 900,", "{ at = 1000,", "/ladders/15/steps/0/at", "a window closes"),
    ("lateness_incident", "again = 1 }", "again = 1, before_due = true }", "/ladders/0/ack/before_due", "nobody is told before"),
    ("lateness_incident", "grades = [3, 4]", 'types = ["S"]', "/ladders/11/clock", "nothing that this ladder is for has a clock"),
    ("report_up_accidents", 'of = "county"', 'of = "city"', "/rules/0/hops/1/of", "does not go on from county"),
    ("report_up_accidents", 'to = "county"', 'to = "unit"', "/rules/0/hops/0/to", "unit is not above unit"),
    ("report_up_accidents", '"1 hour"', '"1 working hour"', "/rules/0/hops/0/within", "calendar"),
    ("report_up_accidents", '["A20"', '["A1", "A20"', "/rules/0", "holds as closely as the one at report_up_emergencies/v1.toml /rules/0"),
    ("suspension_incident", '"expert_appraisal"', '"petition_hearing"', "/reasons/1/code", "twice"),
    ("suspension_incident", ', certainty = "D" }', " }", "/reasons/0/longest/certainty", "is missing"),
    ("supervision_ladder", '"supervise"', '"remind"', "/rungs/1/code", "twice"),
    ("supervision_ladder", '"duty_officer"', '"king"', "/rungs/0/issuer_rank", "'king' is not allowed"),
    ("sla_default", 'kind = "sla"', 'kind = "salad"', "/kind", "'salad' is no kind of policy"),
    ("sla_default", 'kind = "sla"\n', "", "/kind", "is missing"),
    ("sla_default", "in_force_from = 2026-11-01", "in_force_from = 2026-11-01T00:00:00", "/in_force_from", "is not allowed"),
    ("sla_default", "warning = 750", "warning = true", "/defaults/warning", "True is not allowed"),
    ("sla_default", "warning = 750", "warnung = 750", "/defaults/warnung", "did you mean warning?"),
    ("sla_default", '[defaults]', "[[defaults]]", "/defaults", "is not allowed"),
    ("sla_default", 'version = 2', "version = 3", "/version", "leaves a gap"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "pointer", "wrong"), FAULTS)
def test_a_fault_is_told_with_its_document_its_place_and_what_is_allowed(
    tmp_path: Path, name: str, old: str, new: str, pointer: str, wrong: str
) -> None:
    assert drafted(tmp_path / "right", **{name: written(name)})[1] == []
    _, faults = drafted(tmp_path / "wrong", **{name: written(name, (old, new))})
    found = [fault for fault in faults if fault.pointer == pointer and wrong in fault.wrong]
    assert [fault.document for fault in found] == [f"{name}.toml"], list(map(str, faults))
    assert found[0].allowed


def test_a_released_version_of_a_document_with_other_content_is_a_fault(tmp_path: Path) -> None:
    text = written("sla_default", ("version = 2", "version = 1"), ('"5 working days"', '"4 working days"'))
    _, faults = drafted(tmp_path, sla_default=text)
    assert [(fault.pointer, fault.allowed) for fault in faults] == [("/version", "2")]
    assert drafted(tmp_path, sla_default=written("sla_default", ("version = 2", "version = 1")))[1] == [], (
        "the released text itself is none"
    )


def test_all_faults_of_all_documents_come_at_once_in_the_order_of_the_text(tmp_path: Path) -> None:
    _, faults = drafted(
        tmp_path,
        sla_emergency=written("sla_emergency", ('"2 minutes"', '"2 mins"'), ('"24 hours"', '"1 day"'), ("warning = 750", "warning = 1750")),
        lateness_incident=written("lateness_incident", ("at = 1500", "at = 900"), ('"remind"', '"shout"')),
        broken="id = ?",
    )
    assert [(fault.document, fault.pointer) for fault in faults] == [
        ("broken.toml", ""),
        ("lateness_incident.toml", "/ladders/0/steps/1/at"),
        ("lateness_incident.toml", "/ladders/1/steps/2/supervise"),
        ("sla_emergency.toml", "/clocks/1/budget"),
        ("sla_emergency.toml", "/clocks/11/budget"),
        ("sla_emergency.toml", "/defaults/warning"),
    ]
    assert "at line 1, column 6" in faults[0].wrong


def test_faults_stand_in_the_order_of_places_not_of_digits() -> None:
    faults = [Fault("a", f"/clocks/{number}/budget", "wrong", "right") for number in (10, 2)]
    assert in_order([*faults, faults[0]]) == faults[::-1]


# --- drafts -------------------------------------------------------------------------------------------------------------


def test_a_draft_replaces_a_document_adds_one_and_drops_one(tmp_path: Path) -> None:
    fresh = written("sla_hotline", ('id = "sla_hotline"', 'id = "sla_leisure"'), ("version = 2", "version = 1"), ('"S01"', '"S02"'))
    fresh = fresh[: fresh.index("[[clocks]]", fresh.index("[[clocks]]") + 1)]  # its first clock only
    head = 'based_on = "2026.1"\nwithout = ["sla_municipal"]\nin_force_from = 2027-01-01\n'
    found, faults = drafted(tmp_path, sla_default=written("sla_default"), sla_leisure=fresh, draft=head)
    assert faults == []
    assert {document.name for document in found.documents.values()} == {
        "lateness_incident 1", "report_up_accidents 1", "report_up_emergencies 1", "report_up_health 1", "sla_default 2",
        "sla_emergency 1", "sla_hotline 1", "sla_leisure 1", "sla_petition 1", "supervision_ladder 1", "suspension_incident 1",
    }  # fmt: skip
    assert found.in_force_from == date(2027, 1, 1)


def test_a_draft_may_be_one_file(tmp_path: Path) -> None:
    path = tmp_path / "any.toml"
    path.write_text(written("sla_default"), encoding="utf-8")
    collection, faults = store.draft(path, "2026.1")
    assert [*faults, *check(collection)] == []
    assert "sla_default 2" in {placed.document.name for placed in collection.placed}


def test_a_draft_that_says_what_cannot_be_is_told_so(tmp_path: Path) -> None:
    head = 'based_on = "1999.1"\nwithout = ["sla_dream"]\n'
    _, faults = drafted(tmp_path, draft=head, one=written("sla_default"), two=written("sla_default"))
    assert {(fault.document, fault.pointer) for fault in faults} == {
        ("draft.toml", "/based_on"), ("draft.toml", "/without/0"), ("two.toml", "/id"),
    }  # fmt: skip


def test_a_second_supervision_ladder_or_list_of_grounds_is_a_fault(tmp_path: Path) -> None:
    text = written("supervision_ladder", ('id = "supervision_ladder"', 'id = "supervision_too"'), ("version = 2", "version = 1"))
    _, faults = drafted(tmp_path, supervision_too=text)
    assert [(fault.document, fault.pointer) for fault in faults] == [("supervision_too.toml", "/kind")]


def test_bytes_that_are_no_text_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "gb.toml").write_bytes("标题 = 1".encode("gb18030"))
    _, faults = store.draft(tmp_path, "2026.1")
    assert [(fault.document, fault.allowed) for fault in faults] == [("gb.toml", "UTF-8")]


def test_nothing_is_no_draft(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "away"):
        with pytest.raises(ValueError, match="no document"):
            store.draft(path, "2026.1")


# --- differences --------------------------------------------------------------------------------------------------------


def difference(folder: Path, **texts: str) -> list[str]:
    found, faults = drafted(folder, **texts)
    assert faults == []
    return [str(change) for change in changes(FIRST, found)]


def test_a_version_does_not_differ_from_itself() -> None:
    assert changes(FIRST, FIRST) == []


def test_a_shorter_budget_is_told_in_words_for_those_it_meets(tmp_path: Path) -> None:
    text = written("sla_emergency", ('grades = [1, 2]\nbudget = "3 calendar days"', 'grades = [1, 2]\nbudget = "2 calendar days"'))
    assert difference(tmp_path, sla_emergency=text) == ["handle clock of A…, R… grade 1, 2: 3 calendar days → 2 calendar days"]


def test_a_change_that_another_rule_hides_is_none_and_one_that_comes_through_is(tmp_path: Path) -> None:
    text = written("sla_default", ('budget = "15 working days"', 'budget = "14 working days"'))
    assert difference(tmp_path, sla_default=text) == [
        "total clock of A…, R… grade 4 and not yet graded: 15 working days → 14 working days",
        "total clock of S02 设备或系统故障, S99 其他事项: 15 working days → 14 working days",
    ]


def test_a_rule_that_is_split_without_effect_changes_nothing(tmp_path: Path) -> None:
    rule = '[[clocks]]\npurpose = "accept"\ntypes = ["L"]\nbudget = "2 minutes"\nstarts = "received"\n'
    codes = [code for code in event_types() if code.startswith("L")]
    split = "\n".join(rule.replace('["L"]', f'["{code}"]') for code in codes)
    assert difference(tmp_path, sla_emergency=written("sla_emergency", (rule, split))) == []


def test_a_rule_that_comes_or_goes_is_told_as_none(tmp_path: Path) -> None:
    ladder = '[[ladders]]\nclock = "reply"\n'
    text = written("lateness_incident", (ladder, '[[ladders]]\nclock = "reply"\ntypes = ["M"]\n'))
    assert difference(tmp_path, lateness_incident=text) == [
        "lateness of reply of A…, R… grade 3, 4 and not yet graded: up to county → none",
        "lateness of reply of H…, L…, S…, X…: up to county → none",
    ]


def test_other_things_than_the_budget_are_told_by_name(tmp_path: Path) -> None:
    assert difference(
        tmp_path,
        sla_hotline=written("sla_hotline", ('["S01"]', '["S01"]\noverdue = 1400'), ("pausable = true\n", "")),
        report_up_health=written("report_up_health", ('"state", within = "1 hour"', '"state", within = "2 hours"')),
        suspension_incident=written("suspension_incident", ('"10 calendar days"', '"20 calendar days"')),
        lateness_incident=written("lateness_incident", ("at = 1500", "at = 1400")),
        supervision_ladder=written("supervision_ladder", ('reply = "3 working days"', 'reply = "2 working days"')),
    ) == [
        "lateness of accept of H…, M…, S…, X… · at 150 %: tell head and superior_desk → none",
        "lateness of accept of H…, M…, S…, X… · at 140 %: none → tell head and superior_desk",
        "total clock of S01 群众求助 · deep red at: 150 % → 140 %",
        "total clock of S01 群众求助 · suspension: pauses it → does not pause it",
        "report up of A30100 传染病事件, A30200 食品药品安全事件, A30300 群体性中毒、感染事件, R020504 公共卫生事件 grade 1, 2"
        " · province to state: 1 hour from event → 2 hours from event",
        "suspension for emergency_response: at most 10 calendar days → at most 20 calendar days",
        "supervision supervise: 督办单, reply in 3 working days → 督办单, reply in 2 working days",
    ]


def test_a_figure_that_loses_its_law_is_told(tmp_path: Path) -> None:
    law = "信访工作条例 (2022) 第三十六条: the time of a hearing is not counted"
    text = written("suspension_incident", (law, "Liandong: hearings"), ('certainty = "P"', 'certainty = "D"'))
    assert difference(tmp_path, suspension_incident=text) == [
        "suspension for petition_hearing · certainty: P → D",
        f"suspension for petition_hearing · source: {law} → Liandong: hearings",
    ]


def test_the_names_of_whom_it_concerns_cover_them_and_nobody_else() -> None:
    every = list(event_types())
    assert prefixes(every) == ("",)
    assert prefixes([code for code in every if code.startswith(("A1", "L"))]) == ("A1", "L")
    assert prefixes(["L01", "M09012"]) == ("L01", "M09012")
    but_one = [code for code in every if code != "A10100"]
    covered = {code for prefix in prefixes(but_one) for code in every if code.startswith(prefix)}
    assert covered == set(but_one)
