"""Administrative divisions of Guangdong: who is below whom, and what a code's county and city are.

A division without a county (town of 东莞 or 中山) answers its city as county: that is the grain of every aggregate.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from sys import intern

FILE = Path(__file__).parent / "reference" / "divisions.csv.gz"
LEVELS: tuple[str, ...] = ("province", "city", "county", "town", "village")
PROVINCE = "440000"


@dataclass(frozen=True, slots=True)
class Division:
    code: str
    name: str
    level: str  # province, city, county, town or village
    parent: str  # code; "" for the province
    kind: str
    lon: float | None
    lat: float | None


@cache
def divisions() -> dict[str, Division]:
    """All 28,743 divisions by code. What many say alike is held once: most processes of a platform hold this table."""
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as text:
        return {
            (code := intern(row["code"])): Division(
                code, row["name"], intern("town" if row["level"] == "township" else row["level"]),
                intern(row["parent_code"]), intern(row["kind"]),
                float(row["lon"]) if row["lon"] else None, float(row["lat"]) if row["lat"] else None,
            )
            for row in csv.DictReader(text)
        }  # fmt: skip


def division(code: str) -> Division:
    """KeyError for a code that the register does not hold."""
    return divisions()[code]


def upwards(code: str) -> Iterator[Division]:
    """A division and all it lies in, from below: the province is the last. KeyError for a code that the register does not hold."""
    found = division(code)
    while found.parent:
        yield found
        found = division(found.parent)
    yield found


@cache
def county_of(code: str) -> str:
    """The county of a division; its city where there is no county; itself for a city or the province."""
    return next(place.code for place in upwards(code) if place.level not in ("town", "village"))


@cache
def city_of(code: str) -> str:
    """The city of a division; the province's code for the province itself."""
    found = division(county_of(code))
    return found.parent if found.level == "county" else found.code


@cache
def subtree_prefix(code: str) -> str:
    """The digits that every division below `code` begins with: 440000 -> 44, 440300 -> 4403, 440305 -> 440305."""
    if len(code) == 6:
        return code[:2] if code.endswith("0000") else code[:4] if code.endswith("00") else code
    return code


def is_within(code: str, subtree: str) -> bool:
    """Whether `code` is `subtree` or lies below it."""
    return code.startswith(subtree_prefix(subtree))


@cache
def display_name(code: str) -> str:
    """深圳市南山区粤海街道: names from the city down."""
    names = [place.name for place in upwards(code)]
    return "".join(reversed(names[:-1])) or names[-1]


@cache
def cities() -> tuple[Division, ...]:
    return tuple(d for d in divisions().values() if d.level == "city")


@cache
def counties() -> tuple[Division, ...]:
    """122 counties, and 东莞 and 中山 which stand in for their own."""
    with_counties = {d.parent for d in divisions().values() if d.level == "county"}
    return tuple(d for d in divisions().values() if d.level == "county" or (d.level == "city" and d.code not in with_counties))
