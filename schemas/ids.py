"""Identities that every process computes alike, without a store.

case_id = uuid5(producer, external id or idempotency key); command_id likewise. People say the case number 一案一码:
`440305-20261122-7K3M9QXC`: county code, date of occurrence (Asia/Shanghai), short code of the case_id, check character.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from schemas.divisions import county_of

NAMESPACE = uuid.UUID("6f0c5a1e-4d0b-5c58-9d53-0d6a1f4b7c21")  # frozen: changing it changes every id
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no I, L, O, U
CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")
CHINA_MS = 8 * 3_600_000


def _uuid(*parts: str) -> str:
    """uuid5, written out: the gateway computes two a record, and uuid.UUID takes twice as long."""
    digest = bytearray(hashlib.sha1(NAMESPACE.bytes + "\x1f".join(parts).encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def case_id(realm: str, producer: str, external_id: str) -> str:
    """The same matter of the same producer is the same case, whoever computes it."""
    return _uuid("case", realm, producer, external_id)


def alarm_id(realm: str, producer: str, line: str) -> str:
    """Case of an alarm line. `line`: the sender's device, person or matter; all its presses are one case, one round after the other."""
    return _uuid("alarm", realm, producer, line)


def command_id(realm: str, principal: str, key: str) -> str:
    """`key`: the idempotency key, or external id and source version of a fact."""
    return _uuid("command", realm, principal, key)


def sealed_id(command: str) -> str:
    """Id of the sealed record that comes with a command."""
    return _uuid("sealed", command)


def derived_id(topic: str, partition: int, offset: int, position: int, at: int) -> str:
    """Id of a record derived from another: a repeat derives the same id. `at`: time of that record, UTC milliseconds; without it a platform
    that was moved to another log (`liandong repartition`) would give old ids again, as offsets begin anew there."""
    return _uuid("derived", topic, str(partition), str(offset), str(position), str(at))


def duty_event_id(realm: str, kind: str, whose: str, since: str) -> str:
    """Id of a duty event: what it says about whose roster or bundle, and since when. Found again, it is the same."""
    return _uuid("duty", realm, kind, whose, since)


def check_character(text: str) -> str:
    """Luhn mod 32 over the base32 characters: finds every single wrong character and nearly all swaps of neighbours."""
    total = 0
    for index, character in enumerate(reversed(text)):
        value = ALPHABET.index(character) * (2 if index % 2 == 0 else 1)
        total += value // 32 + value % 32
    return ALPHABET[-total % 32]


def case_number(case: str, division: str, occurred_at: int) -> str:
    """What people say. Seven characters of the case id: 34 billion codes a county and day."""
    bits = int(case[:8] + case[9:10], 16) >> 1  # the first 35 bits
    short = "".join([ALPHABET[(bits >> shift) & 31] for shift in (30, 25, 20, 15, 10, 5, 0)])
    head, total = _head(county_of(division), (occurred_at + CHINA_MS) // 86_400_000)
    for weights, character in zip(_SHORT_WEIGHTS, short, strict=True):
        total += weights[character]
    return f"{head}{short}{ALPHABET[-total % 32]}"


def _weights(doubled: bool) -> dict[str, int]:
    """What each character adds to the check sum at an even (doubled) or odd place from the right."""
    values = ((character, index * 2 if doubled else index) for index, character in enumerate(ALPHABET))
    return {character: value // 32 + value % 32 for character, value in values}


_SHORT_WEIGHTS = tuple(_weights(doubled=place % 2 == 0) for place in range(6, -1, -1))


@lru_cache(maxsize=65_536)
def _head(county: str, day: int) -> tuple[str, int]:
    """`440305-20261122-` and what its digits add to the check sum; `day`: days since 1970 in China."""
    date = (datetime.fromtimestamp(0, UTC) + timedelta(days=day)).strftime("%Y%m%d")
    digits = county + date
    places = range(len(digits) + 6, 6, -1)
    return f"{county}-{date}-", sum(_weights(place % 2 == 0)[c] for place, c in zip(places, digits, strict=True))


def is_case_number(text: str) -> bool:
    """Whether the form and the check character are right (not whether the case exists)."""
    parts = text.upper().split("-")
    if len(parts) != 3 or [len(p) for p in parts] != [6, 8, 8] or any(c not in ALPHABET for p in parts for c in p):
        return False
    return check_character(parts[0] + parts[1] + parts[2][:7]) == parts[2][7]
