"""Levels 层级: which is above which, and which there are above a place."""

from __future__ import annotations

from functools import cache

from schemas.divisions import upwards
from schemas.policy.terms import LEVELS

RANK: dict[str, int] = {level.value: rank for rank, level in enumerate(LEVELS)}


def rank(level: str) -> int:
    """-1 for a level that is none."""
    return RANK.get(level, -1)


def is_above(level: str, other: str) -> bool:
    return rank(level) > rank(other) >= 0


@cache
def levels_of(code: str) -> tuple[str, ...]:
    """The levels that a place lies in, from below: 东莞 and 中山 have no county. KeyError for an unknown division."""
    return tuple(place.level for place in upwards(code))


def next_above(code: str, level: str) -> str:
    """The next level above `level` that the place has; "" when there is none."""
    return next((above for above in levels_of(code) if is_above(above, level)), "")


def next_below(code: str, level: str) -> str:
    """The next level below; of a place that is itself the lowest there is, the level below by name."""
    known = [below for below in levels_of(code) if is_above(level, below)]
    return known[-1] if known else LEVELS[max(rank(level) - 1, 1)].value


@cache
def desk_of(code: str, level: str) -> str:
    """The duty desk 值班席 of the division of this level that the place lies in; "" when there is none."""
    return next((f"{place.code}-desk" for place in upwards(code) if place.level == level), "")
