"""audit_entry: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class AuditEntry(msgspec.Struct, frozen=True):
    """Who read sealed data, or erased it, and why."""

    entry_id: str
    case_id: str
    realm: str
    action: str
    principal: str
    person: str
    org: str
    role: str
    division: str
    reason: str
    at: int
