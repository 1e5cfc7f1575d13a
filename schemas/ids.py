"""Identities that every process computes alike, without a store.

case_id = uuid5(producer, external id or idempotency key); command_id likewise. People say the case number 一案一码:
`440305-20261122-7K3M9QXC`: county code, date of occurrence (Asia/Shanghai), short code of the case_id, check character.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

from schemas.divisions import county_of

NAMESPACE = uuid.UUID("6f0c5a1e-4d0b-5c58-9d53-0d6a1f4b7c21")  # frozen: changing it changes every id
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no I, L, O, U
CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")


def _uuid(*parts: str) -> str:
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))


def case_id(realm: str, producer: str, external_id: str) -> str:
    """The same matter of the same producer is the same case, whoever computes it."""
    return _uuid("case", realm, producer, external_id)


def command_id(realm: str, principal: str, key: str) -> str:
    """`key`: the idempotency key, or external id and source version of a fact."""
    return _uuid("command", realm, principal, key)


def derived_id(topic: str, partition: int, offset: int, position: int) -> str:
    """Id of a record derived from another: a repeat derives the same id."""
    return _uuid("derived", topic, str(partition), str(offset), str(position))


def check_character(text: str) -> str:
    """Luhn mod 32 over the base32 characters: finds every single wrong character and nearly all swaps of neighbours."""
    total = 0
    for index, character in enumerate(reversed(text)):
        value = ALPHABET.index(character) * (2 if index % 2 == 0 else 1)
        total += value // 32 + value % 32
    return ALPHABET[-total % 32]


def case_number(case: str, division: str, occurred_at: int) -> str:
    """What people say. Seven characters of the case id: 34 billion codes a county and day."""
    bits = uuid.UUID(case).int >> 93  # the first 35 bits
    short = "".join(ALPHABET[(bits >> shift) & 31] for shift in range(30, -1, -5))
    day = (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=occurred_at)).astimezone(CHINA).strftime("%Y%m%d")
    county = county_of(division)
    return f"{county}-{day}-{short}{check_character(_digits(county + day) + short)}"


def _digits(text: str) -> str:
    return "".join(c for c in text if c in ALPHABET)


def is_case_number(text: str) -> bool:
    """Whether the form and the check character are right (not whether the case exists)."""
    parts = text.upper().split("-")
    if len(parts) != 3 or [len(p) for p in parts] != [6, 8, 8] or any(c not in ALPHABET for p in parts for c in p):
        return False
    return check_character(parts[0] + parts[1] + parts[2][:7]) == parts[2][7]
