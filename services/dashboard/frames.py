"""Live frames: one delta as the screens get it, and who may get it.

A frame holds codes, composed titles and numbers only: a live_delta has no personal data (schemas). Petitions are in no frame: a case that
becomes one leaves the screens, one that proves to be none arrives (schemas/event_types.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from schemas.avro.live_delta.event import LiveDelta
from schemas.divisions import display_name, divisions, is_within
from schemas.event_types import event_types, on_walls

_json = msgspec.json.Encoder()


@dataclass(frozen=True)
class Frame:
    """A record of live.deltas. `at` is its record time (UTC ms; log time in realm replay)."""

    partition: int
    offset: int
    at: int
    delta: LiveDelta

    @cached_property
    def whole(self) -> bytes:
        """JSON for a reader who may see both the old and the new place of the case; encoded once for all of them."""
        return _json.encode(self._fields())

    @cached_property
    def arrived(self) -> bytes:
        """JSON for a reader of the new place only: where the case came from is not his, nor what it was before."""
        return _json.encode(self._fields() | {"county_from": "", "type_from": ""})

    @cached_property
    def left(self) -> bytes:
        """JSON for a reader of the old place only: the case is his no more, and where it went is not told."""
        gone = {"county": "", "division": "", "division_name": "", "state": "", "incident_type": "", "incident_type_name": "", "title": ""}
        return _json.encode(self._fields() | gone | {"case_number": ""})

    def _fields(self) -> dict[str, Any]:
        delta = self.delta
        known = event_types().get(delta.incident_type)
        return msgspec.structs.asdict(delta) | {
            "partition": self.partition,
            "offset": self.offset,
            "at": self.at,
            "incident_type_name": known.name_zh if known else delta.incident_type,
            "division_name": display_name(delta.division) if delta.division in divisions() else delta.division,
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """The subtree a subscriber reads: the principal's, narrowed by what it asked for."""

    division: str

    def sees(self, frame: Frame) -> bytes | None:
        """The frame's JSON as this scope may read it; None when neither its old nor its new place is inside."""
        delta = frame.delta
        here = is_within(delta.division, self.division)
        moved = delta.county_from not in ("", delta.county)
        inside = here and on_walls(delta.incident_type)
        was_inside = (is_within(delta.county_from, self.division) if moved else here) and on_walls(delta.type_from or delta.incident_type)
        if inside:
            return frame.whole if was_inside else frame.arrived
        return frame.left if was_inside else None
