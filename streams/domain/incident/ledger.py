"""The responsibility ledger: who held the case from when to when, without a gap while it is open."""

from __future__ import annotations

import msgspec

from schemas.state.incident_case.event import IncidentCase, Segment
from streams.domain.incident.table import ENDED_TEXTS

replace = msgspec.structs.replace


def segments(state: IncidentCase, now: int) -> tuple[Segment, ...]:
    """The last segment goes on while its holder does, ends with the case, and another begins with another holder."""
    held = state.segments
    runs = bool(held) and not held[-1].until
    ended = state.state in ENDED_TEXTS
    if runs and not ended and (held[-1].holder, held[-1].level) == (state.holder, state.holder_level):
        return held
    if runs:
        held = (*held[:-1], replace(held[-1], until=now))
    return held if ended else (*held, Segment(state.holder, state.holder_level, now, 0))
