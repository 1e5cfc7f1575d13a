"""Marks: how far each source was taken into a partition. A record that is not above its source's mark is a repeat and is dropped.

Derived records name their source in the Kafka header `src`, in ASCII: "<topic>:<partition>:<offset>:<position>".
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.headers import SRC

IN_TABLE = "*"  # too many sources for the commit's metadata: the facts hold the marks
Place = tuple[int, int]  # offset and position
Marks = dict[str, Place]  # by "<topic>:<partition>" of the source


def source_of(headers: Iterable[tuple[str, bytes]]) -> tuple[str, Place] | None:
    """Source and place of a record; None for a first record, which has no source. ValueError for a header that is not one."""
    for name, value in headers:
        if name == SRC:
            source, *numbers = (value or b"").decode("ascii").rsplit(":", 2)
            offset, position = map(int, numbers)
            if not (source and "," not in source and "|" not in source and 0 <= offset < 1 << 63 and 0 <= position < 1 << 31):
                raise ValueError(f"no place of a log: {value!r}"[:200])
            return source, (offset, position)
    return None


def header(topic: str, partition: int, offset: int, position: int) -> tuple[str, bytes]:
    """The header of a record derived from that place."""
    return SRC, f"{topic}:{partition}:{offset}:{position}".encode("ascii")


def encode(marks: Marks) -> str:
    """ "incident.commands:3=120.0,…", sorted, so equal marks give equal text."""
    return ",".join(f"{source}={offset}.{position}" for source, (offset, position) in sorted(marks.items()))


def decode(text: str) -> Marks:
    found: Marks = {}
    for part in filter(None, text.split(",")):
        source, _, place = part.partition("=")
        offset, _, position = place.partition(".")
        found[source] = (int(offset), int(position))
    return found
