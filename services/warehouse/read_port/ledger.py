"""The responsibility ledger of a case: who held it, at which level and in which condition, to the millisecond. Pure.

Its spans join without a gap from the first record of the case to its end (or to the moment asked for), with a gap only where it was
closed and opened again. So holders, levels and conditions each sum to the total exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from services.warehouse.backend import Row
from services.warehouse.read_port.deadlines import explained
from services.warehouse.read_port.history import Clocks, moments
from streams.domain.incident.overlays import OFFERED
from streams.domain.incident.table import ENDED_TEXTS, State

WORKING, UNTAKEN, UNSIGNED, SUSPENDED, SHELVED = "working", "untaken", "unsigned", "suspended", "shelved"
CONDITIONS = {
    WORKING: ("办理", "in hand"),
    UNTAKEN: ("上报未接", "offered, not yet taken"),  # 先期处置: the holder keeps its duty, and its time
    UNSIGNED: ("交办未签", "assigned, not yet signed"),
    SUSPENDED: ("中止", "suspended"),
    SHELVED: ("挂账", "shelved"),
}
LEDGER_BREACHES = ("purpose", "purpose_name", "holder", "level", "round", "due_at", "breached_at", "stopped_at", "breach", "contest")


class Span(NamedTuple):
    """One holder in one condition, [since, until)."""

    holder: str
    level: str
    condition: str
    round: int
    since: int
    until: int


def spans(rows: Iterable[Row], as_of: int) -> list[Span]:
    """`rows`: of case_spans.sql, in order. Events after `as_of` have not happened yet."""
    found: list[Span] = []
    held: Span | None = None
    for at, row in moments(rows):
        if at > as_of:
            break
        if held is not None:
            found.append(held._replace(until=at))
        held = None
        if row["state"] not in ENDED_TEXTS:
            held = Span(row["holder"], row["level"], _condition(row), row["round"], at, 0)
    if held is not None:
        found.append(held._replace(until=as_of))
    return _joined(found)


def document(rows: list[Row], clocks: Iterable[Row], as_of: int) -> dict[str, Any]:
    """The ledger as it is read. `as_of`: now, or a past moment."""
    found = spans(rows, as_of)
    known = [(at, row) for at, row in moments(rows) if at <= as_of]
    by_holder: dict[tuple[str, str], Counter[str]] = {}
    by_level: dict[str, Counter[str]] = {}
    whole: Counter[str] = Counter()
    for span in found:
        ms = span.until - span.since
        for counted in (whole, by_holder.setdefault((span.holder, span.level), Counter()), by_level.setdefault(span.level, Counter())):
            counted[span.condition] += ms
    breaches = [one for one in (explained(each, as_of) for each in Clocks.of(clocks, as_of).by_key.values()) if one["breach"] != "none"]
    return {
        "as_of": as_of,
        "opened_at": known[0][1]["opened_at"] if known else None,
        "received_at": known[0][0] if known else None,
        "closed_at": _ended(known),
        **_sums(whole),
        "holders": [{"holder": holder, "level": level, **_sums(sums)} for (holder, level), sums in by_holder.items()],
        "levels": [{"level": level, **_sums(sums)} for level, sums in by_level.items()],
        "spans": [{**span._asdict(), "ms": span.until - span.since, **_named(span.condition)} for span in found],
        "breaches": {
            "told": len(breaches),
            "standing": sum(one["breach"] == "breached" for one in breaches),
            "contested": sum(bool(one["contest"]) and one["contest"]["state"] == "open" for one in breaches),
            "items": [{name: one[name] for name in LEDGER_BREACHES} for one in breaches],
        },
    }


def _ended(known: list[tuple[int, Row]]) -> int | None:
    """Since when it has been at an end; None: it is open."""
    since = None
    for at, row in known:
        if row["state"] not in ENDED_TEXTS:
            since = None
        elif since is None:
            since = at
    return since


def _condition(row: Row) -> str:
    """What weighs most: time that does not count, then time between two desks."""
    if row["suspended_reason"]:
        return SUSPENDED
    if row["review_at"] > 0:
        return SHELVED
    if row["upstream_state"] == OFFERED:
        return UNTAKEN
    return UNSIGNED if row["state"] == State.ASSIGNED else WORKING


def _joined(found: list[Span]) -> list[Span]:
    """Neighbours alike as one, and none of no length."""
    kept: list[Span] = []
    for span in found:
        if kept and kept[-1].until == span.since and kept[-1][:4] == span[:4]:
            kept[-1] = kept[-1]._replace(until=span.until)
        elif span.until > span.since:
            kept.append(span)
    return kept


def _sums(sums: Counter[str]) -> dict[str, int]:
    return {"total_ms": sum(sums.values())} | {f"{condition}_ms": sums[condition] for condition in CONDITIONS}


def _named(condition: str) -> dict[str, str]:
    zh, en = CONDITIONS[condition]
    return {"zh": zh, "en": en}
