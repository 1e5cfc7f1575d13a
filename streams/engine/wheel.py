"""Durable timers: a state says when it wants to be woken, and it is, once, whoever dies on the way.

**Where a timer lives.** In its key's state and nowhere else. After each record the runner asks the processor `next_due(state)`: UTC
milliseconds of the earliest moment at which the state wants to be woken, None for never. That number stands in the header of the table's
value (engine/value.py), is stored with the state in one write, and so needs no topic, log or lock of its own. A quarantined key has none.

**The wheel** (`Wheel`, one of each owned partition) is only an index of these numbers: a heap of `due | key` as plain bytes, which
compare as (due, key) do; 90 bytes a key. An entry counts only while the value of its key says the same `due`; all others are stale and
dropped when they come up, or by `tidy` when they are more than half. It is filled from the table after a restore, without decoding a
state.

**Realms on wall time** (engine/waker.py). When a key is due, the waker appends a wake-up, a record made by the processor (`wake`), to the
key's own partition of the lane's input, where it is decided like any other record: first all timers due at the record's append time, then
the record. It is only a hint to look. So:
- never early: timers are compared with the append time that the broker stamped, never with a worker's clock. A wake-up that was stamped
  before its `due` changes nothing; the acknowledgement tells us so, and it is sent again when the broker's clock will have come so far.
- never lost: the timer stands in the state until a record settles it. A kill, a rebalance or a restore ends at a wheel filled from the
  table, and what is due there is woken. A wake-up that was decided and settled nothing is sent again after half a minute.
- one effect: settling moves `due` and is stored with its outbox like the effect of any record, so a doubled or stale wake-up (a zombie's,
  one from before a kill) finds nothing due. Commands settle what is due before them as well: breach times depend on no tick.
- replay equals live: wake-ups are records of the log with their append times. The same log gives the same states and effects.

**Realms on log time** (engine/logtime.py: history, replays). There is no waker. Before each record of a partition everything due up to
the record's own time is settled, in order of (due, key), each as if a wake-up had come at its `due`: a pure function of the log, again.
- Such an effect has no place in the log. Its source is place `offset << 24 | n` in the line `<input topic>.timers` of the partition:
  `offset` is the record that comes next, `n` counts the settlements before it that said something. So ids differ, readers' marks rise
  strictly, and positions stay below 256 however many keys fall due at once.
- Its value has the version `offset`, as if the record that comes next had written it: above all before, not above what this record or a
  later one writes. A value is settled before a record only if its version is below the record's offset, or it has just been settled
  before it: else it is a state from behind a crash, which has gone on already.
- Its outputs stand in the key's outbox, under `offset`. Nothing of a chunk is sent before the whole chunk is in the changelog. So after a
  crash either all settlements of the chunk are stored, and are said again as they were; or none was ever said, and those that were stored
  take their places, by (due, key), among those that are decided anew. Both ways `n` comes out as in a life without crashes. A later
  release may say more than the one before: then what was stored, and never sent, moves up.

What the log of a wall realm gives when it is replayed on log time: of each key the same settlements in the same order, told at their `due`
and not at the wake-up's append time; the wake-ups in it are stale by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from schemas.realms import Realm
from streams.engine.value import Part, due_of

if TYPE_CHECKING:
    from streams.engine.logtime import Told

DUE_BYTES = 8
SLACK = 1024  # stale entries that are never worth a look


@runtime_checkable
class Timed(Protocol):
    """What a processor has beside `process` when its states have timers."""

    def next_due(self, state: bytes) -> int | None:
        """Earliest moment (UTC milliseconds, above 0) at which the state wants to be woken. Asked after each change of a state: must be
        cheap. A record at or after that moment must move it."""
        ...

    def wake(self, key: bytes, due: int, realm: Realm) -> bytes:
        """Value of the input record that wakes `key`. `process` gets it as any record; its timestamp is the present."""
        ...


class Wheel:
    """The timers of one partition by due time. Written by the runner; `open`: how many keys have one."""

    __slots__ = ("_heap", "_part", "open", "passed", "told")

    def __init__(self, part: Part) -> None:
        self._part = part
        self._heap = [due.to_bytes(DUE_BYTES, "big") + key for key, value in part.items() if (due := due_of(value))]
        heapify(self._heap)
        self.open = len(self._heap)
        self.passed = 0  # input offset below which all was decided
        self.told: Told | None = None  # engine/logtime.py

    def __len__(self) -> int:
        """Entries, stale ones too."""
        return len(self._heap)

    def move(self, key: bytes, before: int, due: int) -> None:
        """The key's timer moved; 0: none."""
        if due != before:
            self.open += bool(due) - bool(before)
            if due:
                self.push(due, key)

    def push(self, due: int, key: bytes) -> None:
        heappush(self._heap, due.to_bytes(DUE_BYTES, "big") + key)

    def first(self) -> int | None:
        """When the earliest entry is due; it may be stale."""
        return int.from_bytes(self._heap[0][:DUE_BYTES], "big") if self._heap else None

    def pop(self, now: int) -> tuple[int, bytes] | None:
        """The earliest entry (due, key) if it is due; it may be stale. Who takes one that `holds` sees to it or pushes it back."""
        if not self._heap or int.from_bytes(self._heap[0][:DUE_BYTES], "big") > now:
            return None
        entry = heappop(self._heap)
        return int.from_bytes(entry[:DUE_BYTES], "big"), entry[DUE_BYTES:]

    def holds(self, due: int, key: bytes) -> bool:
        """Whether the key waits for this moment."""
        value = self._part.get(key)
        return value is not None and due_of(value) == due

    def tidy(self) -> None:
        """Drops stale entries when they are more than half. Not within a chunk: the table does not know of it yet."""
        if len(self._heap) > 2 * self.open + SLACK:
            self._heap = list(self._current())
            heapify(self._heap)

    def _current(self) -> Iterator[bytes]:
        for entry in set(self._heap):
            if self.holds(int.from_bytes(entry[:DUE_BYTES], "big"), entry[DUE_BYTES:]):
                yield entry
