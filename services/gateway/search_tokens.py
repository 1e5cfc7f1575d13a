"""Under which tokens a person is found again: keyed hashes of a phone or a name, keyed by realm and county, so that nothing joins across
counties. Pure. Without the vault's secret a token says nothing, and a list of all phone numbers does not help."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

import msgspec

from schemas.divisions import PROVINCE, counties, county_of, is_within

PHONE, NAME = "phone", "name"
TOKEN_BYTES = 16
CHINA_PREFIX = re.compile(r"^(?:00)?86(?=1\d{10}$|0?[2-9]\d{7,11}$)")
NO_DIGIT = re.compile(r"[^0-9]")
LEAST_DIGITS = 5
Fingerprint = Callable[[bytes], str]


class _Reporter(msgspec.Struct):
    name: str = ""
    phone: str | None = None


class _Personal(msgspec.Struct):
    """What is sealed with a command, as far as it is searched for."""

    reporter: _Reporter | None = None


def phone_of(text: str) -> str:
    """Its digits, without the prefix of the country; "" for what is no number: 86-138 0000 0000 and ０１３８… as people write them."""
    digits = CHINA_PREFIX.sub("", NO_DIGIT.sub("", unicodedata.normalize("NFKC", text)))
    return digits if len(digits) >= LEAST_DIGITS else ""


def name_of(text: str) -> str:
    """Exact but for the forms of characters and the spaces: 张 三 is 张三."""
    return "".join(unicodedata.normalize("NFKC", text).split()).casefold()


def token(fingerprint: Fingerprint, realm: str, county: str, kind: str, value: str) -> bytes:
    """`value`: as `phone_of` or `name_of` answer it."""
    return bytes.fromhex(fingerprint(f"search\x1f{realm}\x1f{county}\x1f{kind}\x1f{value}".encode()))[:TOKEN_BYTES]


def tokens_of(personal: bytes, fingerprint: Fingerprint, realm: str, division: str) -> Iterator[bytes]:
    """Of the reporter in sealed JSON; nothing for one that names nobody."""
    try:
        reporter = msgspec.json.decode(personal, type=_Personal).reporter
    except msgspec.DecodeError:
        return
    if reporter is None:
        return
    county = county_of(division)
    if phone := phone_of(reporter.phone or ""):
        yield token(fingerprint, realm, county, PHONE, phone)
    if name := name_of(reporter.name):
        yield token(fingerprint, realm, county, NAME, name)


def counties_of(division: str) -> tuple[str, ...]:
    """The counties in which a desk of this division may look."""
    if division != PROVINCE and len(division) > 6:
        return (county_of(division),)
    return tuple(county.code for county in counties() if is_within(county.code, division))
