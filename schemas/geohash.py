"""Geohash: a place as a grid cell. Six characters are about 1.2 km by 0.6 km, the finest that leaves the seal."""

from __future__ import annotations

ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz"
BITS = 15  # of each axis: six characters of five bits are thirty
SPREAD = tuple(int("0".join(f"{number:b}"), 2) for number in range(1 << BITS))  # abc -> a0b0c
PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)


def cell(lon: float, lat: float) -> str:
    """The cell of a point in WGS 84 / CGCS2000 degrees; lon in [-180, 180], lat in [-90, 90]."""
    return _named(SPREAD[_interval(lon, 180.0)] << 1 | SPREAD[_interval(lat, 90.0)])


def _interval(degrees: float, half: float) -> int:
    """Number of the interval of [-half, half] that holds `degrees`, of 2**15."""
    return min(int((degrees + half) / (2 * half) * (1 << BITS)), (1 << BITS) - 1)


def near(cell: str) -> frozenset[str]:
    """A cell of six characters and the eight around it: whatever lies within half a kilometre of a point in it. ValueError for others."""
    if len(cell) != 6 or not set(cell) <= set(ALPHABET):
        raise ValueError(f"not a cell: {cell!r}")
    code = 0
    for character in cell:
        code = code << 5 | ALPHABET.index(character)
    x = sum((code >> 2 * bit + 1 & 1) << bit for bit in range(BITS))
    y = sum((code >> 2 * bit & 1) << bit for bit in range(BITS))
    size = 1 << BITS
    return frozenset(
        _named(SPREAD[(x + right) % size] << 1 | SPREAD[y + up]) for right in (-1, 0, 1) for up in (-1, 0, 1) if 0 <= y + up < size
    )


def _named(code: int) -> str:
    return PAIRS[code >> 20] + PAIRS[code >> 10 & 1023] + PAIRS[code & 1023]
