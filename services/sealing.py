"""Sealing of personal data: AES-256-GCM with the key of the case. Pure; the keys live in a ports.KeyVault.

The nonce is the first 12 bytes of SHA-256 over sealed id and plaintext: a repeat seals to the same bytes, and one key
never meets one nonce with two texts.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.state.sealed.event import Sealed


class BrokenSeal(Exception):
    """The ciphertext does not belong to this key, case or realm."""


def seal(key: bytes, plaintext: bytes, *, sealed_id: str, case_id: str, realm: str, division: str, now: int) -> Sealed:
    """`key`: 32 bytes; `now`: UTC milliseconds."""
    nonce = hashlib.sha256(sealed_id.encode() + plaintext).digest()[:12]
    ciphertext = AESGCM(key).encrypt(nonce, plaintext, _bound_to(case_id, realm))
    return Sealed(sealed_id, case_id, realm, division, nonce, ciphertext, now)


def unseal(key: bytes, nonce: bytes, ciphertext: bytes, *, case_id: str, realm: str) -> bytes:
    """The plaintext. Raises BrokenSeal."""
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, _bound_to(case_id, realm))
    except InvalidTag:
        raise BrokenSeal(case_id) from None


def _bound_to(case_id: str, realm: str) -> bytes:
    return f"{case_id}\x1f{realm}".encode()
