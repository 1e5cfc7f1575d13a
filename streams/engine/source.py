"""The `src` mark: which record, and which of its effects, a derived record comes from.

Every derived record carries it as Kafka header `src` = "topic:partition:offset:position"; every reader of a derived topic
keeps the highest (offset, position) for each source partition and drops what is not above it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

SRC = "src"


class Src(NamedTuple):
    topic: str
    partition: int
    offset: int
    position: int

    def header(self) -> tuple[str, bytes]:
        return SRC, f"{self.topic}:{self.partition}:{self.offset}:{self.position}".encode()


def src_of(headers: Iterable[tuple[str, bytes]]) -> Src | None:
    """None for a first record, which nothing was the source of. ValueError for a header that is none of ours."""
    for name, content in headers:
        if name == SRC:
            topic, partition, offset, position = (content or b"").decode().rsplit(":", 3)
            return Src(topic, int(partition), int(offset), int(position))
    return None
