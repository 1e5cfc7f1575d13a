"""Places: a division code out of a column, through a map, or invented by a documented rule (replay and sandbox only)."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Sequence
from functools import cache

from schemas.divisions import counties, county_of, divisions
from services.replay.errors import MappingError

WEIGHTS = ("equal", "villages")


def invented(weight: str) -> Callable[[str], str]:
    """Foreign place -> county of Guangdong: SHA-256 of the place's text, as a share of one, falls on the counties lined up
    by code, each as wide as its weight (`equal`, or its number of villages). The same text is always the same county, on
    every machine; two neighbours abroad are no neighbours here."""
    if weight not in WEIGHTS:
        raise MappingError("place.weight", f"{weight!r} is none of {', '.join(WEIGHTS)}")
    codes = sorted(division.code for division in counties())
    villages = villages_by_county()
    edges: list[int] = []
    for code in codes:
        edges.append((edges[-1] if edges else 0) + (villages[code] if weight == "villages" else 1))
    total = edges[-1]

    @cache
    def place(text: str) -> str:
        share = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        return codes[bisect.bisect_right(edges, share * total >> 64)]

    return place


@cache
def villages_by_county() -> dict[str, int]:
    """Villages (with residents' committees) of each county; of the city where there is no county."""
    found: dict[str, int] = {}
    for code, division in divisions().items():
        if division.level == "village":
            county = county_of(code)
            found[county] = found.get(county, 0) + 1
    return found


def first_filled(values: Sequence[str]) -> str:
    """The first value that is not empty, marked with its position so that equal texts of two columns differ."""
    for position, value in enumerate(values):
        if value:
            return f"{position}:{value}"
    return ""
