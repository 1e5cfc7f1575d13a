"""The clock and the ledger of a mirrored case: its own system says how it stands and by when it is to be done; we count along.

The clock tells its marks like any other, and nobody is told: whom a department rouses is its own matter. Times are those of the source,
not of our hearing of it, so that what is told late, or in a backfill of years, comes out as it would have in time.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.calendar import calendar
from schemas.state.clock import Clock
from schemas.state.incident_case.event import IncidentCase
from streams.domain.clocks.clock import retarget, start
from streams.domain.incident import rules
from streams.domain.incident.ledger import segments
from streams.domain.incident.table import ENDED_TEXTS
from streams.domain.incident.wanting import next_due

replace = msgspec.structs.replace


def followed(after: IncidentCase, command: IncidentCommand, now: int) -> IncidentCase:
    """`after` with the clock, ledger and next due time that a fact leaves it with."""
    due = command.due_at or after.source_due_at
    changes: dict[str, Any] = {"segments": segments(after, _in_ledger(after, command.occurred_at))}
    if due:
        clock = _counted(after, command, due, now)
        changes |= {"source_due_at": due, "clocks": after.clocks if after.clocks == (clock,) else (clock,)}
    after = replace(after, **changes)
    return replace(after, next_due=next_due(after)) if due else after


def _in_ledger(state: IncidentCase, at: int) -> int:
    """The source's time, but never before what the ledger already holds."""
    return max(at, state.segments[-1].since, state.segments[-1].until) if state.segments else at


def _counted(after: IncidentCase, command: IncidentCommand, due: int, now: int) -> Clock:
    """Done by its target or not: what the clock says in the end. A target that moved moves the clock."""
    cal = calendar(after.calendar_version)
    clock = after.clocks[0] if after.clocks else _begun(after)
    if clock.due_at != due:
        clock = retarget(clock, rules.SOURCE, cal, due - clock.started_at, now)
    stopped_at = 0
    if after.state in ENDED_TEXTS:  # of ends without work between, the first: a note on a closed case does not close it later
        stopped_at = min(command.occurred_at, clock.stopped_at or command.occurred_at)
    if stopped_at == clock.stopped_at and clock in after.clocks:
        return clock
    if stopped_at:
        late = stopped_at > due
        return replace(
            clock, stopped_at=stopped_at, epoch=clock.epoch + 1, breached_at=due if late else clock.breached_at,
            retracted=not late and clock.breached_at > 0,
        )  # fmt: skip
    reopened = clock.stopped_at > 0
    return replace(clock, stopped_at=0, epoch=clock.epoch + reopened, retracted=clock.retracted and due > now)


def _begun(state: IncidentCase) -> Clock:
    """From the opening of the case, as far as we know it; its target is set next."""
    return start(rules.SOURCE, calendar(state.calendar_version), state.opened_at, state.holder, state.holder_level)
