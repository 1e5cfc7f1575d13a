"""What one chunk has read and changed, before it is stored."""

from __future__ import annotations

from collections.abc import Sequence

from streams.engine.shipment import Changes
from streams.engine.value import Part, Value, pack, unpack
from streams.engine.wheel import Wheel

LOOSE = b"\x00loose"  # holds the outbox of records that leave no state
MARK = b"\x00mark:"  # one value for each source partition


class Working:
    """The table values that one chunk has read and changed; the wheel follows at once."""

    __slots__ = ("_part", "_wheel", "changed", "outboxes", "values")

    def __init__(self, part: Part, wheel: Wheel | None) -> None:
        self._part = part
        self._wheel = wheel
        self.values: dict[bytes, Value] = {}
        self.outboxes: dict[bytes, list[bytes]] = {}
        self.changed: dict[bytes, None] = {}

    def get(self, key: bytes) -> Value:
        found = self.values.get(key)
        if found is None:
            found = self.values[key] = unpack(self._part.get(key))
        return found

    def put(self, key: bytes, version: int, flags: int, state: bytes, entries: Sequence[bytes], due: int = 0) -> None:
        held = self.get(key)
        if self._wheel is not None:
            self._wheel.move(key, held.due, due)
        self.values[key] = Value(version, flags, state, held.outbox, due)
        self.outboxes.setdefault(key, []).extend(entries)
        self.changed[key] = None

    def changes(self) -> Changes:
        """Packed values; marks come last, so that a cut-off changelog never holds a mark without its state."""
        packed = []
        for key in sorted(self.changed, key=lambda k: k.startswith(MARK)):
            value = self.values[key]
            packed.append((key, pack(value.version, value.flags, value.state, value.outbox + b"".join(self.outboxes[key]), value.due)))
        return packed
