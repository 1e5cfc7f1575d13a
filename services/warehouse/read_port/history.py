"""What the events of a case say of its time: the moment of each, its clocks as known then, and who objected to which breach. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas.state.clock import Clock, Key, Pause, key_of
from services.warehouse.backend import Row

CONTESTED, UPHELD, WITHDRAWN = "incident.contested", "incident.breach_upheld", "incident.breach_withdrawn"


def moments(rows: Iterable[Row]) -> Iterator[tuple[int, Row]]:
    """Each event with the moment at which it became true: what a case did by itself is dated to its deadline, whenever that was noticed."""
    last = 0
    for row in rows:
        last = max(last, row["received_at"] if row["command_id"] else row["occurred_at"])
        yield last, row


@dataclass(frozen=True, slots=True)
class Begun:
    """The event that set a clock going."""

    seq: int
    type: str
    at: int
    opened_at: int  # of the case


@dataclass(frozen=True, slots=True)
class Objection:
    """A breach that was contested, and the ruling if there is one."""

    at: int
    by: str
    reason: str
    ruled_at: int = 0
    ruled_by: str = ""
    upheld: bool = False

    @property
    def open(self) -> bool:
        return not self.ruled_at


@dataclass(slots=True)
class Known:
    """A clock as its last event left it."""

    clock: Clock
    begun: Begun
    policy_version: str
    objection: Objection | None = None


@dataclass(slots=True)
class Clocks:
    """Every clock of a case, in the order in which they were started."""

    by_key: dict[Key, Known] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Row], as_of: int) -> Clocks:
        """From the events that were true by `as_of`."""
        found = cls()
        for at, row in moments(rows):
            if at <= as_of:
                found._take(at, row)
        return found

    def _take(self, at: int, row: Row) -> None:
        for clock in clocks_of(row["clocks"]):
            known = self.by_key.get(key_of(clock))
            if known is None:
                begun = Begun(row["seq"], row["type"], at, row["opened_at"])
                self.by_key[key_of(clock)] = Known(clock, begun, row["policy_version"])
            else:
                known.clock, known.policy_version = clock, row["policy_version"]
        if row["type"] in (CONTESTED, UPHELD, WITHDRAWN):
            self._object(at, row)

    def _object(self, at: int, row: Row) -> None:
        """The newest clock of that purpose and holder with that due time; a breach may be withdrawn without being contested before."""
        about = (row["clock"], row["clock_holder"])
        same = [one for one in self.by_key.values() if (one.clock.purpose, one.clock.holder) == about and one.clock.breached_at]
        known = next((one for one in reversed(same) if one.clock.due_at == row["clock_due_at"]), same[-1] if same else None)
        if known is None:
            return
        if row["type"] == CONTESTED:
            known.objection = Objection(at, row["actor_org"], row["reason"])
            return
        asked = known.objection or Objection(at, "", row["reason"])
        known.objection = Objection(asked.at, asked.by, asked.reason, at, row["actor_org"], row["type"] == UPHELD)


def clocks_of(text: str) -> tuple[Clock, ...]:
    """The column `clocks` as case_clocks.sql writes it: an array of arrays in the order of the struct's fields, "" for none."""
    rows: list[list[Any]] = msgspec.json.decode(text) if text else []
    names = Clock.__struct_fields__
    found = []
    for row in rows:
        fields = dict(zip(names, row, strict=True))
        fields["pauses"] = [dict(zip(Pause.__struct_fields__, pause, strict=True)) for pause in fields["pauses"]]
        found.append(msgspec.convert(fields, Clock, strict=False))
    return tuple(found)
