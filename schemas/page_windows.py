"""How often one person may be told over one channel: figures with their source, read from reference/page_windows.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec

from schemas.policy.terms import Certainty, length

FILE = Path(__file__).parent / "reference" / "page_windows.toml"


class Limit(msgspec.Struct, frozen=True):
    """At most `most` messages in any stretch as long as `within`."""

    most: int
    within: str

    @property
    def ms(self) -> int:
        return length(self.within).amount


class PageWindows(msgspec.Struct, frozen=True):
    """The limits by kind of channel; a kind that is not named has none. Times in milliseconds."""

    title_zh: str
    title_en: str
    source: str
    certainty: Certainty
    stale: str
    give_up: str
    windows: dict[str, tuple[Limit, ...]]

    def of(self, channel: str) -> tuple[Limit, ...]:
        return self.windows.get(channel, ())

    @property
    def stale_ms(self) -> int:
        """Older notifications are recorded and told to nobody."""
        return length(self.stale).amount

    @property
    def give_up_ms(self) -> int:
        """How long something may wait for a bundle."""
        return length(self.give_up).amount

    @property
    def longest_ms(self) -> int:
        """How far back messages count, or something may still wait."""
        return max([self.give_up_ms, *(limit.ms for limits in self.windows.values() for limit in limits)])


@cache
def page_windows() -> PageWindows:
    return msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8")), PageWindows)
