"""The picture of a division, and the vector of offsets it stands at: with the live stream from there on, no gap and no double count.

What all tiles are made of, so here, as in the frames of the stream, petitions are left out (schemas/event_types.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

from schemas.divisions import Division, cities, city_of, counties, division
from schemas.event_types import PETITIONS, event_types
from schemas.realms import Realm
from schemas.topics import LIVE_DELTAS
from services.clock import now_ms
from services.problems import Problem
from services.sink.loop import SinkStream
from services.warehouse.backend import Row
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.scope import prefix_of

ENDED = frozenset({"closed", "evaluated", "archived", "declined", "merged", "withdrawn"})
HOUR = 3_600_000
DAY = 24 * HOUR
CHINA = 8 * HOUR
NEWEST = 30
LOOKED_AT = (NEWEST, 8 * NEWEST)  # newest openings; further back where some of them are on no wall
GATE_SECONDS = 5.0
KEPT = 512


@dataclass(frozen=True, slots=True)
class Sinks:
    """The three streams a snapshot reads."""

    events: SinkStream
    deltas: SinkStream
    outcomes: SinkStream


class Snapshots:
    """One picture per division and block: many screens cost one query."""

    def __init__(self, questions: Questions, sinks: Sinks) -> None:
        self._questions = questions
        self._sinks = sinks
        self._kept: OrderedDict[tuple[Any, ...], dict[str, Any]] = OrderedDict()

    def tag(self, realm: Realm, code: str, minutes: bool) -> tuple[Any, ...]:
        """Changes whenever a figure may have."""
        sinks = self._sinks
        return realm, code, minutes, sinks.deltas.whole, sinks.outcomes.whole, sinks.events.whole, self.at(realm) // HOUR

    async def of(self, realm: Realm, code: str, minutes: bool = False) -> dict[str, Any]:
        """The snapshot document. Raises Problem 503 while the sink is not ready or the engine is away."""
        if not self._sinks.deltas.ready.is_set():
            raise _not_now("the sink is still finding where it stands")
        tag = self.tag(realm, code, minutes)
        if tag not in self._kept:
            self._kept[tag] = await self._make(realm, code, minutes)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[tag] | {"freshness": self._freshness(realm)}

    def at(self, realm: Realm) -> int:
        """Now; in a realm of log time the time of its newest record."""
        return now_ms() if realm.time_source == "wall" else self._sinks.deltas.newest.get(realm, 0) or now_ms()

    def _freshness(self, realm: Realm) -> dict[str, Any]:
        events, deltas = self._sinks.events, self._sinks.deltas
        now = now_ms()
        ages = [now - stream.newest[realm] if realm in stream.newest else None for stream in (events, deltas)]
        lag = sum(stream.lag(realm) for stream in (events, deltas) if stream.ready.is_set())
        return {"events_ms": ages[0], "deltas_ms": ages[1], "lag_records": lag, "failing": deltas.failing or events.failing}

    async def _make(self, realm: Realm, code: str, minutes: bool) -> dict[str, Any]:
        deltas, ask = self._sinks.deltas, self._questions.ask
        scope: dict[str, Any] = {"realm": realm.value, "prefix": prefix_of(code)}
        at = self.at(realm)
        today = (at + CHINA) // DAY * DAY - CHINA
        first = (at - DAY) // HOUR * HOUR
        try:
            await asyncio.wait_for(deltas.gate.acquire(), GATE_SECONDS)
        except TimeoutError:
            raise _not_now("the warehouse is being repaired") from None
        try:  # while the gate is held no block of deltas goes in: totals, flows and vector are of one moment
            name = LIVE_DELTAS.in_realm(realm)
            offsets = {str(part): end for (topic, part), end in sorted(deltas.standing.items()) if topic == name}
            states, flow, newest = await asyncio.gather(
                ask("snapshot_states", **scope, unseen=PETITIONS),
                ask("snapshot_flow", **scope, since=first // 1000),
                self._newest(scope),
            )
            trend = await ask("snapshot_minutes", **scope, since=(at - DAY) // 60_000 * 60) if minutes else _by_hour(flow, first, at)
        finally:
            deltas.gate.release()
        outcomes, facts = await asyncio.gather(ask("completeness", **scope), ask("facts_count", **scope))
        flowing = [row for row in flow if row["at"] * 1000 >= today]
        return {
            "realm": realm.value, "division": code, "at": at, "offsets": offsets,
            "totals": _totals(states, flowing), "children": _children(code, states, flowing), "types": _types(states),
            "trend": [{"t": row["at"] * 1000, "opened": row["opened"], "closed": row["closed"]} for row in trend],
            "newest": newest, "completeness": _completeness(outcomes, facts),
        }  # fmt: skip

    async def _newest(self, scope: dict[str, Any]) -> list[Row]:
        """Fewer where most of what was opened is on no wall."""
        found: list[Row] = []
        for looked_at in LOOKED_AT:
            found = await self._questions.ask("snapshot_newest", **scope, unseen=PETITIONS, limit=NEWEST, looked_at=looked_at)
            if len(found) == NEWEST:
                break
        return found


def _not_now(why: str) -> Problem:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": "1"})


def _totals(states: list[Row], flow: list[Row]) -> dict[str, int]:
    return {
        "open": sum(row["cases"] for row in states if row["state"] not in ENDED), "opened_today": sum(row["opened"] for row in flow),
        "closed_today": sum(row["closed"] for row in flow), "total": sum(row["cases"] for row in states),
    }  # fmt: skip


@cache
def children_of(code: str) -> tuple[Division, ...]:
    """The cities of the province; the counties of a city; nothing below."""
    level = division(code).level
    if level == "province":
        return cities()
    return tuple(county for county in counties() if county.parent == code) if level == "city" else ()


def _children(code: str, states: list[Row], flow: list[Row]) -> list[dict[str, Any]]:
    at_city = division(code).level == "province"
    split: dict[str, tuple[list[Row], list[Row]]] = {child.code: ([], []) for child in children_of(code)}
    for index, rows in enumerate((states, flow)):
        for row in rows:
            found = split.get(_city(row["county"]) if at_city else row["county"])
            if found:
                found[index].append(row)
    return [{"code": child.code, "name": child.name, **_totals(*split[child.code])} for child in children_of(code)]


def _city(county: str) -> str:
    try:
        return city_of(county)
    except KeyError:
        return ""


def _types(states: list[Row]) -> list[dict[str, Any]]:
    total: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    for row in states:
        total[row["incident_type"]] += row["cases"]
        opened[row["incident_type"]] += 0 if row["state"] in ENDED else row["cases"]
    names = event_types()
    rows = [
        {"code": code, "name": names[code].name_zh if code in names else code, "open": opened[code], "total": count}
        for code, count in total.items()
    ]
    return sorted(rows, key=lambda row: (-row["open"], -row["total"], row["code"]))


def _by_hour(flow: list[Row], first: int, at: int) -> list[Row]:
    """Every hour of the last day, also those without cases."""
    opened: Counter[int] = Counter()
    closed: Counter[int] = Counter()
    for row in flow:
        opened[row["at"]] += row["opened"]
        closed[row["at"]] += row["closed"]
    return [{"at": hour // 1000, "opened": opened[hour // 1000], "closed": closed[hour // 1000]} for hour in range(first, at + 1, HOUR)]


def _completeness(outcomes: list[Row], facts: list[Row]) -> dict[str, Any]:
    counted: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for row in outcomes:
        counted[row["outcome"]] += row["outcomes"]
        if row["reason"]:
            reasons[row["reason"]] += row["outcomes"]
    kinds = ("applied", "refused", "repeated", "dead")
    return {"facts": facts[0]["facts"] if facts else 0, **{kind: counted[kind] for kind in kinds}, "by_reason": dict(reasons.most_common())}
