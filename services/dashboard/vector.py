"""Offset vectors: how far a reader stands in every partition, as text `0:12,1:40`.

The same text is the `id:` of a live frame, the `?from=` of a resume and (as an object) the `offsets` of a snapshot. Each number is
the *next* offset: everything below it is counted, nothing from it on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MAX_TEXT = 8_192  # characters; 48 partitions of 19-digit offsets need 1,100


class BadVector(ValueError):
    """The text is not an offset vector of this topic."""


def parse(text: str, partitions: int) -> dict[int, int]:
    """Partition to next offset. Partitions of which nothing is counted may be absent; BadVector for anything else."""
    if len(text) > MAX_TEXT:
        raise BadVector("too long")
    vector: dict[int, int] = {}
    for part in text.split(",") if text else ():
        left, colon, right = part.partition(":")
        if not (colon and left.isascii() and left.isdigit() and right.isascii() and right.isdigit() and len(right) <= 19):
            raise BadVector(f"{part[:40]!r} is not partition:offset")
        partition = int(left)
        if partition >= partitions:
            raise BadVector(f"partition {partition} of {partitions}")
        if partition in vector:
            raise BadVector(f"partition {partition} twice")
        vector[partition] = int(right)
    return vector


def render(offsets: Sequence[int]) -> str:
    """The text of a full vector, indexed by partition."""
    return ",".join([f"{partition}:{offset}" for partition, offset in enumerate(offsets)])


def as_object(offsets: Sequence[int]) -> Mapping[str, int]:
    """The form of a snapshot: {"0": 12, "1": 40}."""
    return {str(partition): offset for partition, offset in enumerate(offsets)}
