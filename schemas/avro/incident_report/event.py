"""incident_report: see v2.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class IncidentReport(msgspec.Struct, frozen=True):
    """A department's record, as it writes it to intake.<department>. Holds no personal data: persons and free text go
    through the gateway, which seals them."""

    external_id: str
    source_version: int
    type: str
    division: str
    occurred_at: str
    state: str | None = None
    holder: str | None = None
    reassignments: int | None = None
    reopens: int | None = None
    grade: int | None = None
    longitude: float | None = None
    latitude: float | None = None
    reason: str | None = None
    due_at: str | None = None
