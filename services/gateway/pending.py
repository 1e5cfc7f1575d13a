"""Just accepted, not yet in the warehouse: a bounded memory, so that a reader right after a 202 is not told "unknown"."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.gateway.intake import Accepted

KEEP_MS = 10 * 60_000
MAX_ENTRIES = 50_000


class Pending(msgspec.Struct, frozen=True, gc=False):
    """One accepted command."""

    case_id: str
    command_id: str
    case_number: str  # "" for a desk's command
    realm: str
    division: str  # of the matter; "" where the gateway does not know it
    producer: str
    accepted_at: int  # UTC milliseconds
    is_alarm: bool = False


class PendingMemory:
    """Accepted commands by command, case and case number: at least the newest MAX_ENTRIES / 2, for at most KEEP_MS.

    Two generations: when the young one is full it becomes the old one, and the old one is dropped whole.
    """

    def __init__(self, clock: Callable[[], int], limit: int = MAX_ENTRIES) -> None:
        self._clock = clock
        self._half = limit // 2
        self._young = _Generation()
        self._old = _Generation()

    def remember(self, accepted: Accepted, now: int) -> None:
        command = accepted.command
        entry = Pending(
            command.case_id, command.command_id, accepted.case_number, command.realm, accepted.division, command.producer, now,
            accepted.is_alarm,
        )  # fmt: skip
        if len(self._young.commands) >= self._half:
            self._old, self._young = self._young, _Generation()
        self._young.commands[entry.command_id] = entry
        if entry.case_number:
            self._young.cases[entry.case_id] = entry
            self._young.cases[entry.case_number] = entry

    def command(self, command_id: str) -> Pending | None:
        return self._fresh(self._young.commands.get(command_id) or self._old.commands.get(command_id))

    def case(self, case: str) -> Pending | None:
        """`case`: case id or case number of an incident. Only cases whose capture or observation went through here."""
        return self._of(case, is_alarm=False)

    def alarm(self, case: str) -> Pending | None:
        """`case`: case id or case number of an alarm that was pressed through here."""
        return self._of(case, is_alarm=True)

    def __len__(self) -> int:
        return len(self._young.commands) + len(self._old.commands)

    def _of(self, case: str, *, is_alarm: bool) -> Pending | None:
        entry = self._fresh(self._young.cases.get(case) or self._old.cases.get(case))
        return entry if entry is not None and entry.is_alarm == is_alarm else None

    def _fresh(self, entry: Pending | None) -> Pending | None:
        return entry if entry is not None and self._clock() - entry.accepted_at < KEEP_MS else None


class _Generation:
    def __init__(self) -> None:
        self.commands: dict[str, Pending] = {}
        self.cases: dict[str, Pending] = {}
