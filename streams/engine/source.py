"""The `src` mark: which record, and which of its effects, a derived record comes from.

Every derived record carries it as Kafka header `src` = "topic:partition:offset:position"; every reader of a derived topic
keeps the highest (offset, position) for each source partition and drops what is not above it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from schemas.headers import SRC

POSITIONS = 256


class Src(NamedTuple):
    topic: str
    partition: int
    offset: int
    position: int

    def header(self) -> tuple[str, bytes]:
        return SRC, mark(*self)


def mark(topic: str, partition: int, offset: int, position: int) -> bytes:
    """How a header says it."""
    return f"{topic}:{partition}:{offset}:{position}".encode()


def src_of(headers: Iterable[tuple[str, bytes]]) -> Src | None:
    """None for a first record, which nothing was the source of. ValueError for a header that is none of ours."""
    for name, content in headers:
        if name == SRC:
            topic, *numbers = (content or b"").decode("ascii").rsplit(":", 3)
            partition, offset, position = map(int, numbers)
            if not (0 <= partition < 1 << 31 and 0 <= offset < 1 << 63 and 0 <= position < POSITIONS):
                raise ValueError(f"no place of a log: {content!r}"[:200])
            return Src(topic, partition, offset, position)
    return None
