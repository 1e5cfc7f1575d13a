"""The query of a request, read by name. Everything that is wrong with it is found, and answered at once with pointers. Pure.

A name that the question does not know is wrong too: a misspelt filter must not show everything.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache
from http import HTTPStatus
from typing import Any

from schemas.bounds import OLDEST_MS, parse_time
from schemas.calendar import number
from schemas.divisions import divisions
from schemas.errors import InvalidPayload
from services.problems import Problem
from streams.domain.clocks.working import DAY_MS, day_start

REALM = "realm"
DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
MILLISECONDS = re.compile(r"^\d{12,14}$")
NUMBER = re.compile(r"^\d{1,18}$")
SPACE_FOR_PLUS = re.compile(r" (\d{2}:\d{2})$")  # what a client that does not escape makes of +08:00
MAX_CURSOR = 400


class Parameters:
    def __init__(self, given: Mapping[str, str], known: Collection[str]) -> None:
        """`known`: the names that this question takes, beside the realm."""
        self._given = given
        self.errors: list[tuple[str, str]] = []
        for name in given:
            if name != REALM and name not in known:
                self._wrong(name[:40], f"no such parameter; there are {', '.join(sorted(known))}")

    def text(self, name: str, longest: int = 80) -> str:
        """Without white space around it; "" where it is not given."""
        found = self._given.get(name, "").strip()
        if len(found) > longest or not found.isprintable():
            self._wrong(name, f"at most {longest} printable characters")
            return ""
        return found

    def one_of(self, name: str, known: Collection[str], default: str = "") -> str:
        found = self._given.get(name) or default
        if found and found not in known:
            self._wrong(name, f"{found[:40]!r} is none of {', '.join(sorted(known))}")
            return default
        return found

    def number(self, name: str, least: int, most: int, default: int) -> int:
        """Cut to what is allowed; what is no number is wrong."""
        found = self._given.get(name, "")
        if not found:
            return default
        if not NUMBER.match(found):
            self._wrong(name, f"a whole number from {least} to {most}")
            return default
        return max(least, min(int(found), most))

    def flag(self, name: str) -> bool:
        return self.one_of(name, ("true", "false"), "false") == "true"

    def moment(self, name: str, latest: int, *, end_of_day: bool = False) -> int:
        """UTC milliseconds of an RFC 3339 time with offset, a day of Shanghai (its beginning, or its end) or plain milliseconds; 0 where it
        is not given. Wrong when it lies after `latest`."""
        found = SPACE_FOR_PLUS.sub(r"+\1", self._given.get(name, "").strip())
        if not found:
            return 0
        try:
            at = _moment(found, end_of_day)
        except (InvalidPayload, ValueError, OverflowError):
            self._wrong(name, "a time with its offset, 2026-11-22T08:30:00+08:00, or a day, 2026-11-22")
            return 0
        if at < OLDEST_MS:
            self._wrong(name, "before 2000-01-01")
        elif at > latest and not end_of_day:
            self._wrong(name, "lies ahead")
        return at

    def place(self, name: str) -> str:
        """Code of a division, by its code or by a name of which there is only one; "" where it is not given."""
        found = self.text(name, 40)
        if not found:
            return ""
        if found in divisions():
            return found
        called = places().get(found, ())
        if len(called) == 1:
            return called[0]
        several = f"{len(called)} places are called so: give the code ({', '.join(called[:5])} …)"
        self._wrong(name, several if called else f"{found!r} is neither a code nor a name of the register of 2023")
        return ""

    def cursor(self, name: str, *kinds: type) -> tuple[Any, ...] | None:
        """What `fold` wrote; None where it is not given."""
        found = self._given.get(name, "")
        if not found:
            return None
        try:
            values = json.loads(base64.urlsafe_b64decode(found[:MAX_CURSOR] + "=" * (-len(found[:MAX_CURSOR]) % 4)))
            if [type(value) for value in values] == [*kinds]:
                return tuple(values)
        except (ValueError, TypeError, RecursionError, binascii.Error):
            pass
        self._wrong(name, "not a value of `next`")
        return None

    def check(self) -> None:
        """Raises Problem 422 if anything was wrong."""
        if self.errors:
            detail = self.errors[0][1] if len(self.errors) == 1 else f"{len(self.errors)} errors"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=self.errors)

    def _wrong(self, name: str, detail: str) -> None:
        self.errors.append((f"/{name.replace('~', '~0').replace('/', '~1')}", detail))


def fold(values: Sequence[Any]) -> str:
    """The place of a row in its order, as text for a URL."""
    return base64.urlsafe_b64encode(json.dumps(list(values), separators=(",", ":")).encode()).decode().rstrip("=")


@cache
def places() -> Mapping[str, tuple[str, ...]]:
    """Codes by name."""
    found: dict[str, list[str]] = {}
    for place in divisions().values():
        found.setdefault(place.name, []).append(place.code)
    return {name: tuple(codes) for name, codes in found.items()}


def _moment(text: str, end_of_day: bool) -> int:
    if MILLISECONDS.match(text):
        return int(text)
    if DAY.match(text):
        return day_start(number(date.fromisoformat(text))) + (DAY_MS if end_of_day else 0)
    return parse_time(text)[0]
