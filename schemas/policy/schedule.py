"""Which version of the policies a new case gets: by realm and moment, out of the activations on topic `config`.

Each moment of a realm has one activation, the last one written for it, or none when that one withdraws it; so processes that have read
the same records answer alike, in whatever order partitions came.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from schemas.avro.activation.event import Activation
from schemas.policies import latest


def key_of(activation: Activation) -> str:
    """Key on topic `config`: one for each realm and moment, so that compaction keeps the history and what is planned."""
    return f"policies/{activation.realm}/{activation.active_from}"


class Schedule:
    """Activations of every realm."""

    def __init__(self) -> None:
        self._moments: dict[str, list[int]] = {}  # of those that were not withdrawn: ascending, UTC milliseconds
        self._activations: dict[tuple[str, int], Activation] = {}

    def put(self, activation: Activation) -> None:
        """The last one put for a realm and moment holds."""
        moments, moment = self._moments.setdefault(activation.realm, []), activation.active_from
        index = bisect_left(moments, moment)
        there = moments[index : index + 1] == [moment]
        if activation.version and not there:
            insort(moments, moment)
        elif there and not activation.version:
            del moments[index]
        self._activations[activation.realm, moment] = activation

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
        """Every activation of a realm, by its moment; those that were withdrawn are not among them."""
        return tuple(self._activations[realm, moment] for moment in self._moments.get(realm, []))

    def withdrawn(self, realm: str) -> tuple[Activation, ...]:
        """The records that withdrew what was planned, by the moment it was planned for."""
        return tuple(one for (of, _), one in sorted(self._activations.items()) if of == realm and not one.version)
