"""Geohash: a place as a grid cell. Six characters are about 1.2 km by 0.6 km, the finest that leaves the seal."""

from __future__ import annotations

ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz"
BITS = 15  # of each axis: six characters of five bits are thirty
SPREAD = tuple(int("0".join(f"{number:b}"), 2) for number in range(1 << BITS))  # abc -> a0b0c
PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)


def cell(lon: float, lat: float) -> str:
    """The cell of a point in WGS 84 / CGCS2000 degrees; lon in [-180, 180], lat in [-90, 90]."""
    code = SPREAD[_interval(lon, 180.0)] << 1 | SPREAD[_interval(lat, 90.0)]
    return PAIRS[code >> 20] + PAIRS[code >> 10 & 1023] + PAIRS[code & 1023]


def _interval(degrees: float, half: float) -> int:
    """Number of the interval of [-half, half] that holds `degrees`, of 2**15."""
    return min(int((degrees + half) / (2 * half) * (1 << BITS)), (1 << BITS) - 1)
