"""A read port for tests of the screen: exact snapshots recounted from the records written, which may lag, be wrong or be away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.avro.live_delta.event import LiveDelta
from schemas.divisions import city_of, county_of, division, divisions, is_within
from schemas.event_types import event_types
from schemas.realms import Realm
from services.clock import now_ms
from streams.domain.incident.table import ENDED

DAY_MS = 86_400_000
CHINA_MS = 8 * 3_600_000


@dataclass(frozen=True)
class Written:
    """A delta and its place in the log."""

    delta: LiveDelta
    partition: int
    offset: int
    at: int


@dataclass
class FakeStore:
    """What the read port knows. `lag` keeps it that many records behind the log, `away` makes it answer 503, `wrong_by` makes it lie,
    `times` makes every count so much greater."""

    partitions: int
    written: dict[Realm, list[Written]] = field(default_factory=dict)
    begins: dict[Realm, list[int]] = field(default_factory=dict)
    lag: int = 0
    away: bool = False
    wrong_by: int = 0
    times: int = 1
    asked: int = 0

    def snapshot(self, realm: Realm, scope: str) -> dict[str, Any]:
        """The snapshot of PLAN's read port, recounted from the records."""
        now = now_ms()
        rows = self.written.get(realm, [])
        rows = rows[: len(rows) - self.lag] if self.lag else rows
        offsets = list(self.begins[realm])
        for row in rows:
            offsets[row.partition] = max(offsets[row.partition], row.offset + 1)
        log_now = max((row.delta.received_at for row in rows), default=now) if realm is Realm.REPLAY else now
        figures = _count([row.delta for row in rows], scope, log_now)
        figures["totals"]["open"] += self.wrong_by
        for row in (figures["totals"], *figures["children"], *figures["types"]):
            row |= {field: value * self.times for field, value in row.items() if isinstance(value, int)}
        newest_at = max((row.at for row in rows), default=None)
        return figures | {
            "realm": realm,
            "division": scope,
            "at": log_now,
            "offsets": {str(p): offset for p, offset in enumerate(offsets)},
            "freshness": {"events_ms": None, "deltas_ms": None if newest_at is None else now - newest_at, "lag_records": self.lag},
            "completeness": {
                "facts": len(rows),
                "applied": len(rows),
                "refused": 3,
                "repeated": 1,
                "dead": 0,
                "by_reason": {"stale_version": 3},
            },
        }


def _count(deltas: Sequence[LiveDelta], scope: str, log_now: int) -> dict[str, Any]:
    """Totals, children, types, trend and newest of a scope, by the rules of schemas/clickhouse/0002_live_deltas.sql."""
    children = [d.code for d in divisions().values() if d.parent == scope and d.level in ("city", "county")] or [scope]
    child_of = city_of if division(scope).level == "province" else county_of
    zero: dict[str, Any] = {"open": 0, "opened_today": 0, "closed_today": 0, "total": 0}
    totals = dict(zero)
    by_child = {code: {"code": code, "name": division(code).name, **zero} for code in children}
    by_type: dict[str, dict[str, Any]] = {}
    trend: dict[int, Counter[str]] = {}
    newest: dict[str, dict[str, Any]] = {}
    today = (log_now + CHINA_MS) // DAY_MS
    for delta in deltas:
        for county, kind, state, sign in (
            (delta.county_from, delta.type_from, delta.state_from, -1),
            (delta.county, delta.incident_type, delta.state, 1),
        ):
            if not state or not is_within(county, scope):
                continue
            typed = by_type.setdefault(kind, {"code": kind, "name": event_types()[kind].name_zh, "open": 0, "total": 0})
            for row in (totals, by_child.setdefault(child_of(county), {"code": county, "name": "", **zero}), typed):
                row["total"] += sign
                row["open"] += sign if state not in ENDED else 0
        if not is_within(delta.county, scope):
            continue
        opened = int(not delta.state_from or (delta.state_from in ENDED and delta.state not in ENDED))
        closed = int(delta.state in ENDED and delta.state_from not in ENDED)
        if log_now - delta.received_at < DAY_MS:
            trend.setdefault(delta.received_at // 60_000 * 60_000, Counter()).update(opened=opened, closed=closed)
        if (delta.received_at + CHINA_MS) // DAY_MS == today:
            for row in (totals, by_child[child_of(delta.county)]):
                row["opened_today"] += opened
                row["closed_today"] += closed
        if not delta.state_from:
            newest[delta.case_id] = {
                "case_id": delta.case_id,
                "case_number": delta.case_number,
                "type": delta.incident_type,
                "title": delta.title,
                "division": delta.division,
                "state": delta.state,
                "occurred_at": delta.occurred_at,
                "received_at": delta.received_at,
                "seq": delta.case_seq,
            }
        elif delta.case_id in newest:
            newest[delta.case_id] |= {"state": delta.state, "seq": delta.case_seq}
    return {
        "totals": totals,
        "children": list(by_child.values()),
        "types": sorted(by_type.values(), key=lambda row: -row["open"]),
        "trend": [{"t": t, "opened": c["opened"], "closed": c["closed"]} for t, c in sorted(trend.items())],
        "newest": sorted(newest.values(), key=lambda row: -row["received_at"])[:30],
    }
