"""Just accepted, not yet in the warehouse: a bounded memory, so that a reader right after a 202 is not told "unknown"."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.gateway.intake import Accepted

KEEP_MS = 10 * 60_000
MAX_ENTRIES = 50_000


class Pending(msgspec.Struct, frozen=True):
    """One accepted command."""

    case_id: str
    command_id: str
    case_number: str  # "" for a desk's command
    realm: str
    division: str  # of the matter; "" where the gateway does not know it
    producer: str
    accepted_at: int  # UTC milliseconds


class PendingMemory:
    """The newest MAX_ENTRIES accepted commands by command, case and case number; entries end after KEEP_MS."""

    def __init__(self, clock: Callable[[], int], limit: int = MAX_ENTRIES) -> None:
        self._clock = clock
        self._limit = limit
        self._commands: dict[str, Pending] = {}
        self._cases: dict[str, Pending] = {}

    def remember(self, accepted: Accepted, now: int) -> None:
        command = accepted.command
        entry = Pending(
            command.case_id, command.command_id, accepted.case_number, command.realm, accepted.division, command.producer, now
        )
        self._commands[entry.command_id] = entry
        if entry.case_number:
            self._cases[entry.case_id] = entry
            self._cases[entry.case_number] = entry
        while len(self._commands) > self._limit:
            oldest = self._commands.pop(next(iter(self._commands)))
            for name in (oldest.case_id, oldest.case_number):
                if self._cases.get(name) is oldest:
                    del self._cases[name]

    def command(self, command_id: str) -> Pending | None:
        return self._fresh(self._commands.get(command_id))

    def case(self, case: str) -> Pending | None:
        """`case`: case id or case number. Only cases whose capture or observation went through here."""
        return self._fresh(self._cases.get(case))

    def __len__(self) -> int:
        return len(self._commands)

    def _fresh(self, entry: Pending | None) -> Pending | None:
        return entry if entry is not None and self._clock() - entry.accepted_at < KEEP_MS else None
