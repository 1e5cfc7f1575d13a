"""From drafts to records: every fault at once, each with its JSON Pointer and what would be allowed. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from schemas.divisions import LEVELS, divisions
from schemas.people.drafts import ChangeDraft, Changes, LayerDraft, People, PostDraft, RosterDraft, UserDraft, WindowDraft
from schemas.people.records import DESK, Channel, Layer, Override, Post, Roster, Swap, Turn, User, Window, desk_division
from schemas.policy.reading import Fault, convert, in_order

SHANGHAI = timezone(timedelta(hours=8))
UNITS = {"m": 1, "h": 60, "d": 1440, "w": 10_080}  # minutes
SHORTEST, LONGEST = 15, 366 * 1440  # of a turn, minutes
MOST_LAYERS, MOST_TURNS, MOST_TOGETHER, MOST_CHANGES = 10, 200, 20, 2000
GRID = "grid"
KINDS = ("users", "posts", "rosters")
IDENTIFIES = re.compile(r"^(1[3-9]\d{9}|\d{17}[\dXx])$")
ADDRESS = {
    "phone": (re.compile(r"^\+?[\d -]{3,20}$"), "digits"),
    "sms": (re.compile(r"^\+?[\d -]{3,20}$"), "digits"),
    "email": (re.compile(r"^[^@\s]+@[^@\s]+$"), "name@host"),
    "webhook": (re.compile(r"^https?://\S+$"), "an http or https address"),
    "log": (re.compile(r"^[\w.:\-]+$"), "a word"),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What stands in an import, in its order. Only whole where `faults` is empty."""

    users: tuple[User, ...] = ()
    posts: tuple[Post, ...] = ()
    rosters: tuple[Roster, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class _Faults:
    file: str
    found: list[Fault] = field(default_factory=list)

    def add(self, pointer: str, wrong: str, allowed: str) -> None:
        self.found.append(Fault(self.file, pointer, wrong, allowed))


def take(data: Any, known: Collection[str], file: str = "") -> Checked:
    """Plain data (`People`) as records; with every fault, also of those entries whose neighbours have not even the shape of a draft."""
    whole, faults = convert(data, People, file)
    if whole is not None:
        return check(whole, known, file)
    if not isinstance(data, dict):
        return Checked(faults=tuple(faults))
    broken = {tuple(fault.pointer.split("/")[1:3]) for fault in faults}
    sound: dict[str, list[int]] = {
        kind: [at for at in range(len(rows)) if (kind, str(at)) not in broken]
        for kind, rows in data.items()
        if kind in KINDS and isinstance(rows, list)
    }
    rest, _ = convert({kind: [data[kind][at] for at in places] for kind, places in sound.items()}, People, file)
    if rest is not None:
        meant = {str(row.get("id")) for row in data.get("users", ()) if isinstance(row, dict)} if "users" in sound else set()
        faults = [*faults, *(_moved(fault, sound) for fault in check(rest, {*known, *meant}, file).faults)]
    return Checked(faults=tuple(in_order(faults)))


def _moved(fault: Fault, sound: dict[str, list[int]]) -> Fault:
    """Its pointer into the whole."""
    _, kind, at, *more = fault.pointer.split("/")
    return replace(fault, pointer="/".join(("", kind, str(sound[kind][int(at)]), *more)))


def check(people: People, known: Collection[str], file: str = "") -> Checked:
    """`known`: ids of the users there are already."""
    faults = _Faults(file)
    known = {*known, *(user.id for user in people.users)}
    for name, keys in (("users", [one.id for one in people.users]), ("posts", [one.id for one in people.posts])):
        _repeats(keys, f"/{name}", "id", faults)
    _repeats([one.desk for one in people.rosters], "/rosters", "desk", faults)
    users = [user_of(draft, faults, f"/users/{at}") for at, draft in enumerate(people.users)]
    posts = [post_of(draft, known, faults, f"/posts/{at}") for at, draft in enumerate(people.posts)]
    rosters = [roster_of(draft, known, faults, f"/rosters/{at}") for at, draft in enumerate(people.rosters)]
    return Checked(tuple(users), tuple(posts), tuple(rosters), tuple(in_order(faults.found)))


def take_changes(data: Any, rosters: Mapping[str, Roster], known: Collection[str], file: str = "") -> Checked:
    """Plain data (`Changes`) as the rosters that they make of `rosters`; with every fault. What stands there already stays once."""
    rows = data.get("changes") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        return Checked(faults=tuple(convert(data, Changes, file)[1]))
    _, shape = convert(data | {"changes": []}, Changes, file)
    faults = _Faults(file, list(shape))
    made = dict(rosters)
    named: set[str] = set()
    for index, row in enumerate(rows):
        draft, wrong = convert(row, ChangeDraft, file)
        faults.found += [replace(fault, pointer=f"/changes/{index}{fault.pointer}") for fault in wrong]
        if draft is None:
            continue
        if draft.desk not in made:
            faults.add(
                f"/changes/{index}/desk", f"{draft.desk} has no roster, or not one of yours", "a desk with a roster; import it first"
            )
            continue
        before = made[draft.desk]
        if data.get("replace") is True and draft.desk not in named:
            before = msgspec.structs.replace(before, overrides=(), swaps=())
        named.add(draft.desk)
        made[draft.desk] = _changed(before, draft, known, faults, f"/changes/{index}")
    return Checked(rosters=tuple(made[desk] for desk in sorted(named)), faults=tuple(in_order(faults.found)))


def _changed(roster: Roster, draft: ChangeDraft, known: Collection[str], faults: _Faults, at: str) -> Roster:
    for name in ("by", "person"):
        if getattr(draft, name) is not None:
            _known(getattr(draft, name), known, faults, f"{at}/{name}")
    span = _span(draft.start, draft.until, faults, at)
    if draft.person is None:
        over = Override(draft.by, *span, draft.reason)
        roster = roster if over in roster.overrides else msgspec.structs.replace(roster, overrides=(*roster.overrides, over))
    else:
        swap = Swap(draft.person, draft.by, *span, draft.reason)
        roster = roster if swap in roster.swaps else msgspec.structs.replace(roster, swaps=(*roster.swaps, swap))
    if max(len(roster.overrides), len(roster.swaps)) == MOST_CHANGES + 1:
        faults.add(f"{at}/desk", f"{draft.desk} would have more than {MOST_CHANGES} overrides or swaps", f"at most {MOST_CHANGES} of each")
    return roster


def moment(text: str) -> int:
    """UTC milliseconds of a written time; without an offset it is Shanghai's. ValueError."""
    parts = re.fullmatch(
        r"(\d{4})[-/年](\d{1,2})[-/月](\d{1,2})日?(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2}))?(Z|[+-]\d{2}:\d{2})?)?", text.strip()
    )
    if parts is None:
        raise ValueError(text)
    numbers = [int(part or 0) for part in parts.groups()[:6]]
    zone = parts.group(7)
    year, month, day, hour, minute, second = numbers
    made = datetime(year, month, day, hour, minute, second, tzinfo=SHANGHAI)
    if zone:
        made = datetime.fromisoformat(made.replace(tzinfo=None).isoformat() + zone)
    return round(made.timestamp() * 1000)


def user_of(draft: UserDraft, faults: _Faults, at: str) -> User:
    if IDENTIFIES.match(draft.id):
        faults.add(f"{at}/id", "looks like a phone or identity number, and ids stand in events", "a staff number or the like")
    for index, channel in enumerate(draft.channels):
        shape, allowed = ADDRESS[channel.kind]
        if not shape.match(channel.address):
            faults.add(f"{at}/channels/{index}/address", f"is no address of kind {channel.kind}", allowed)
    return User(draft.id, draft.name, draft.org, draft.active, 0, tuple(Channel(one.kind, one.address) for one in draft.channels))


def post_of(draft: PostDraft, known: Collection[str], faults: _Faults, at: str) -> Post:
    place = divisions().get(draft.division)
    if place is None:
        faults.add(f"{at}/division", f"{draft.division} is not in the register of 2023", "a code of it")
    level = draft.level or (place.level if place else "")
    allowed = () if place is None else (place.level, GRID) if place.level in LEVELS[-2:] else (place.level,)
    if place is not None and level not in allowed:
        faults.add(f"{at}/level", f"{level!r} is not the level of {draft.division} {place.name}", ", ".join(allowed))
    _known(draft.user, known, faults, f"{at}/user")
    since = _moment(draft.since, faults, f"{at}/since") if draft.since else 0
    until = _moment(draft.until, faults, f"{at}/until") if draft.until else 0
    if until and until <= since:
        faults.add(f"{at}/until", "is not after since", "a later time, or none")
    org = draft.org or f"{draft.division}{DESK}"
    if org.endswith(DESK) and desk_division(org) != draft.division:
        faults.add(f"{at}/org", f"{org[:40]} is the desk of another division", f"{draft.division}{DESK}, or a department")
    return Post(draft.id, draft.user, org, draft.role.value, level, draft.division, since, until, draft.realms)


def roster_of(draft: RosterDraft, known: Collection[str], faults: _Faults, at: str) -> Roster:
    if desk_division(draft.desk) not in divisions():
        faults.add(f"{at}/desk", f"{draft.desk[:40]!r} is no desk", f"<code of a division>{DESK}, such as 440305{DESK}")
    _at_most(draft.layers, MOST_LAYERS, "layers", faults, f"{at}/layers")
    for name, many in (("overrides", draft.overrides), ("swaps", draft.swaps)):
        _at_most(many, MOST_CHANGES, name, faults, f"{at}/{name}")
    layers = tuple(_layer(one, known, faults, f"{at}/layers/{index}") for index, one in enumerate(draft.layers))
    overrides = []
    for index, over in enumerate(draft.overrides):
        place = f"{at}/overrides/{index}"
        _known(over.person, known, faults, f"{place}/person")
        overrides.append(Override(over.person, *_span(over.start, over.until, faults, place), over.reason))
    swaps = []
    for index, swap in enumerate(draft.swaps):
        place = f"{at}/swaps/{index}"
        _known(swap.person, known, faults, f"{place}/person")
        _known(swap.by, known, faults, f"{place}/by")
        swaps.append(Swap(swap.person, swap.by, *_span(swap.start, swap.until, faults, place), swap.reason))
    return Roster(draft.desk, layers, tuple(overrides), tuple(swaps), draft.time_zone)


def _layer(draft: LayerDraft, known: Collection[str], faults: _Faults, at: str) -> Layer:
    length = int(draft.length[:-1]) * UNITS[draft.length[-1]]
    if not SHORTEST <= length <= LONGEST:
        faults.add(f"{at}/length", f"{draft.length} is not allowed", "15m to 366d")
    if not draft.turns:
        faults.add(f"{at}/turns", "names nobody", "one turn or more")
    _at_most(draft.turns, MOST_TURNS, "turns", faults, f"{at}/turns")
    for index, turn in enumerate(draft.turns):
        if not turn:
            faults.add(f"{at}/turns/{index}", "names nobody", "one person or more")
        _at_most(turn, MOST_TOGETHER, "persons at once", faults, f"{at}/turns/{index}")
        for place, person in enumerate(turn):
            _known(person, known, faults, f"{at}/turns/{index}/{place}")
    starts_at = _moment(draft.starts_at, faults, f"{at}/starts_at")
    until = _moment(draft.until, faults, f"{at}/until") if draft.until else 0
    if until and until <= starts_at:
        faults.add(f"{at}/until", "is not after starts_at", "a later time, or none")
    windows = tuple(_window(one) for one in draft.windows)
    return Layer(draft.name, tuple(Turn(turn) for turn in draft.turns), length, starts_at, until, windows)


def _window(draft: WindowDraft) -> Window:
    return Window(_minute(draft.start), _minute(draft.until), draft.days.value, tuple(sorted(set(draft.weekdays))))


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _span(start: str, until: str, faults: _Faults, at: str) -> tuple[int, int]:
    begins, ends = _moment(start, faults, f"{at}/start"), _moment(until, faults, f"{at}/until")
    if begins and ends and ends <= begins:
        faults.add(f"{at}/until", "is not after start", "a later time")
    return begins, ends


def _moment(text: str, faults: _Faults, at: str) -> int:
    try:
        return moment(text)
    except ValueError:
        faults.add(at, f"{text!r} is no time", "2026-11-22, 2026-11-22 08:30 or 2026-11-22T08:30:00+08:00")
        return 0


def _known(user: str, known: Collection[str], faults: _Faults, at: str) -> None:
    if user not in known:
        faults.add(at, f"there is no user {user}", "a user of this import, or one there is")


def _at_most(many: Sequence[Any], limit: int, what: str, faults: _Faults, at: str) -> None:
    if len(many) > limit:
        faults.add(at, f"has {len(many)} {what}", f"at most {limit}")


def _repeats(keys: Sequence[str], at: str, name: str, faults: _Faults) -> None:
    for index, first in _again(keys):
        faults.add(f"{at}/{index}/{name}", f"{keys[index]} stands at {at}/{first} already", "each once")


def _again(keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    seen: dict[str, int] = {}
    for index, key in enumerate(keys):
        if key in seen:
            yield index, seen[key]
        seen.setdefault(key, index)
