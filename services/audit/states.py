"""One audit: read the log, fold it, compare the case table and ClickHouse with the fold.

Everything moves while it reads, so ends are read first and in this order: events, then the changelog (a state is stored before its event is
said, so every event below its end has its state; a state that is ahead is judged by the events that come later), then the sink is
waited for until it has stored up to the end of the events. Facts are cut at that end. The newest rows and the rollups have no history:
the read port says exactly where the sink stood when it answered, and the fold is fed up to there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from aiokafka.errors import KafkaError

from schemas.realms import Realm
from services.adapters.topic_log import CannotLook, Ends, Log, committed
from services.audit.fold import Fold
from services.audit.kinds import KINDS, Kind
from services.audit.report import Report
from services.audit.rollups import Reach, RollupCheck
from services.audit.stored import Answer, Port, StoredCheck
from services.audit.table import StateCheck, Table

POLL_SECONDS = 0.25
STILL_SECONDS = 60.0
Progress = Callable[[str], None]


async def audit_states(
    realm: Realm, bootstrap: str, read: httpx.AsyncClient | None, progress: Progress = lambda _: None, *, still: float = STILL_SECONDS
) -> Report:
    """`read`: the read port with an admin key; None leaves ClickHouse out. `still`: seconds without any progress of workers or sink after
    which an audit no longer waits for them, and says so in `blocked`."""
    report = Report(realm.value)
    for kind in KINDS:
        audit = _Audit(kind, realm, bootstrap, report, progress, still)
        try:
            await audit.run(read)
        except CannotLook as error:
            report.blocked.append(f"{kind.name}: {error}")
        except KafkaError as error:
            report.blocked.append(f"{kind.name}: Kafka does not answer ({type(error).__name__})")
        finally:
            await audit.close()
        report.figures[kind.name] = audit.figures()
    return report


class _Still:
    """Raises CannotLook when `seen` has not changed for a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last, self._since = seconds, object(), time.monotonic()

    def check(self, seen: object, why: str) -> None:
        if seen != self._last:
            self._last, self._since = seen, time.monotonic()
        elif time.monotonic() - self._since > self._seconds:
            raise CannotLook(why)


class _Audit:
    """One kind of case."""

    def __init__(self, kind: Kind, realm: Realm, bootstrap: str, report: Report, progress: Progress, still: float) -> None:
        self._kind, self._realm, self._bootstrap, self._report, self._still = kind, realm, bootstrap, report, still
        self._progress = progress
        self._fold = Fold(kind, realm.value, report)
        self._table = Table()
        self._topic = kind.events.in_realm(realm)
        self._logs: list[Log] = []
        self._ends: Ends = {}
        self._known: Ends = {}  # ends behind the log's that were said

    async def run(self, read: httpx.AsyncClient | None) -> None:
        self._events = await self._open(self._topic)
        changelog = await self._open(self._kind.table.in_realm(self._realm))
        ends = self._ends = await self._events.ends()
        await self._fold_to(ends)
        self._fold.mark_end()
        check = StateCheck(self._fold, self._report)
        await changelog.read_to(await changelog.ends(), self._table.take, self._said("states"))
        self._say("comparing states")
        await asyncio.to_thread(check.compare, self._table)
        if read is not None:
            await self._warehouse(Port(self._realm, read), ends)
        await self._settle(check)

    async def close(self) -> None:
        for log in self._logs:
            await log.close()

    def figures(self) -> dict[str, int]:
        fold, table = self._fold, self._table.counts
        return {
            "records": fold.counts["records"], "repeats": fold.counts["repeats"], "events": fold.counts["events"], "cases": len(fold.cases),
            "states": table["states"], "quarantined": table["quarantined"], "with_outbox": table["with_outbox"],
            "lower_versions": table["lower_versions"],
        }  # fmt: skip

    async def _open(self, topic: str) -> Log:
        log = await Log(self._bootstrap, topic).open()
        self._logs.append(log)
        return log

    def _said(self, what: str) -> Callable[[int, int], None]:
        return lambda read, total: self._say(f"read {read:,} of {total:,} {what}")

    def _say(self, text: str) -> None:
        self._progress(f"{self._realm.value} {self._kind.name}: {text}")

    async def _fold_to(self, ends: Ends) -> None:
        for partition, begin in self._events.begin.items():
            if begin:
                self._report.differs(
                    self._kind.name, "log.truncated", f"{self._topic}:{partition} begins at offset {begin}", min(begin, ends[partition])
                )
        await self._events.read_to(ends, self._fold.take, self._said("events"))

    async def _catch_up(self, ends: Ends) -> None:
        """Feeds the fold with what came later, up to these ends. Who knows of events behind the log's end says that it lost them."""
        there = await self._events.ends()
        for partition, end in there.items():
            if ends.get(partition, 0) > max(end, self._known.get(partition, 0)):
                lost = ends[partition] - max(end, self._known.get(partition, 0))
                self._known[partition] = ends[partition]
                example = f"{self._topic}:{partition} ends at {end}, and ClickHouse knows of events up to {ends[partition]}"
                self._report.differs(self._kind.name, "log.lost_tail", example, lost)
        await self._events.read_to({p: min(end, max(self._ends[p], ends.get(p, 0))) for p, end in there.items()}, self._fold.take)

    # -- the case table

    async def _settle(self, check: StateCheck) -> None:
        """States that were ahead of the log: their events come soon, or never."""
        still = _Still(self._still)
        group = self._kind.group.format(realm=self._realm.value)
        while check.ahead:
            done = await committed(self._bootstrap, group, self._kind.commands.in_realm(self._realm))
            await self._catch_up(await self._events.ends())
            check.settle()
            check.judge(done)
            if check.ahead:
                self._say(f"waiting for the events of {len(check.ahead)} cases")
                why = f"{len(check.ahead)} states are ahead of the log and their events are not sent: the case lane stands still"
                still.check((len(check.ahead), sum(done.values())), why)
                await asyncio.sleep(POLL_SECONDS)

    # -- ClickHouse

    async def _warehouse(self, port: Port, ends: Ends) -> None:
        await self._stored_up_to(port, ends)
        check = StoredCheck(self._fold, port, self._realm, self._report)
        self._say("comparing facts")
        await check.facts(ends)
        self._say("comparing the newest rows of cases")
        await check.now(self._catch_up)
        if self._kind.deltas:
            await self._rollups(port)

    async def _stored_up_to(self, port: Port, ends: Ends) -> None:
        still = _Still(self._still)
        while True:
            answer = await port.ask("standing", self._topic)
            waiting = sum(max(0, end - answer.standing.get(partition, 0)) for partition, end in ends.items())
            if not waiting:
                return
            self._say(f"waiting for the sink: {waiting:,} events to be stored")
            failing = answer.found["failing"]
            still.check(waiting, f"the sink has not stored {waiting} events and stands still" + (f": {failing[0]}" if failing else ""))
            await asyncio.sleep(POLL_SECONDS)

    async def _rollups(self, port: Port) -> None:
        deltas = self._kind.deltas
        assert deltas
        topic = deltas.topic.in_realm(self._realm)
        log = await self._open(topic)
        reach = Reach(log, self._topic)
        await reach.start()
        complete: Ends = await self._counted_up_to(port, reach, log, topic)

        async def counted(answer: Answer) -> Ends:
            standing = _standing(answer, topic)
            await reach.read_to(standing)
            found = reach.below(standing, answer.found["sources"])
            ends = {p: max(end, complete.get(p, 0)) for p, end in found.items()} | {p: end for p, end in complete.items() if p not in found}
            await self._catch_up(ends)
            return ends

        check = RollupCheck(self._fold, deltas, port, topic, self._report)
        steps: list[tuple[str, Callable[[Any], Awaitable[None]]]] = [(deltas.totals, check.totals), (deltas.openings, check.openings)]
        for table, compare in steps:
            self._say(f"comparing {table}")
            await compare(counted)

    async def _counted_up_to(self, port: Port, reach: Reach, log: Log, topic: str) -> Ends:
        """Waits till the deltas of every event that was folded are stored. Answers up to where deltas are certainly all there is, because
        their lane has committed those events: what is missing then is missing for good."""
        assert self._kind.deltas
        still = _Still(self._still)
        wanted = {partition: offset + 1 for partition, offset in self._fold.last.items()}
        while True:
            done = await committed(self._bootstrap, self._kind.deltas.group, self._topic)
            ends = await log.ends()
            answer = await port.ask("standing", self._topic, stream=self._kind.deltas.stream)
            standing = _standing(answer, topic)
            await reach.read_to({partition: min(end, standing.get(partition, 0)) for partition, end in ends.items()})
            found = reach.below(standing, answer.found["sources"])
            lacking = {p for p, offset in wanted.items() if found.get(p, 0) < offset}
            if not lacking:
                return {}
            stored = all(standing.get(partition, 0) >= end for partition, end in ends.items())
            if stored and all(done.get(p, 0) >= wanted[p] for p in lacking):
                return {p: wanted[p] for p in lacking}
            self._say(f"waiting for the deltas of {len(lacking)} partitions")
            why = f"the deltas of the events in partitions {sorted(lacking)} are not there: their lane or the sink stands still"
            still.check((sorted(found.items()), sorted(standing.items())), why)
            await asyncio.sleep(POLL_SECONDS)


def _standing(answer: Answer, topic: str) -> Ends:
    return {int(partition): offset for partition, offset in answer.found["standing"].get(topic, {}).items()}
