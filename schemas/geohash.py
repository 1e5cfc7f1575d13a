"""Geohash: a place as a grid cell. Six characters are about 1.2 km by 0.6 km, the finest that leaves the seal."""

from __future__ import annotations

ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz"
CELL_LENGTH = 6


def cell(lon: float, lat: float, length: int = CELL_LENGTH) -> str:
    """The cell of a point in WGS 84 / CGCS2000 degrees; lon in [-180, 180], lat in [-90, 90]."""
    bits = 5 * length
    x = _position(lon, 180.0, (bits + 1) // 2)  # longitude takes the first bit, so it has one more when bits are odd
    y = _position(lat, 90.0, bits // 2)
    code = 0
    for place in range(bits):
        axis, depth = (x, (bits + 1) // 2) if place % 2 == 0 else (y, bits // 2)
        code = code << 1 | (axis >> (depth - 1 - place // 2)) & 1
    return "".join([ALPHABET[(code >> shift) & 31] for shift in range(bits - 5, -1, -5)])


def _position(degrees: float, half: float, bits: int) -> int:
    """Number of the interval of [-half, half] that holds `degrees`, of 2**bits."""
    return min(int((degrees + half) / (2 * half) * (1 << bits)), (1 << bits) - 1)
