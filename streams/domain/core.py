"""What a processor of this project is: a pure function of (state, input, now), and what it answers.

`decide` knows no Faust, clock, network or environment. Replaying the same inputs gives the same answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import msgspec

from schemas.topics import Topic

S = TypeVar("S")


class Source(NamedTuple):
    """The record an input came from; becomes the `src` of everything derived from it."""

    topic: str
    partition: int
    offset: int


class Emit(NamedTuple):
    """A record to publish. `position` counts the records derived from one source, over all topics."""

    topic: Topic
    realm: str
    key: str
    record: msgspec.Struct
    position: int


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """The state after, None when there is none (and was none), and what happened, as data."""

    state: S | None
    emits: tuple[Emit, ...] = ()
