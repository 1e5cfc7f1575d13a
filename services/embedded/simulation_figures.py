"""Computes schemas/reference/simulation_day.json out of real files; the product ships the figures, never the files.

    python -m services.embedded.simulation_figures DATA_DIR MAPPINGS_DIR > schemas/reference/simulation_day.json

What no file knows (how many of each group, how long a desk takes to accept) is our own and marked so.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from services.replay.mapping import load
from services.replay.reader import open_rows
from services.replay.rows import RowMapper

POINTS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # the shares that every list of quantiles is for
DAY_S = 86_400

SOURCES = {
    "nyc_ems": "NYC Open Data, EMS Incident Dispatch Data 2013-2015 (terms of NYC Open Data, not verified): figures only",
    "montco_911": "Montgomery County 911 calls 2015-2017, montcoalert.org through Kaggle (ODbL 1.0): figures only",
    "boston_311": "City of Boston service requests 2011-07 to 11 (PDDL 1.0): figures only",
    "servicenow": "UCI incident management event log, Amaral, Fantinato, Peres (CC BY 4.0): figures only",
}

# Our own: nobody publishes these for Guangdong. Seconds at POINTS, probabilities, shares of all new incidents.
OWN: dict[str, Any] = {
    "shares": {"municipal": 0.52, "service": 0.18, "medical": 0.14, "traffic": 0.1, "fire": 0.06},
    "delays_s": {
        "accept": [5, 8, 10, 15, 20, 30, 40, 60, 80, 120, 240, 420, 900],
        "triage": [5, 10, 15, 20, 30, 40, 50, 60, 80, 110, 180, 300, 600],
        "assign": [5, 10, 15, 20, 30, 40, 50, 60, 80, 110, 180, 300, 600],
        "scene": [300, 480, 600, 900, 1200, 1500, 1800, 2400, 3000, 3600, 5400, 7200, 10800],
        "verify": [60, 120, 180, 300, 450, 600, 900, 1200, 1500, 2100, 3600, 5400, 9000],
        "evaluate": [60, 120, 180, 300, 450, 600, 900, 1200, 1800, 2700, 5400, 7200, 14400],
    },
    "chances": {"decline": 0.03, "self_handle": 0.25, "object": 0.05, "verify_fail": 0.04, "evaluate": 0.3, "reported_by_a_person": 0.2},
    "emergency_grades": {"1": 0.02, "2": 0.18, "3": 0.5, "4": 0.3},  # of traffic and fire; the files have none
    "municipal_types": {"M09006": 0.09, "M06028": 0.06, "M09010": 0.05, "M09011": 0.04, "M09012": 0.02},  # of all municipal matters
    # residents in millions, rounded; census of 1 November 2020 as commonly known, not re-checked against the bulletin
    "city_weights": {
        "440100": 18.7, "440200": 2.9, "440300": 17.6, "440400": 2.4, "440500": 5.5, "440600": 9.5, "440700": 4.8, "440800": 7.0,
        "440900": 6.2, "441200": 4.1, "441300": 6.0, "441400": 3.9, "441500": 2.7, "441600": 2.8, "441700": 2.6, "441800": 4.0,
        "441900": 10.5, "442000": 4.4, "445100": 2.6, "445200": 5.6, "445300": 2.4,
    },
}  # fmt: skip
TOWN_MATTERS = ("M",)  # type codes that make the municipal group
NOT_HERE = frozenset({"M10001"})  # snow and ice on the road


class Call(NamedTuple):
    """One mapped row beside its raw columns."""

    body: dict[str, Any]
    raw: dict[str, str]
    hour: int  # of the week, local time, Monday 0


def main(data: Path, mappings: Path) -> None:
    ems = list(_calls(data / "nyc_ems_2013_2015.csv.gz", mappings / "nyc_ems.toml"))
    county = list(_calls(data / "montco_911_2015_2017.csv.gz", mappings / "montco_911.toml"))
    city = list(_calls(data / "boston_311_2011h2.csv.gz", mappings / "boston_311.toml"))
    desk = list(_calls(data / "servicenow_incident_events.csv.gz", mappings / "servicenow.toml"))
    roads = [call for call in county if call.raw["category"] == "Traffic"]
    fires = [call for call in county if call.raw["category"] == "Fire"]
    town = [call for call in city if call.body["type"].startswith(TOWN_MATTERS)]
    help_asked = [call for call in city if not call.body["type"].startswith(TOWN_MATTERS)]
    response = _by_grade(ems)
    grades = {grade: round(share, 4) for grade, share in _shares(str(call.body["grade"]) for call in ems).items()}
    figures = {
        "sources": SOURCES,
        "points": POINTS,
        "own": OWN,
        "response_s": {"source": "nyc_ems", "by_grade": response},
        "reopened": {"source": "servicenow", "share": _reopened(desk)},
        "groups": {
            "medical": {"source": "nyc_ems", "hours": _hours(ems), "types": _types(ems), "grades": grades},
            "traffic": {"source": "montco_911", "hours": _hours(roads), "types": _types(roads), "grades": OWN["emergency_grades"]},
            "fire": {"source": "montco_911", "hours": _hours(fires), "types": _types(fires), "grades": OWN["emergency_grades"]},
            "municipal": {"source": "boston_311", "hours": _hours(town), "types": _with_own(_types(town)), "resolve_s": _resolved(town)},
            "service": {"source": "boston_311, servicenow", "hours": _hours(help_asked), "types": {"S01": 0.6, "S02": 0.3, "S99": 0.1},
                        "resolve_s": _desk_resolved(desk)},
        },
    }  # fmt: skip
    json.dump(figures, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


def _calls(path: Path, mapping_file: Path) -> Iterator[Call]:
    mapping = load(mapping_file)
    header, rows = open_rows(path, mapping.file)
    mapper = RowMapper(mapping, header)
    for row in rows:
        body = mapper(row.row).body
        local = datetime.fromisoformat(body["occurred_at"])
        yield Call(body, dict(zip(header, row.row, strict=True)), local.weekday() * 24 + local.hour)


def _hours(calls: Sequence[Call]) -> list[float]:
    """168 weights from Monday 00:00, mean 1."""
    counts = Counter(call.hour for call in calls)
    return [round(counts[hour] * 168 / len(calls), 3) for hour in range(168)]


def _shares(values: Iterator[str]) -> dict[str, float]:
    counts = Counter(values)
    total = counts.total()
    return {value: count / total for value, count in sorted(counts.items())}


def _types(calls: Sequence[Call]) -> dict[str, float]:
    """Types that make at least one in a thousand."""
    shares = _shares(call.body["type"] for call in calls if call.body["type"] not in NOT_HERE)
    return {code: round(share, 4) for code, share in shares.items() if share >= 0.001}


def _with_own(types: dict[str, float]) -> dict[str, float]:
    own: dict[str, float] = OWN["municipal_types"]
    rest = 1 - sum(own.values())
    return {code: round(share * rest, 4) for code, share in types.items()} | own


def _quantiles(seconds: Sequence[float]) -> list[int]:
    ordered = sorted(seconds)
    return [round(ordered[int(point * (len(ordered) - 1))]) for point in POINTS]


def _by_grade(ems: Sequence[Call]) -> dict[str, list[int]]:
    """From call to first unit on scene; 0 means not measured."""
    found: dict[str, list[float]] = defaultdict(list)
    for call in ems:
        if call.raw["response_seconds"] not in ("", "0"):
            found[str(call.body["grade"])].append(float(call.raw["response_seconds"]))
    return {grade: _quantiles(seconds) for grade, seconds in sorted(found.items())}


def _resolved(calls: Sequence[Call]) -> list[int]:
    """From opening to closing, of what was closed within a day and not at once: longer ones leave a screen's day."""
    spans = (
        (datetime.fromisoformat(call.raw["closed"]) - datetime.fromisoformat(call.raw["opened"])).total_seconds()
        for call in calls
        if call.raw["closed"]
    )
    return _quantiles([span for span in spans if 60 <= span <= DAY_S])


def _desk_resolved(calls: Sequence[Call]) -> list[int]:
    """From a case's first New to its first Resolved, within a day. Rows come in time order."""
    begun: dict[str, datetime] = {}
    spans: dict[str, float] = {}
    for call in calls:
        number, at = call.raw["number"], datetime.fromisoformat(call.raw["sys_updated_at"])
        if call.raw["incident_state"] == "New":
            begun.setdefault(number, at)
        elif call.raw["incident_state"] == "Resolved" and number in begun:
            spans.setdefault(number, (at - begun[number]).total_seconds())
    return _quantiles([span for span in spans.values() if 60 <= span <= DAY_S])


def _reopened(calls: Sequence[Call]) -> float:
    last = {call.raw["number"]: int(call.raw["reopen_count"]) for call in calls}
    return round(sum(count > 0 for count in last.values()) / len(last), 4)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
