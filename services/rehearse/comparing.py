"""What a rehearsal found, counted and compared: breaches, pages by desk and night, load by level, which cases become late. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from schemas.event_types import event_types
from schemas.policy.terms import LEVELS
from services.rehearse.playing import Play, Rehearsal

EXAMPLES = 20
HELD_FIXED = (
    "What people did is held fixed: every command stands at its recorded time, as if they had acted alike under the draft. Pages that it "
    "adds or saves would have changed what they did: the figures are a first look, not a forecast."
)
CHINA = timedelta(hours=8)
NIGHT_FROM, NIGHT_TO = 22, 6  # o'clock in China
Key = tuple[str, ...]


class Window(NamedTuple):
    """From the first moment to before the last, UTC milliseconds. What began earlier is played from its beginning, and not counted."""

    since: int
    until: int

    def holds(self, at: int) -> bool:
        return self.since <= at < self.until


def compared(rehearsal: Rehearsal, window: Window) -> dict[str, Any]:
    """The report, for programs; `in_force` and `draft` are the figures of each. Text is for `services.commands.policy_rehearse`."""
    before, after = rehearsal.before, rehearsal.after
    late = [_late(play, window) for play in (before, after)]
    return {
        "draft": after.version,
        "in_force": sorted(rehearsal.versions),
        "held_fixed": HELD_FIXED,
        "record": {
            "from": rehearsal.beginning,
            "until": rehearsal.end,
            "commands": rehearsal.commands,
            "cases": len(before.cases),
            "without_beginning": len(rehearsal.unknown),
            "undecided": dict(rehearsal.undecided),
        },
        "window": window._asdict(),
        "breaches": _both(rehearsal, lambda play: _breaches(play, window), ("clock", "type")),
        "pages": _both(rehearsal, lambda play: _pages(play, window, at_night=False), ("desk", "level")),
        "night_pages": _both(rehearsal, lambda play: _pages(play, window, at_night=True), ("desk", "level")),
        "nights": _both(rehearsal, lambda play: _nights(play, window), ("night",)),
        "levels": _levels(rehearsal, window),
        "becomes_late": _cases(after, {case: late[1][case] for case in late[1] if case not in late[0]}),
        "no_longer_late": _cases(before, {case: late[0][case] for case in late[0] if case not in late[1]}),
        "late": {"in_force": len(late[0]), "draft": len(late[1])},
        "impossible": [
            {"command": name, "reason": reason, "commands": count} for (name, reason), count in rehearsal.impossible.most_common()
        ],
    }


def night_of(at: int) -> str:
    """The evening that a moment's night began on, as a date; "" by day. A night is 22:00 to 06:00 in China."""
    there = datetime.fromtimestamp(at / 1000, UTC) + CHINA
    if NIGHT_TO <= there.hour < NIGHT_FROM:
        return ""
    return (there - timedelta(hours=NIGHT_TO)).date().isoformat()


def _breaches(play: Play, window: Window) -> Counter[Key]:
    return Counter((one.clock, one.incident_type) for one in play.breaches if window.holds(one.due_at))


def _pages(play: Play, window: Window, *, at_night: bool) -> Counter[Key]:
    return Counter((one.target, one.level) for one in play.pages if window.holds(one.at) and (night_of(one.at) or not at_night))


def _nights(play: Play, window: Window) -> Counter[Key]:
    return Counter((night,) for one in play.pages if window.holds(one.at) and (night := night_of(one.at)))


def _both(rehearsal: Rehearsal, count: Callable[[Play], Counter[Key]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """A row for each key of either, the largest change first, then the largest figure."""
    before, after = count(rehearsal.before), count(rehearsal.after)

    def rank(key: Key) -> tuple[int, int, Key]:
        return -abs(after[key] - before[key]), -max(before[key], after[key]), key

    keys = sorted({*before, *after}, key=rank)
    return [dict(zip(names, key, strict=True)) | {"in_force": before[key], "draft": after[key]} for key in keys]


def _levels(rehearsal: Rehearsal, window: Window) -> list[dict[str, Any]]:
    """What comes to each level: clocks that its holders let pass, pages, papers that it issues by rule."""
    kinds: dict[str, Callable[[Play], Iterable[tuple[str, int]]]] = {
        "breaches": lambda play: ((one.level, one.due_at) for one in play.breaches),
        "pages": lambda play: ((one.level, one.at) for one in play.pages),
        "papers": lambda play: ((one.level, one.at) for one in play.papers),
    }
    found = {
        (kind, side): Counter(level for level, at in of(play) if window.holds(at))
        for kind, of in kinds.items()
        for side, play in (("in_force", rehearsal.before), ("draft", rehearsal.after))
    }
    present = [level.value for level in LEVELS if any(counter[level.value] for counter in found.values())]
    return [
        {"level": level} | {kind: {side: found[kind, side][level] for side in ("in_force", "draft")} for kind in kinds} for level in present
    ]


def _late(play: Play, window: Window) -> dict[str, tuple[str, ...]]:
    """Purposes of the clocks that passed within the window and whose breach stands, by case."""
    found = {}
    for case_id, case in play.cases.items():
        late = {clock.purpose for clock in case.clocks if clock.breached_at and not clock.retracted and window.holds(clock.breached_at)}
        if late:
            found[case_id] = tuple(sorted(late))
    return found


def _cases(play: Play, late: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """How many, and the first by number."""
    found = sorted((play.cases[case].case_number, play.cases[case].incident_type, list(clocks)) for case, clocks in late.items())
    rows = [{"case_number": number, "type": code, "clocks": clocks} for number, code, clocks in found]
    return {"cases": len(rows), "first": rows[:EXAMPLES]}


def type_words(code: str) -> str:
    """Code and name of an incident type; the code alone where this release does not know it."""
    known = event_types().get(code)
    return f"{code} {known.name_zh}" if known else code
