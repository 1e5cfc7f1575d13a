"""sealed: see v1.avsc for the meaning of each field."""

from __future__ import annotations

import msgspec


class Sealed(msgspec.Struct, frozen=True):
    """Persons and free text of one command, sealed with the key of the case (AES-256-GCM). Erasing the key erases the
    content."""

    sealed_id: str
    case_id: str
    realm: str
    division: str
    nonce: bytes
    ciphertext: bytes
    received_at: int
