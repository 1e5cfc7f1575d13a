"""A believable Guangdong day, pure: what happens when, and what desks do about it. Same seed and minute, same plan.

Figures come from schemas/reference/simulation_day.json (its sources are named in it); places are towns of Guangdong,
weighted by the residents of their city and their number of villages.
"""

from __future__ import annotations

import heapq
import json
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from schemas import divisions
from schemas.event_types import event_types
from schemas.ids import CHINA

FILE = Path(divisions.__file__).parent / "reference" / "simulation_day.json"
MINUTE_MS = 60_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BODIES = {"municipal": "城市管理局", "service": "政务服务中心", "medical": "急救中心", "traffic": "交警大队", "fire": "消防救援大队"}
SIGN_SHARE = 0.3  # of the time to the scene: the unit confirms before it arrives


class Step(NamedTuple):
    """A desk's command, `delay_s` seconds of the day's clock after the step before it."""

    delay_s: float
    command: str
    by: str  # desk or verifier: two people, since nobody verifies what they handled
    body: dict[str, Any]


class Planned(NamedTuple):
    key: str  # idempotency key of the capture; the steps derive theirs from it
    at: int  # UTC milliseconds
    body: dict[str, Any]  # of POST /v1/incidents
    steps: tuple[Step, ...]


@cache
def figures() -> Any:
    return json.loads(FILE.read_text(encoding="utf-8"))


@cache
def towns() -> tuple[list[str], list[float]]:
    """Towns, and the weight up to and with each: its city's residents, shared out by the number of its villages."""
    villages: dict[str, int] = {}
    in_city: dict[str, int] = {}
    for division in divisions.divisions().values():
        if division.level == "village":
            city = divisions.city_of(division.code)
            villages[division.parent] = villages.get(division.parent, 0) + 1
            in_city[city] = in_city.get(city, 0) + 1
    residents = figures()["own"]["city_weights"]
    weights = (residents[city] * count / in_city[city] for town, count in villages.items() for city in (divisions.city_of(town),))
    return list(villages), list(accumulate(weights))


def plan_day(seed: str, day: date, rate: float) -> Iterator[Planned]:
    """The whole day, Asia/Shanghai, in time order. `rate`: new incidents a minute at the week's mean."""
    first = int(datetime(day.year, day.month, day.day, tzinfo=CHINA).timestamp()) // 60
    for minute in range(first, first + 24 * 60):
        yield from plan_minute(seed, minute, rate)


def plan_minute(seed: str, minute: int, rate: float) -> list[Planned]:
    """What begins in this minute (whole minutes since 1970), in time order."""
    found: list[Planned] = []
    local = (EPOCH + timedelta(minutes=minute)).astimezone(CHINA)
    hour = local.weekday() * 24 + local.hour
    for name, share in figures()["own"]["shares"].items():
        group = figures()["groups"][name]
        per_ms = rate * share * group["hours"][hour] / MINUTE_MS
        chance = random.Random(f"{seed}:{minute}:{name}")
        at = chance.expovariate(per_ms) if per_ms > 0 else MINUTE_MS
        while at < MINUTE_MS:
            key = f"{seed}:{minute}:{name}:{len(found)}"
            found.append(_incident(chance, name, group, key, minute * MINUTE_MS + int(at)))
            at += chance.expovariate(per_ms)
    return sorted(found, key=lambda planned: planned.at)


def _incident(chance: random.Random, name: str, group: Any, key: str, at: int) -> Planned:
    own = figures()["own"]["chances"]
    codes, edges = towns()
    town = divisions.division(codes[_pick(chance, edges)])
    kind = chance.choices(list(group["types"]), list(group["types"].values()))[0]
    body: dict[str, Any] = {
        "type": kind,
        "division": town.code,
        "occurred_at": (EPOCH + timedelta(milliseconds=at)).astimezone(CHINA).isoformat(timespec="milliseconds"),
        "external_id": key,
    }
    if town.lon is not None and town.lat is not None:
        body["place"] = {"lon": round(town.lon + chance.uniform(-0.02, 0.02), 5), "lat": round(town.lat + chance.uniform(-0.02, 0.02), 5)}
    if chance.random() < own["reported_by_a_person"]:
        number = chance.randrange(10_000)
        body["reporter"] = {"name": f"模拟报告人{number:04d}", "phone": f"000-0000-{number:04d}"}
        body["note"] = f"模拟事项：{event_types()[kind].name_zh}"
    grade = int(chance.choices(list(group["grades"]), list(group["grades"].values()))[0]) if "grades" in group else 4
    return Planned(key, at, body, tuple(_steps(chance, group, body, grade, BODIES[name])))


def _steps(chance: random.Random, group: Any, body: dict[str, Any], grade: int, department: str) -> Iterator[Step]:
    kind, county = body["type"], divisions.county_of(body["division"])
    own, response = figures()["own"], figures()["response_s"]["by_grade"]
    delays, chances = own["delays_s"], own["chances"]

    def after(step: str) -> float:
        return _draw(chance, delays[step])

    handling = _draw(chance, group["resolve_s"]) if "resolve_s" in group else None
    arrival = _draw(chance, response[str(grade)]) if handling is None else handling * 0.1
    work = after("scene") if handling is None else handling * 0.9
    if event_types()[kind].self_handle and chance.random() < chances["self_handle"]:
        yield Step(after("scene"), "self_handle", "desk", {"evidence": True})
    else:
        if chance.random() < chances["decline"]:
            yield Step(after("accept"), "decline", "desk", {"reason": "not_in_scope", "org": "12345"})
            return
        yield Step(after("accept"), "accept", "desk", {})
        yield Step(after("triage"), "triage", "desk", {"grade": grade, "type": kind})
        org = divisions.division(county).name + department
        if chance.random() < chances["object"]:
            yield Step(after("assign"), "assign", "desk", {"org": org})
            yield Step(arrival * SIGN_SHARE, "object", "desk", {"reason": "not_our_duty"})
            org = divisions.division(county).name + "综合指挥中心"
        yield Step(after("assign"), "assign", "desk", {"org": org})
        yield Step(arrival * SIGN_SHARE, "sign", "desk", {})
        yield Step(arrival * (1 - SIGN_SHARE) + work, "report", "desk", {"evidence": True})
    if chance.random() < chances["verify_fail"]:
        yield Step(after("verify"), "verify_fail", "verifier", {"reason": "not_settled"})
        yield Step(work, "report", "desk", {"evidence": True})
    yield Step(after("verify"), "verify_ok", "verifier", {})
    if chance.random() < figures()["reopened"]["share"]:
        yield Step(after("evaluate"), "reopen", "verifier", {"reason": "came_back"})
        yield Step(work, "report", "desk", {"evidence": True})
        yield Step(after("verify"), "verify_ok", "verifier", {})
    if chance.random() < chances["evaluate"]:
        yield Step(after("evaluate"), "evaluate", "verifier", {})


REST = {  # what is left to do for a case that an earlier run of the simulation left open
    "captured": ("accept", "triage", "assign", "sign", "report", "verify_ok"),
    "accepted": ("triage", "assign", "sign", "report", "verify_ok"),
    "triaged": ("assign", "sign", "report", "verify_ok"),
    "assigned": ("sign", "report", "verify_ok"),
    "handling": ("report", "verify_ok"),
    "reported": ("verify_ok",),
    "verifying": ("verify_ok",),
}


def rest_of(seed: str, case_id: str, state: str, division: str) -> tuple[Step, ...]:
    """Steps that close a case found in `state`; none for a state in which nothing is left to do."""
    chance = random.Random(f"{seed}:{case_id}")
    delays = figures()["own"]["delays_s"]
    waits = {"accept": "accept", "triage": "triage", "assign": "assign", "sign": "assign", "report": "scene", "verify_ok": "verify"}
    org = divisions.division(divisions.county_of(division)).name + "综合指挥中心"
    bodies: dict[str, dict[str, Any]] = {"triage": {"grade": 4}, "assign": {"org": org}, "report": {"evidence": True}}
    return tuple(
        Step(_draw(chance, delays[waits[command]]), command, "verifier" if command == "verify_ok" else "desk", bodies.get(command, {}))
        for command in REST.get(state, ())
    )


def _pick(chance: random.Random, edges: Sequence[float]) -> int:
    return min(bisect_right(edges, chance.random() * edges[-1]), len(edges) - 1)


def _draw(chance: random.Random, quantiles: Sequence[float]) -> float:
    """Seconds, between the quantiles of figures()["points"] by straight lines."""
    points: Sequence[float] = figures()["points"]
    share = min(max(chance.random(), points[0]), points[-1])
    upper = next(index for index, point in enumerate(points) if point >= share)
    if upper == 0:
        return float(quantiles[0])
    low, high = points[upper - 1], points[upper]
    return quantiles[upper - 1] + (quantiles[upper] - quantiles[upper - 1]) * (share - low) / (high - low)


class Action(NamedTuple):
    """One command to post now."""

    key: str  # idempotency key
    case: str  # the key under which the case is open here
    case_id: str
    step: Step
    expected_seq: int


@dataclass(slots=True)
class _Open:
    case_id: str
    steps: tuple[Step, ...]
    seq: int
    done: int = 0  # steps done


class OpenCases:
    """Cases under way. `captured` and `done` move them on; `next_actions` answers what is due, each action once."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._cases: dict[str, _Open] = {}
        self._due: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._cases)

    def captured(self, key: str, case_id: str, steps: tuple[Step, ...], now: int, seq: int = 1) -> None:
        """A case that stands at `seq`; times are UTC milliseconds."""
        self._cases[key] = _Open(case_id, steps, seq)
        self._schedule(key, now)

    def next_actions(self, now: int) -> list[Action]:
        found = []
        while self._due and self._due[0][0] <= now:
            _, key = heapq.heappop(self._due)
            case = self._cases[key]
            found.append(Action(f"{key}:{case.done}", key, case.case_id, case.steps[case.done], case.seq))
        return found

    def done(self, key: str, now: int) -> None:
        """The action of this case is on its way to the log: its next step is scheduled, or the case is finished here."""
        case = self._cases[key]
        case.done += 1
        case.seq += 1
        self._schedule(key, now)

    def dropped(self, key: str) -> None:
        """Somebody else took the case over: the simulation lets go of it."""
        self._cases.pop(key, None)

    def _schedule(self, key: str, now: int) -> None:
        case = self._cases[key]
        if case.done == len(case.steps):
            del self._cases[key]
        else:
            heapq.heappush(self._due, (now + int(case.steps[case.done].delay_s * 1000 / self._speed), key))
