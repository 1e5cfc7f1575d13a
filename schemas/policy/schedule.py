"""Which version of the policies a new case gets: by realm and moment, out of the activations on topic `config`.

Each moment of a realm has one activation, the last one written for it; so processes that have read the same records answer alike,
in whatever order partitions came.
"""

from __future__ import annotations

from bisect import bisect_right, insort

from schemas.avro.activation.event import Activation
from schemas.policies import latest


def key_of(activation: Activation) -> str:
    """Key on topic `config`: one for each realm and moment, so that compaction keeps the history and what is planned."""
    return f"policies/{activation.realm}/{activation.active_from}"


class Schedule:
    """Activations of every realm."""

    def __init__(self) -> None:
        self._moments: dict[str, list[int]] = {}  # ascending, UTC milliseconds
        self._activations: dict[tuple[str, int], Activation] = {}

    def put(self, activation: Activation) -> None:
        """The last one put for a realm and moment holds."""
        place = (activation.realm, activation.active_from)
        if place not in self._activations:
            insort(self._moments.setdefault(activation.realm, []), activation.active_from)
        self._activations[place] = activation

    def standing(self, realm: str, at: int) -> Activation | None:
        """What holds at that moment (UTC milliseconds); None: nothing was activated yet."""
        moments = self._moments.get(realm, [])
        index = bisect_right(moments, at) - 1
        return self._activations[realm, moments[index]] if index >= 0 else None

    def version(self, realm: str, at: int) -> str:
        """What a case that enters then gets: the newest version of this release where nothing was activated."""
        found = self.standing(realm, at)
        return found.version if found else latest()

    def of(self, realm: str) -> tuple[Activation, ...]:
        """Every activation of a realm, by its moment."""
        return tuple(self._activations[realm, moment] for moment in self._moments.get(realm, []))
