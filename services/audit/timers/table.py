"""What the case table waits for: of each case the moment it wants to be woken at, read from the first bytes of its newest value.

A dropped entry of the wheel leaves this moment in the state and tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas import registry
from services.audit.table import OWN, QUARANTINED, TIMED

HEAD = 13  # version, flags, length of the state
DUE = 8
FRAME = 5  # Confluent's, before the state


class Waiting(NamedTuple):
    """`seq`: number of the case's last event; 0: the value holds no state. `due`, `wheel`: when the state, and the header of its value
    from which the wheel is filled, want the case to be woken; UTC milliseconds, 0: never."""

    version: int
    seq: int
    due: int
    wheel: int
    quarantined: bool


class Table:
    """Feed `take` with the changelog; of each key the highest version wins, the later of equal ones."""

    def __init__(self) -> None:
        self.cases: dict[bytes, Waiting] = {}
        self._first = {version.id for version in registry.versions() if (version.name, version.version) == ("incident_case", 1)}

    def take(self, partition: int, records: Sequence[Any]) -> None:
        for record in records:
            if record.key is None or record.key[:1] == OWN:
                continue
            if record.value is None:
                self.cases.pop(record.key, None)
                continue
            found = self._read(record.value)
            held = self.cases.get(record.key)
            if held is None or found.version >= held.version:
                self.cases[record.key] = found

    def _read(self, value: bytes) -> Waiting:
        version, flags = int.from_bytes(value[:8], "little", signed=True), value[8]
        length, start, wheel = int.from_bytes(value[9:HEAD], "little"), HEAD, 0
        if flags & TIMED:
            wheel, start = int.from_bytes(value[HEAD : HEAD + DUE], "little"), HEAD + DUE
        quarantined = bool(flags & QUARANTINED)
        state = value[start : start + length]
        if not state:
            return Waiting(version, 0, 0, wheel, quarantined)
        due, at = 0, FRAME
        if int.from_bytes(state[1:FRAME], "big") not in self._first:  # the first version knew no deadlines
            due, at = _long(state, at)
        for _ in ("case_id", "case_number"):
            text, at = _long(state, at)
            at += text
        seq, _ = _long(state, at)
        return Waiting(version, seq, due, wheel, quarantined)


def _long(data: bytes, at: int) -> tuple[int, int]:
    """A long of Avro (variable length, zig-zag), and where it ends."""
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return found >> 1 ^ -(found & 1), at
