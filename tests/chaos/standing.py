"""Rigs on a cluster of three brokers: one for a test, or one that the tests of a module share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.cluster import Cluster
from tests.chaos.results import Account, Entry
from tests.chaos.rig import Load, Oracle, Rig
from tests.helpers import until


@contextmanager
def three_brokers(home: Path, **options: Any) -> Iterator[Cluster]:
    """A cluster of three behind proxies, for the tests of one module."""
    cluster = Cluster(home, 3, proxied=True, **options)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@contextmanager
def rig_on(cluster: Cluster, home: Path, entry: Entry | None) -> Iterator[Rig]:
    """A rig on topics of its own; afterwards the cluster is whole and empty again."""
    made = Rig(cluster, home, Account(entry or Entry("", "")), cluster.replication, cluster.direct)
    try:
        yield made
    finally:
        cluster.heal()
        made.stop()
        cluster.wipe()


class Standing:
    """Two case workers and analytics at work on a cluster, for the faults of a module one after the other, as in life. A test that
    broke anything takes them with it: the next one gets new ones on new topics."""

    def __init__(self, cluster: Cluster, new_home: Callable[[], Path]) -> None:
        self._cluster, self._new_home = cluster, new_home
        self._rig: Rig | None = None
        self._oracle: Oracle | None = None

    @contextmanager
    def rig(self, entry: Entry) -> Iterator[Rig]:
        """The rig, its account that of this test."""
        rig = self._rig or self._start()
        rig.account = Account(entry)
        rig.exits.clear()
        try:
            yield rig
        finally:
            if entry.result == "held":
                self._cluster.heal()
            else:
                self.close()

    def _start(self) -> Rig:
        self._rig = rig = Rig(self._cluster, self._new_home(), replication=self._cluster.replication, direct=self._cluster.direct)
        self._oracle = Oracle(rig)
        for tag in ("a", "b"):
            rig.keep("case-live", tag=tag)
        rig.keep("analytics")
        for tag in ("a", "b"):
            rig.ready("case-live", tag)
        return rig

    def load(self, per_second: float = 200) -> Load:
        """Steady load of new cases, under way when this returns. It goes straight to the brokers, past the proxies."""
        assert self._rig is not None
        ledger = self._rig.ledger
        load = self._rig.load(per_second, first=100_000 + len(ledger.acked) + ledger.failed)
        acknowledged(self._rig, 300)
        return load

    def settled(self, bound: float, since: float) -> None:
        """Waits till all is done, judges it and asserts that it held. As `Rig.settled`."""
        assert self._rig is not None
        self._rig.settled(bound, since)
        self._rig.judged(self._oracle)
        self._rig.account.held()

    def close(self) -> None:
        self._cluster.heal()
        if self._rig:
            self._rig.stop()
            self._rig = None
        self._cluster.wipe()


def acknowledged(rig: Rig, more: int, seconds: float = 40.0) -> float:
    """Waits for `more` acknowledgements; answers how many seconds they took."""
    began, before = time.monotonic(), len(rig.ledger.acked)
    until(lambda: len(rig.ledger.acked) >= before + more, f"{more} more commands acknowledged", seconds)
    return time.monotonic() - began
