"""The state of a lane: one dict of raw bytes for each owned partition, where its changelog ends, and the wheel of its timers."""

from __future__ import annotations

from collections.abc import Mapping

from streams.engine.value import Part, version_of, without_outbox
from streams.engine.wheel import Wheel


class StateTable:
    """Written only by the runner, one partition by one chunk at a time; restored whole by the recovery."""

    def __init__(self, changelog: str, timed: bool = False) -> None:
        self.changelog = changelog
        self.parts: dict[int, Part] = {}
        self.wheels: dict[int, Wheel] = {}  # of a `timed` table
        self._timed = timed
        self.ends: dict[int, int] = {}  # partition -> next changelog offset, as long as only we write there

    def keys(self) -> int:
        """How many keys are held."""
        return sum(map(len, self.parts.values()))

    def timers(self) -> int:
        """How many keys wait for a moment."""
        return sum(wheel.open for wheel in self.wheels.values())

    def restore(self, parts: Mapping[int, Part]) -> None:
        """Takes what was read from the changelog."""
        self.parts.update(parts)
        if self._timed:
            self.wheels.update({partition: Wheel(part) for partition, part in parts.items()})

    def keep_only(self, partitions: set[int]) -> None:
        """Forgets what another worker owns now."""
        for partition in set(self.parts) - partitions:
            del self.parts[partition]
            self.wheels.pop(partition, None)
            self.ends.pop(partition, None)

    def is_fresh(self, partition: int, end: int) -> bool:
        """Whether the partition is held and nobody wrote to its changelog since we did."""
        return partition in self.parts and self.ends.get(partition) == end


def apply(part: Part, losers: set[bytes], key: bytes, value: bytes) -> None:
    """One changelog record. The highest version wins; a key whose newest record lost is to be written again."""
    held = part.get(key)
    if held is None or version_of(value) >= version_of(held):
        part[key] = value
        losers.discard(key)
    else:
        losers.add(key)


def forget_shipped(part: Part, committed: int) -> None:
    """Drops the outbox of values that only inputs below the committed offset have written: it will never be asked for."""
    for key, value in part.items():
        if version_of(value) < committed:
            part[key] = without_outbox(value)
