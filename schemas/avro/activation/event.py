"""activation: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class Activation(msgspec.Struct, frozen=True):
    """From a moment on, new cases of a realm get this version of the policies. The last record of a realm and moment
    holds; one without a version withdraws what was planned for it."""

    version: str
    fingerprint: str
    realm: str
    active_from: int
    principal: str
    person: str
    org: str
    reason: str
    at: int
