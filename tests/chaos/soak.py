"""The random mix for hours: `python -m tests.chaos.soak --hours 1 [--seed N]`, or `make soak HOURS=1`.

Three brokers (RF 3, min ISR 2) behind fault proxies, two to three case workers, analytics, a sink on a ClickHouse server behind a proxy of
its own, steady load; faults of nemesis.py by chance, one or two at a time, round after round. After each round all is healed, the
load pauses, and the oracle looks at everything since the beginning; every third round at the tables too.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from services.embedded.ports import free_port
from tests.chaos.cluster import Cluster
from tests.chaos.conftest import commit
from tests.chaos.nemesis import Fault, Stage, choose
from tests.chaos.proxy import Proxy
from tests.chaos.results import Account, Entry, Run
from tests.chaos.rig import Oracle, Rig
from tests.clickhouse_http import ClickHouseServer

ROUND_SECONDS = 150.0
TABLES_EVERY = 3  # rounds
FAULT_SECONDS = 180.0  # above what any fault takes: a rig that hangs is no finding about the platform
RECOVERY_BOUND = 180.0  # s from the last healing to lag 0 everywhere, on a machine that also runs the brokers, the load and the oracle


class Soak:
    """One soak; `run` answers the entries of its rounds."""

    def __init__(self, home: Path, seed: int, per_second: float, say: Callable[[str], None]) -> None:
        self._home, self._per_second, self._say = home, per_second, say
        self._rng = random.Random(seed)
        self.entries: list[Entry] = []
        self.struck: Counter[str] = Counter()
        self._hands = ThreadPoolExecutor(2, "nemesis")

    def run(self, seconds: float, round_seconds: float = ROUND_SECONDS) -> None:
        """Rounds till the time is up; stops early when an invariant broke, with everything left for a look in `home`."""
        cluster = Cluster(self._home / "kafka", 3, proxied=True, heap_mb=320).start()
        server = ClickHouseServer(self._home / "clickhouse", free_port()).start()
        to_server = Proxy(server.port).start()
        rig = Rig(cluster, self._home, replication=3, direct=cluster.direct)
        stage = Stage(cluster, rig, server, to_server, self._rng)
        try:
            for name, tag in (("case-live", "a"), ("case-live", "b"), ("analytics", "")):
                rig.keep(name, tag=tag)
            rig.keep_warehouse(clickhouse_url=f"http://127.0.0.1:{to_server.port}")
            oracle, ends, number = Oracle(rig), time.monotonic() + seconds, 0
            while time.monotonic() < ends:
                number += 1
                last = time.monotonic() + round_seconds >= ends
                entry = self._round(stage, oracle, number, min(round_seconds, ends - time.monotonic()), last or number % TABLES_EVERY == 0)
                if entry.result != "held":
                    return
        finally:
            rig.stop()
            to_server.stop()
            server.kill()
            cluster.stop()

    def _round(self, stage: Stage, oracle: Oracle, number: int, seconds: float, tables: bool) -> Entry:
        entry = Entry(f"round {number}", "")
        self.entries.append(entry)
        rig = stage.rig
        rig.account = Account(entry)
        began = time.monotonic()
        load = rig.load(self._per_second, first=1_000_000 * number)
        struck: Counter[str] = Counter()
        try:
            while time.monotonic() - began < seconds:
                faults = choose(self._rng)
                struck.update(f"{one.scenario} {one.name}" for one in faults)
                self._say(f"{entry.scenario}: {' and '.join(one.name for one in faults)}")
                rig.account.entry.windows += self._strike(stage, faults)
                stage.wait(1, 6)
            self._heal(stage)
            healed = time.monotonic()
            load.stop()
            rig.settled(RECOVERY_BOUND, since=healed, patience=300)
            if tables:
                rig.judged(oracle)
                rig.keep_warehouse()
            else:
                verdict = oracle.look(deltas=True)
                rig.audited(verdict)
                rig.say(verdict, deltas=True)
        except AssertionError as error:
            entry.failed = str(error)[:300]
            self._say(traceback.format_exc())
        self.struck += struck
        entry.title = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in sorted(struck.items()))
        entry.seconds = time.monotonic() - began
        rig.account.figure("acknowledged", len(rig.ledger.acked))
        rig.account.figure("largest process MB", max(rig.watch.peaks.values(), default=0) / 1e6)
        told = f"{entry.result} {entry.failed} {entry.verdict} {entry.details} back {entry.recoveries} {entry.figures}"
        self._say(f"{entry.scenario}: {told}; {entry.title}")
        return entry

    def _strike(self, stage: Stage, faults: list[Fault]) -> list[str]:
        """All at once, in threads that live as long as the soak: a broker ends when the thread that started it does. Answers what the rig
        itself could not do: no finding about the platform, which is judged all the same."""
        failed = []
        for fault, struck in [(one, self._hands.submit(one.strike, stage)) for one in faults]:
            try:
                struck.result(FAULT_SECONDS)
            except Exception as error:
                failed.append(f"rig: {fault.name}: {error!r}"[:200])
                self._say(traceback.format_exc())
        return failed

    def _heal(self, stage: Stage) -> None:
        stage.to_server.heal()
        stage.cluster.heal()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=float, default=200.0, help="commands a second")
    parser.add_argument("--home", type=Path, help="directory to keep; else a temporary one that goes when all held")
    parser.add_argument("--no-results", action="store_true", help="do not write RESULTS.md")
    given = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its brokers die here
    began, clock = datetime.now(UTC), time.monotonic()
    home = given.home or Path(tempfile.mkdtemp(prefix="liandong-soak-"))
    home.mkdir(parents=True, exist_ok=True)
    print(f"soak of {given.hours:g} h, seed {given.seed}, in {home}", flush=True)
    soak = Soak(home, given.seed, given.rate, lambda text: print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True))
    try:
        soak.run(given.hours * 3600)
    finally:
        command = f"make soak HOURS={given.hours:g} SEED={given.seed}"
        notes = [f"{count} × {name}" for name, count in sorted(soak.struck.items())]
        run = Run("soak", given.seed, f"{began:%Y-%m-%d %H:%M}", command, commit(), time.monotonic() - clock, soak.entries, notes)
        if soak.entries and not given.no_results:
            print(f"written: {run.save()}")
    held = bool(soak.entries) and all(entry.result == "held" for entry in soak.entries)
    print("all held" if held else f"NOT all held; everything is left in {home}")
    if held and not given.home:
        import shutil

        shutil.rmtree(home)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
