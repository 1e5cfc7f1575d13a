"""Realms: separate worlds that share code and never data.

`live` is the real one; `drill`, `replay` and `sandbox` carry a ribbon on every screen and have no side effects.
A realm is a topic prefix, a consumer group, a ClickHouse column and a source of time.
"""

from __future__ import annotations

from enum import StrEnum


class Realm(StrEnum):
    LIVE = "live"
    DRILL = "drill"
    REPLAY = "replay"
    SANDBOX = "sandbox"

    @property
    def time_source(self) -> str:
        """`wall`: the broker stamps records as they arrive. `log`: the record's own time (history) drives every clock."""
        return "log" if self is Realm.REPLAY else "wall"


REALMS: tuple[Realm, ...] = tuple(Realm)
