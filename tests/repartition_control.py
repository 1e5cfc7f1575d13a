"""`liandong repartition` with the marks and versions of the old log kept as they were: the negative control."""

from __future__ import annotations

from typing import Any

from services import cli
from services.repartition import tables
from streams.engine.value import unpack
from streams.engine.working import LOOSE, MARK


def as_they_were(route: Any, account: Any, old: Any, inputs: Any, logs: Any) -> dict[int, dict[bytes, bytes]]:
    """Values byte for byte; marks in each partition of the old number and of those its keys go to."""
    new: dict[int, dict[bytes, bytes]] = {partition: {} for partition in range(route.partitions)}
    for partition, values in old.items():
        for key, raw in values.items():
            if key.startswith(MARK):
                for number in range(partition, route.partitions, len(old)):
                    new[number][key] = raw
            elif key != LOOSE:
                account.keys += 1
                new[route.target(key, partition)][key] = raw
                assert unpack(raw).version >= 0
    return new


if __name__ == "__main__":
    vars(tables)["planned"] = as_they_were
    cli.main()
