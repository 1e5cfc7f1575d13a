"""The newest frames of one realm, kept in memory for everybody who reads along.

Subscribers hold no queue: each has a place in the ring. One that falls out of it is behind and is dropped; it resumes by its vector.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice

from services.dashboard.frames import Frame, Scope
from services.dashboard.vector import render


class Ring:
    """Frames in the order they came, complete from `floor` to `head` (both vectors of next offsets)."""

    def __init__(self, start: Sequence[int], capacity: int) -> None:
        self.floor = list(start)  # the ring holds every frame from here
        self.head = list(start)  # to here
        self.capacity = capacity
        self.first = 0  # number of the oldest frame held
        self._frames: deque[Frame] = deque()

    @property
    def end(self) -> int:
        """Number the next frame will get."""
        return self.first + len(self._frames)

    def append(self, frame: Frame) -> None:
        """Takes the partition's next frame; one below the head is a repeat and is dropped."""
        if frame.offset < self.head[frame.partition]:
            return
        self.head[frame.partition] = frame.offset + 1
        self._frames.append(frame)
        if len(self._frames) > self.capacity:
            gone = self._frames.popleft()
            self.first += 1
            self.floor[gone.partition] = gone.offset + 1

    def since(self, number: int) -> list[Frame]:
        """The frames held from `number` on, oldest first."""
        newest_first = islice(reversed(self._frames), self.end - max(number, self.first))
        return list(newest_first)[::-1]


class Cursor:
    """One subscriber's place: what it has been given, as a vector; and the number of the ring's frame it reads next.

    Without a vector it begins at the head; a partition that its vector leaves out begins at the log's first record.
    """

    def __init__(self, ring: Ring, scope: Scope, vector: Mapping[int, int] | None = None) -> None:
        self.ring = ring
        self.scope = scope
        self.at = [vector.get(p, 0) for p in range(len(ring.head))] if vector else list(ring.head)
        self.number = ring.first

    def behind(self) -> list[int]:
        """Partitions whose next frame the ring no longer holds: a new reader gets them from Kafka, a slow one is dropped."""
        return [p for p, offset in enumerate(self.at) if offset < self.ring.floor[p]]

    def take(self, frames: Sequence[Frame]) -> list[bytes]:
        """SSE events of those frames that are new to this subscriber and in its scope; each carries the vector after it."""
        events = []
        for frame in frames:
            if frame.offset < self.at[frame.partition]:
                continue
            self.at[frame.partition] = frame.offset + 1
            seen = self.scope.sees(frame)
            if seen is not None:
                events.append(b"event: delta\nid: " + render(self.at).encode() + b"\ndata: " + seen + b"\n\n")
        return events

    def advance(self) -> list[bytes]:
        """Everything new in the ring. Call only when nothing is `behind`."""
        frames = self.ring.since(self.number)
        self.number = self.ring.end
        return self.take(frames)
