"""Import files: TOML with [[users]], [[posts]], [[rosters]], or CSV as Excel saves it (UTF-8 or GB18030) with Chinese or English headings.

A CSV's headings say what it holds. A row is a user, a post, or a layer of a roster (rows of one desk are its layers, from above). What a
cell says is passed on as it is where it can't be understood, so that the check of the whole refuses it; every pointer leads back to row and
column.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from schemas.people.checks import SHANGHAI

KINDS = ("users", "posts", "rosters")
USERS = {
    "id": ("工号", "人员编号"), "name": ("姓名",), "org": ("单位", "机构"), "active": ("在岗", "启用"), "phone": ("电话", "手机"),
    "sms": ("短信",), "email": ("邮箱", "电子邮件"), "webhook": ("回调地址",), "log": ("日志",),
}  # fmt: skip
POSTS = {
    "id": ("岗位编号",), "user": ("工号", "人员编号"), "role": ("角色",), "division": ("区划", "区划代码"), "org": ("单位", "机构"),
    "level": ("层级",), "since": ("起", "任职起"), "until": ("止", "任职止"), "realms": ("领域",),
}  # fmt: skip
LAYERS = {
    "desk": ("值班席",), "name": ("班次",), "turns": ("班组", "值班人员"), "length": ("时长", "每班时长"), "starts_at": ("起", "起始"),
    "until": ("止",), "windows": ("时段",),
}  # fmt: skip
CHANGES = {
    "desk": ("值班席",), "by": ("替班人",), "person": ("被替人",), "start": ("起", "起始"), "until": ("止",), "reason": ("事由",),
}  # fmt: skip
NEEDED = {
    "users": ("id", "name", "org"), "posts": ("id", "user", "role", "division"), "rosters": ("desk", "turns", "length", "starts_at"),
    "changes": ("desk", "by", "start", "until"),
}  # fmt: skip
HEADINGS = {"rosters": LAYERS, "posts": POSTS, "users": USERS}  # of an import, in the order in which they are tried
Headings = Mapping[str, Mapping[str, tuple[str, ...]]]
CHANNELS = ("phone", "sms", "email", "webhook", "log")
WORDS: dict[str, dict[str, Any]] = {
    "role": {"负责人": "head", "值班员": "officer", "经办": "officer", "经办人": "officer", "查看": "viewer", "管理员": "admin"},
    "level": {
        "省": "province",
        "市": "city",
        "县": "county",
        "区": "county",
        "镇": "town",
        "街道": "town",
        "村": "village",
        "网格": "grid",
    },
    "active": {"是": True, "否": False, "true": True, "false": False, "1": True, "0": False},
    "days": {"每天": "every", "工作日": "working", "节假日": "free"},
}
WEEKDAYS = {day: number for number, day in enumerate("一二三四五六日", start=1)}
UNITS = {"分": "m", "分钟": "m", "小时": "h", "时": "h", "天": "d", "日": "d", "周": "w"}


class BadFile(Exception):
    """The file as a whole can't be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. `row`: as Excel counts, 0 where a file has none; `column`: its heading, or a pointer."""

    file: str
    row: int
    column: str


@dataclass(slots=True)
class Gathered:
    """An import of several files. `places`: by JSON Pointer of what a cell or file says."""

    people: dict[str, list[Any]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    places: dict[str, Place] = field(default_factory=dict)

    def where(self, pointer: str) -> Place:
        """Of the longest known beginning of the pointer."""
        rest = pointer
        while rest and rest not in self.places:
            rest = rest.rpartition("/")[0]
        found = self.places.get(rest, Place("", 0, ""))
        return found if found.row else Place(found.file, 0, found.column + pointer.removeprefix(rest))


def gather(paths: Iterable[Path]) -> Gathered:
    """Raises BadFile, OSError."""
    found = Gathered()
    for path in paths:
        if path.suffix.lower() == ".toml":
            _toml(path, found)
        else:
            _csv(path, found, HEADINGS)
    return found


def gather_changes(path: Path) -> Gathered:
    """Overrides 替班 and swaps 换班 of rosters: a CSV, a row each. Raises BadFile, OSError."""
    found = Gathered({"changes": []})
    _csv(path, found, {"changes": CHANGES})
    return found


def changes_csv(rosters: Iterable[Mapping[str, Any]]) -> str:
    """The overrides and swaps of rosters (as the gateway lists them) as `gather_changes` reads them, by desk and time."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(words[0] for words in CHANGES.values())
    for roster in sorted(rosters, key=lambda one: str(one["desk"])):
        rows = [(one["start"], one["until"], one["person"], "", one["reason"]) for one in roster["overrides"]]
        rows += [(one["start"], one["until"], one["by"], one["person"], one["reason"]) for one in roster["swaps"]]
        for start, until, by, person, reason in sorted(rows):
            writer.writerow((roster["desk"], by, person, _local(start), _local(until), reason))
    return text.getvalue()


def _local(at: int) -> str:
    """Shanghai's time; seconds where there are any."""
    return datetime.fromtimestamp(at / 1000, SHANGHAI).strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")


def _toml(path: Path, found: Gathered) -> None:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{path.name} is no TOML: {error}") from None
    if surplus := sorted(set(data) - set(KINDS)):
        raise BadFile(f"{path.name} holds {', '.join(surplus)}; an import has {', '.join(KINDS)}")
    for kind in KINDS:
        rows = data.get(kind, [])
        if not isinstance(rows, list):
            raise BadFile(f"{path.name}: write [[{kind}]]")
        for number, row in enumerate(rows):
            found.places[f"/{kind}/{len(found.people[kind])}"] = Place(path.name, 0, f"/{kind}/{number}")
            found.people[kind].append(_texts(row))


def _texts(value: Any) -> Any:
    """Times of TOML as texts."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _texts(inner) for name, inner in value.items()}
    return [_texts(inner) for inner in value] if isinstance(value, list) else value


def _csv(path: Path, found: Gathered, known: Headings) -> None:
    rows = list(csv.reader(io.StringIO(_decoded(path))))
    if not rows:
        raise BadFile(f"{path.name} is empty")
    headings = [cell.strip() for cell in rows[0]]
    kind, names = _kind(path, headings, known)
    taking: Callable[[dict[str, str], _Row], None] = {"users": _user, "posts": _post, "rosters": _layer, "changes": _change}[kind]
    for number, cells in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            raise BadFile(f"{path.name}, row {number}: more cells than headings")
        filled = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if cell.strip()}
        taking(filled, _Row(path.name, number, dict(zip(names, headings, strict=True)), found))


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadFile(f"{path.name} is neither UTF-8 nor GB18030")


def _kind(path: Path, headings: Sequence[str], known: Headings) -> tuple[str, list[str]]:
    """What the file holds, and the field of each column."""
    for kind, columns in known.items():
        fields = {heading: name for name, words in columns.items() for heading in (name, *words)}
        names = [fields.get(heading, "") for heading in headings]
        if set(NEEDED[kind]) <= set(names):
            unknown = [heading for heading, name in zip(headings, names, strict=True) if not name]
            if unknown or len(set(names)) < len(names):
                wrong = f"no column is called {', '.join(unknown)}" if unknown else "a column stands there twice"
                raise BadFile(f"{path.name}: {wrong}; for {kind} there are {', '.join('/'.join((n, *w)) for n, w in columns.items())}")
            return kind, names
    kinds = [kind for kind in NEEDED if kind in known]
    needed = "; ".join(f"{kind}: " + ", ".join(known[kind][name][0] for name in NEEDED[kind]) for kind in kinds)
    none = f"say neither {' nor '.join(kinds)}" if len(kinds) > 1 else f"are not those of {kinds[0]}"
    raise BadFile(f"{path.name}: the headings {none}. Needed are, for {needed}")


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    number: int
    headings: dict[str, str]
    found: Gathered

    def add(self, kind: str, entry: dict[str, Any], columns: Iterable[str]) -> None:
        at = f"/{kind}/{len(self.found.people[kind])}"
        self.found.people[kind].append(entry)
        self.mark(at, columns)

    def mark(self, at: str, columns: Iterable[str]) -> None:
        self.found.places[at] = Place(self.file, self.number, "")
        for name in columns:
            self.place(f"{at}/{name}", name)

    def place(self, pointer: str, column: str) -> None:
        self.found.places[pointer] = Place(self.file, self.number, self.headings.get(column, ""))


def _user(cells: dict[str, str], row: _Row) -> None:
    entry: dict[str, Any] = {name: _word(name, cells[name]) for name in ("id", "name", "org", "active") if name in cells}
    kinds = [kind for kind in CHANNELS if kind in cells]
    if kinds:
        entry["channels"] = [{"kind": kind, "address": cells[kind]} for kind in kinds]
    at = f"/users/{len(row.found.people['users'])}"
    row.add("users", entry, ("id", "name", "org", "active"))
    for number, kind in enumerate(kinds):
        row.place(f"{at}/channels/{number}", kind)


def _post(cells: dict[str, str], row: _Row) -> None:
    entry: dict[str, Any] = {name: _word(name, cell) for name, cell in cells.items()}
    if "realms" in cells:
        entry["realms"] = _parts(cells["realms"])
    row.add("posts", entry, POSTS)


def _layer(cells: dict[str, str], row: _Row) -> None:
    """A row of the desk that the row before spoke of is its next layer below."""
    layer: dict[str, Any] = {name: cells[name] for name in ("starts_at", "until") if name in cells}
    layer["name"] = cells.get("name", "值班")
    if "turns" in cells:
        layer["turns"] = [_parts(turn) for turn in re.split(r"[;；]", cells["turns"]) if turn.strip()]
    if "length" in cells:
        number, _, unit = re.sub(r"^(\d+)\s*", r"\1|", cells["length"]).partition("|")
        layer["length"] = number + UNITS.get(unit, unit)
    if "windows" in cells:
        layer["windows"] = [_window(text.strip()) for text in re.split(r"[;；]", cells["windows"]) if text.strip()]
    rosters = row.found.people["rosters"]
    same = next((at for at, roster in enumerate(rosters) if roster.get("desk") == cells.get("desk")), None)
    if same is None:
        row.add("rosters", {"desk": cells["desk"], "layers": []} if "desk" in cells else {"layers": []}, ("desk",))
        same = len(rosters) - 1
    layers = rosters[same].setdefault("layers", [])
    layers.append(layer)
    row.mark(f"/rosters/{same}/layers/{len(layers) - 1}", LAYERS)


def _change(cells: dict[str, str], row: _Row) -> None:
    row.add("changes", dict(cells), CHANGES)


def _window(text: str) -> Any:
    """`08:30-17:30 工作日 一二三`; as it is where it is none."""
    start, until, *said = re.split(r"\s+|(?<=\d)\s*[-~至—]\s*(?=\d)", text)[:4] if re.match(r"\d{1,2}:\d{2}\s*[-~至—]", text) else ("", "")
    if not start:
        return text
    window: dict[str, Any] = {"start": start, "until": until}
    for word in said:
        weekdays = word.removeprefix("周")
        if weekdays and all(day in WEEKDAYS for day in weekdays):
            window["weekdays"] = [WEEKDAYS[day] for day in weekdays]
        else:
            window["days"] = WORDS["days"].get(word, word)
    return window


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[、,，\s]+", text) if part]


def _word(name: str, cell: str) -> Any:
    return WORDS.get(name, {}).get(cell.lower(), cell)
