"""Import files: CSV with Chinese headings as Excel saves it, TOML, and every error led back to row and column."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from schemas.people.checks import moment, take, take_changes
from schemas.people.records import Layer, Override, Post, Roster, Swap, Turn, Window
from services.people.files import BadFile, Gathered, Place, changes_csv, gather, gather_changes

USERS = """工号,姓名,单位,在岗,手机,邮箱
4403-1,李雷,440305-desk,是,13800000001,
4403-2,韩梅梅,440305-desk,,,h@gov
,,,,,
4403-3,王,440305-desk,否,,
"""
POSTS = "岗位编号,工号,角色,区划,起,领域\nns-1,4403-1,值班员,440305,2026/1/5 8:30,live、sandbox\nns-2,4403-2,负责人,440305,,\n"
ROSTERS = """值班席,班次,班组,时长,起始,时段
440305-desk,夜班,4403-1、4403-2；4403-3,1天,2026-01-01,18:00-08:30 工作日 周一二;00:00-24:00 节假日
440305-desk,日班,4403-2,12小时,2026-01-01,
"""


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def faults_of(found: Gathered) -> dict[Place, str]:
    return {found.where(fault.pointer): fault.wrong for fault in take(found.people, ()).faults}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_three_csv_files_are_one_import(tmp_path: Path, encoding: str) -> None:
    names = (("用户.csv", USERS), ("岗位.csv", POSTS), ("值班表.csv", ROSTERS))
    found = gather(write(tmp_path, name, text, encoding) for name, text in names)
    checked = take(found.people, ())
    assert checked.faults == ()
    assert [(user.name, user.active, [c.kind for c in user.channels]) for user in checked.users] == [
        ("李雷", True, ["phone"]), ("韩梅梅", True, ["email"]), ("王", False, []),
    ]  # fmt: skip
    assert checked.posts[0] == Post(
        "ns-1", "4403-1", "440305-desk", "officer", "county", "440305", moment("2026-01-05T08:30:00+08:00"), 0, ("live", "sandbox")
    )
    assert (checked.posts[1].role, checked.posts[1].since) == ("head", 0)
    (roster,) = checked.rosters
    night, day = roster.layers
    assert [turn.persons for turn in night.turns] == [("4403-1", "4403-2"), ("4403-3",)]
    assert (night.length, day.length, day.windows) == (1440, 720, ())
    assert night.windows == (Window(1080, 510, "working", (1, 2)), Window(0, 1440, "free"))


def test_every_wrong_cell_is_told_by_file_row_and_column(tmp_path: Path) -> None:
    text = "工号,姓名,单位,在岗,邮箱\n4403-1,李雷,x,maybe,\n13800000001,某,x,,\n4403-2,乙,x,,nobody\n4403-2,丙,x,,\n"
    users = write(tmp_path, "u.csv", text)
    posts = write(tmp_path, "p.csv", "岗位编号,工号,角色,区划,止\np1,ghost,值班员,440399,2026-13-01\n")
    layers = "值班席,班组,时长,起始\n440305-desk,4403-1,1h,2026-01-01\n440305-desk,4403-1、ghost,5分钟,2026-02-30\n"
    rosters = write(tmp_path, "r.csv", layers)
    assert set(faults_of(gather([users, posts, rosters]))) == {
        Place("u.csv", 2, "在岗"), Place("u.csv", 3, "工号"), Place("u.csv", 4, "邮箱"), Place("u.csv", 5, "工号"),
        Place("p.csv", 2, "工号"), Place("p.csv", 2, "区划"), Place("p.csv", 2, "止"),
        Place("r.csv", 3, "班组"), Place("r.csv", 3, "时长"), Place("r.csv", 3, "起始"),
    }  # fmt: skip


def test_a_cell_that_nobody_understands_is_refused_at_its_place(tmp_path: Path) -> None:
    posts = write(tmp_path, "p.csv", "岗位编号,工号,角色,区划\np1,a,国王,440305\n")
    rosters = write(tmp_path, "r.csv", "值班席,班组,时长,起始,时段\n440305-desk,a,三天,2026-01-01,晚上\n")
    assert set(faults_of(gather([posts, rosters]))) == {Place("p.csv", 2, "角色"), Place("r.csv", 2, "时长"), Place("r.csv", 2, "时段")}


def test_toml_holds_all_three_with_its_own_times_and_errors_lead_to_their_table(tmp_path: Path) -> None:
    text = """
[[users]]
id = "a"
name = "李雷"
org = "440305-desk"
channels = [{kind = "sms", address = "13800000001"}]
[[rosters]]
desk = "440305-desk"
layers = [{name = "全天", turns = [["a"]], length = "1d", starts_at = 2026-01-01}]
overrides = [{person = "a", start = 2026-01-01T08:00:00+08:00, until = 2026-01-01 09:00:00}]
"""
    (roster,) = take(gather([write(tmp_path, "d.toml", text)]).people, ()).rosters
    assert roster.overrides[0].until - roster.overrides[0].start == 3_600_000
    wrong = gather(
        [write(tmp_path, "d.toml", text), write(tmp_path, "e.toml", text.replace('"a"', '"b"').replace('length = "1d"', "length = 1"))]
    )
    assert set(faults_of(wrong)) == {Place("e.toml", 0, "/rosters/0/layers/0/length")}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "empty"),
        ("a.csv", "颜色,大小\n1,2\n", "neither users nor posts nor rosters"),
        ("a.csv", "工号,姓名,单位,爱好\n1,2,3,4\n", "no column is called 爱好"),
        ("a.csv", "工号,姓名,单位,姓名\n1,2,3,4\n", "twice"),
        ("a.csv", "工号,姓名,单位\n1,2,3,4\n", "row 2: more cells"),
        ("a.toml", "[[users", "no TOML"),
        ("a.toml", "people = 1", "holds people"),
        ("a.toml", "users = 1", r"\[\[users\]\]"),
    ],
)
def test_a_file_that_is_none_says_why(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(BadFile, match=said):
        gather([write(tmp_path, name, text)])


def test_bytes_of_no_known_encoding_are_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xff\xff")
    with pytest.raises(BadFile, match="neither UTF-8 nor GB18030"):
        gather([path])


CHANGES = """值班席,替班人,被替人,起,止,事由
440305-desk,a,,2026/11/22 8:30,2026-11-22 20:00,sick
440305-desk,b,a,2026-11-23,2026-11-24,
"""


def roster() -> Roster:
    over = Override("c", moment("2026-11-20"), moment("2026-11-21"), "leave")
    return Roster("440305-desk", (Layer("全天", (Turn(("a", "b")),), 1440, moment("2026-01-01")),), (over,))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_overrides_and_swaps_come_by_csv_beside_those_that_there_are_and_go_out_as_they_came(tmp_path: Path, encoding: str) -> None:
    found = gather_changes(write(tmp_path, "替班.csv", CHANGES, encoding))
    kept = roster()
    (made,) = take_changes(found.people, {kept.desk: kept}, {"a", "b", "c"}).rosters
    fresh = Override("a", moment("2026-11-22 08:30"), moment("2026-11-22 20:00"), "sick")
    swap = Swap("a", "b", moment("2026-11-23"), moment("2026-11-24"), "")
    assert (made.layers, made.overrides, made.swaps) == (kept.layers, (*kept.overrides, fresh), (swap,))
    again = take_changes(found.people, {kept.desk: made}, {"a", "b", "c"})
    assert again.rosters == (made,), "what stands there already stays once"
    alone = take_changes(found.people | {"replace": True}, {kept.desk: made}, {"a", "b", "c"}).rosters[0]
    assert (alone.overrides, alone.swaps) == ((fresh,), (swap,))
    out = write(tmp_path, "out.csv", changes_csv([msgspec.to_builtins(made)]))
    assert out.read_text(encoding="utf-8").splitlines() == [
        "值班席,替班人,被替人,起,止,事由", "440305-desk,c,,2026-11-20 00:00,2026-11-21 00:00,leave",
        "440305-desk,a,,2026-11-22 08:30,2026-11-22 20:00,sick", "440305-desk,b,a,2026-11-23 00:00,2026-11-24 00:00,",
    ]  # fmt: skip
    back = take_changes(gather_changes(out).people | {"replace": True}, {kept.desk: kept}, {"a", "b", "c"}).rosters[0]
    assert (set(back.overrides), back.swaps) == (set(made.overrides), made.swaps)


def test_every_wrong_change_is_told_by_row_and_column_also_beside_rows_that_are_no_changes(tmp_path: Path) -> None:
    text = (
        "值班席,替班人,被替人,起,止,事由\n440305-desk,a,,2026-11-22,2026-11-23,\n440304-desk,a,,2026-11-22,2026-11-23,\n"
        "440305-desk,ghost,nobody,2026-11-22,2026-11-21,\n440305-desk,a,,2026-13-01,someday,two words\n"
        "440305-desk,,b,2026-11-22,2026-11-23,\n"
    )
    found = gather_changes(write(tmp_path, "c.csv", text))
    kept = roster()
    checked = take_changes(found.people, {kept.desk: kept}, {"a", "b", "c"})
    assert {found.where(fault.pointer) for fault in checked.faults} == {
        Place("c.csv", 3, "值班席"), Place("c.csv", 4, "替班人"), Place("c.csv", 4, "被替人"), Place("c.csv", 4, "止"),
        Place("c.csv", 5, "止"), Place("c.csv", 5, "事由"), Place("c.csv", 6, "替班人"),
    }  # fmt: skip
    with pytest.raises(BadFile, match=r"are not those of changes\. Needed are, for changes: 值班席, 替班人, 起, 止"):
        gather_changes(write(tmp_path, "u.csv", USERS))


@pytest.mark.parametrize(
    "text", ["2026-11-22 08:30", "2026/11/22 8:30", "2026年11月22日 08:30", "2026-11-22T00:30:00Z", "2026-11-22T08:30:00+08:00"]
)
def test_a_time_is_read_as_people_write_it(text: str) -> None:
    assert moment(text) == 1_795_307_400_000


@pytest.mark.parametrize("text", ["", "22.11.2026", "2026-11-22 25:00", "2026-02-30", "08:30"])
def test_what_is_no_time_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        moment(text)
