"""The rig of the fault tests: brokers, workers and a warehouse that die and start again, load, a ledger of what was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas import ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from schemas.realms import Realm
from services.audit import Report, audit_states
from services.embedded.topics import ensure_topics
from services.settings import as_environment, load
from tests.chaos.oracle import CHANGELOG, COMMANDS, DELTAS, EVENTS, OUTCOMES, Oracle, Verdict, judge
from tests.chaos.results import Account, Entry
from tests.chaos.watch import Watch
from tests.helpers import blank, until
from tests.warehouse_process import WarehouseProcess

__all__ = ["CHANGELOG", "COMMANDS", "DELTAS", "EVENTS", "OUTCOMES", "PARTITIONS", "Oracle", "Rig", "Verdict", "command", "judge"]
PARTITIONS = 4
STEPS = ("capture", "accept", "triage", "assign", "sign", "report", "verify_ok")
CASE_GROUP, ANALYTICS_GROUP = "liandong.live.case", "liandong.analytics"
AUDIT_SECONDS = 15.0  # without progress, after which the auditor waits no longer
RESTART_SECONDS = 0.5  # the supervisor's first pause


class Brokers(Protocol):
    """A Broker, or a Cluster of them."""

    @property
    def bootstrap(self) -> str: ...
    def kill9(self) -> None: ...
    def restart(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


def command(case: int, step: int, seed: int = 0) -> IncidentCommand:
    """Command number `step` of case number `case`: the seven links in order."""
    case_id = ids.case_id("live", "ledger", f"{seed}-{case}")
    values: dict[str, Any] = blank(IncidentCommand)
    values |= {
        "command_id": ids.command_id("live", "ledger", f"{seed}-{case}-{step}"), "case_id": case_id, "name": STEPS[step % len(STEPS)],
        "realm": "live", "expected_seq": -1, "division": "440305", "incident_type": "A20600", "actor_person": f"person-{step}",
        "actor_division": "440000", "occurred_at": 1_790_000_000_000, "occurred_offset": 480, "received_at": 0, "cause": "user",
        "producer": "ledger", "source_version": 0, "reassignments": -1, "reopens": -1, "grade": 0, "org": "org", "reason": "r",
        "evidence": True, "src_partition": -1, "src_offset": -1, "src_position": -1,
    }  # fmt: skip
    return IncidentCommand(**values)


def first_on_path(tree: Path | None) -> dict[str, str]:
    """Environment in which packages are looked for in `tree` first, then in the folder we run in."""
    return {"PYTHONPATH": f"{tree}{os.pathsep}{Path.cwd()}", "PYTHONSAFEPATH": "1"} if tree else {}


class Ledger:
    """What was acknowledged by the broker, written through to disk before it counts."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self.acked: list[tuple[int, int, str]] = []
        self.failed = 0  # sends that nobody acknowledged: they may be in the topic or not

    def note(self, *acked: tuple[int, int, str]) -> None:
        """(partition, offset, command id) of each."""
        self._file.write("".join(f"{partition} {offset} {one}\n" for partition, offset, one in acked).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.acked += acked


class Load(threading.Thread):
    """Commands at a steady rate till `stop()`, five cases walking their steps together. A send that fails is just not acknowledged."""

    def __init__(self, rig: Rig, per_second: float, first: int) -> None:
        super().__init__(daemon=True, name="load")
        self._rig, self._pause, self._case = rig, 5 / per_second, first
        self._done = threading.Event()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        async with self._rig.producer() as producer:
            open_sends: set[asyncio.Task[None]] = set()
            due = time.monotonic()
            while not self._done.is_set():
                cases = range(self._case, self._case + 5)
                self._case += 5
                task = asyncio.create_task(self._walk(producer, cases))
                open_sends.add(task)
                task.add_done_callback(open_sends.discard)
                due += self._pause * len(STEPS)
                while len(open_sends) > 40 and not self._done.is_set():  # a broker that is away is not flooded
                    await asyncio.sleep(0.05)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            if open_sends:
                await asyncio.wait(open_sends)

    async def _walk(self, producer: AIOKafkaProducer, cases: range) -> None:
        for step in range(len(STEPS)):
            await self._rig.post(producer, [command(case, step) for case in cases])

    def stop(self, seconds: float = 150.0) -> None:
        """Waits till every send has its answer."""
        self._done.set()
        self.join(seconds)
        assert not self.is_alive(), "the load hangs in a send"


@dataclass
class Rig:
    broker: Brokers
    home: Path
    account: Account = field(default_factory=lambda: Account(Entry("", "")))
    replication: int = 1
    direct: str = ""  # bootstrap that never passes a proxy; the broker's own by default
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ledger: Ledger = field(init=False)
    watch: Watch = field(init=False)
    exits: Counter[int] = field(default_factory=Counter)
    trees: dict[str, Path] = field(default_factory=dict)  # by worker's key: packages of another release, found before ours
    warehouse: WarehouseProcess | None = None
    _kept: dict[str, tuple[str, tuple[str, ...], str]] = field(default_factory=dict)  # key -> (name, controls, tag)
    _keeper: threading.Thread | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _warehouse_kept: bool = False

    def __post_init__(self) -> None:
        self.direct = self.direct or self.broker.bootstrap
        self.ledger = Ledger(self.home / "ledger.txt")
        asyncio.run(ensure_topics(self.direct, ("live",), PARTITIONS, ("demo",), replication_factor=self.replication))
        self.watch = Watch(self.direct, PARTITIONS, {CASE_GROUP: (COMMANDS, OUTCOMES)})
        self.watch.start()

    # -- processes

    def start(self, name: str, *controls: str, failpoint: str = "", tag: str = "") -> subprocess.Popen[bytes]:
        """Starts worker `name`; several of one lane by different tags."""
        key = name + tag
        home = self.home / (tag or "first")
        home.mkdir(exist_ok=True)
        (home / "run" / f"{name}.json").unlink(missing_ok=True)
        armed = f"{name}={failpoint}" if failpoint else ""
        given = load(home, bootstrap=self.broker.bootstrap, realms="live", partitions=PARTITIONS, failpoint=armed)
        with (self.home / f"{key}.log").open("ab") as log:
            arguments = [sys.executable, "-m", "tests.chaos.worker", name, *controls]
            environment = os.environ | as_environment(given) | first_on_path(self.trees.get(key))
            self.workers[key] = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log)
        self.watch.processes[key] = self.workers[key].pid
        return self.workers[key]

    def keep(self, name: str, *controls: str, failpoint: str = "", tag: str = "") -> str:
        """Starts a worker and starts it again whenever it ends, as the supervisor does (without the failpoint). Answers its key."""
        with self._lock:
            self.start(name, *controls, failpoint=failpoint, tag=tag)
            self._kept[name + tag] = (name, controls, tag)
            self._begin_keeping()
        return name + tag

    def kept(self, key: str) -> bool:
        """Whether it is started again when it ends."""
        return key in self._kept

    def let_go(self, key: str, seconds: float = 30) -> int:
        """Stops a kept worker in good order, for good; answers its exit code."""
        with self._lock:
            self._kept.pop(key)
        self.workers[key].terminate()
        return self.workers[key].wait(seconds)

    def keep_warehouse(self, failpoint: str = "", module: str = "services.cli", **settings: Any) -> WarehouseProcess:
        """Starts a warehouse with its sink, and starts it again whenever it ends. `module`: another one lacks a guard."""
        if self.warehouse is None:
            self.warehouse = WarehouseProcess.new(self.home / "platform", self.broker.bootstrap, realms="live", **settings)
        with self._lock:
            self.warehouse.start(failpoint, module, wait=not failpoint)
            self._warehouse_kept = True
            self._begin_keeping()
        return self.warehouse

    def _begin_keeping(self) -> None:
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep_all, daemon=True, name="keeper")
            self._keeper.start()

    def _keep_all(self) -> None:
        while not self._stopping.wait(0.1):
            with self._lock:
                ended = [key for key in self._kept if self.workers[key].poll() is not None]
                gone = self._warehouse_kept and self.warehouse is not None and self.warehouse.ended()
            if ended or gone:
                self._stopping.wait(RESTART_SECONDS)
            with self._lock:
                for key in ended:
                    if key in self._kept and not self._stopping.is_set():
                        self.exits[self.workers[key].returncode] += 1
                        name, controls, tag = self._kept[key]
                        self.start(name, *controls, tag=tag)
                if gone and self._warehouse_kept and self.warehouse and not self._stopping.is_set():
                    self.warehouse.start(wait=False)
            if self.warehouse and self.warehouse.process:
                self.watch.processes["warehouse"] = self.warehouse.pid

    def ready(self, name: str, tag: str = "", seconds: float = 40) -> None:
        note = self.home / (tag or "first") / "run" / f"{name}.json"
        until(note.exists, f"{name + tag} ready", seconds)

    def ended(self, key: str, seconds: float = 30) -> int:
        """Waits for the end of a worker that is not kept and answers its exit code (negative: the signal)."""
        code = self.workers[key].wait(seconds)
        self.exits[code] += 1
        return code

    def signal(self, key: str, number: signal.Signals) -> None:
        self.workers[key].send_signal(number)

    def restarted(self, key: str, before: int, seconds: float = 40) -> None:
        """Waits till a kept worker is another process than pid `before`, and ready."""
        name, _, tag = self._kept[key]
        until(lambda: self.workers[key].pid != before, f"{key} started again", seconds)
        self.ready(name, tag, seconds)

    def stop(self) -> None:
        """Ends everything in good order."""
        self.stop_workers()
        self._stopping.set()
        self.watch.stop()
        if self.warehouse:
            self.warehouse.close()

    def stop_workers(self) -> None:
        """Ends every worker in good order; the warehouse is no longer kept."""
        with self._lock:
            self._kept.clear()
            self._warehouse_kept = False
        running = [worker for worker in self.workers.values() if worker.poll() is None]
        for worker in running:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in running:
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    # -- load

    @contextlib.asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """An idempotent one that is patient, also when no broker answers as it starts."""
        options = {"enable_idempotence": True, "request_timeout_ms": 60_000, "linger_ms": 2}
        deadline = time.monotonic() + 60
        while True:
            producer = AIOKafkaProducer(bootstrap_servers=self.direct, **options)
            try:
                await producer.start()
                break
            except KafkaError:
                await producer.stop()
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.3)
        try:
            yield producer
        finally:
            await producer.stop()

    async def post(self, producer: AIOKafkaProducer, made: list[IncidentCommand]) -> None:
        """Sends commands and notes those that are acknowledged."""
        writer = codec(IncidentCommand)
        sent = [(one, await producer.send(COMMANDS, writer.encode(one), key=one.case_id.encode())) for one in made]
        answers = await asyncio.gather(*(future for _, future in sent), return_exceptions=True)
        acked = []
        for (one, _), answer in zip(sent, answers, strict=True):
            if isinstance(answer, KafkaError):
                self.ledger.failed += 1
            elif isinstance(answer, BaseException):
                raise answer
            else:
                acked.append((answer.partition, answer.offset, one.command_id))
        self.ledger.note(*acked)

    def poison(self, values: list[bytes]) -> None:
        """Sends bytes to the commands topic that are no commands."""

        async def send() -> None:
            async with self.producer() as producer:
                for number, value in enumerate(values):
                    await producer.send_and_wait(COMMANDS, value, key=b"poison", partition=number % PARTITIONS)

        asyncio.run(send())

    def load(self, per_second: float, first: int = 100_000) -> Load:
        """Steady load in the background till its `stop()`. `first`: number of its first case."""
        made = Load(self, per_second, first)
        made.start()
        return made

    def send(self, cases: int, steps: int = 4, first: int = 0, pause: float = 0.0, from_step: int = 0) -> None:
        """Sends commands of `cases` cases, step by step over all of them, and notes each acknowledgement."""
        asyncio.run(self._send(range(first, first + cases), range(from_step, from_step + steps), pause))

    async def _send(self, cases: range, steps: range, pause: float) -> None:
        async with self.producer() as producer:
            for step in steps:
                for start in range(0, len(cases), 50):
                    await self.post(producer, [command(case, step) for case in cases[start : start + 50]])
                    await asyncio.sleep(pause)

    # -- what came of it

    def drained(self, group: str = CASE_GROUP, topic: str = COMMANDS, seconds: float = 60) -> None:
        """Waits till the group has committed the ends of its input."""
        until(lambda: asyncio.run(self._lag(group, topic)) == 0, f"{group} at lag 0", seconds, every=0.2)

    async def _lag(self, group: str, topic: str) -> int:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.direct)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.direct)
        try:
            await admin.start()
            await consumer.start()
            committed = await admin.list_consumer_group_offsets(group)
            ends = await consumer.end_offsets([TopicPartition(topic, p) for p in range(PARTITIONS)])
            return sum(end - max(0, committed[tp].offset if tp in committed else 0) for tp, end in ends.items())
        except KafkaError:
            return -1  # the broker is away: not drained
        finally:
            await consumer.stop()
            await admin.close()

    def settled(self, bound: float = 60.0, since: float | None = None, patience: float = 120.0) -> float:
        """Waits till workers and sink have nothing left to do, and says how many seconds that took since the fault was over
        (`since`, monotonic; now by default). Above `bound` it breaks I9; `patience` is when waiting ends."""
        since = time.monotonic() if since is None else since
        self.drained(seconds=patience)
        if any(key.startswith("analytics") for key in self.workers):
            self.drained(ANALYTICS_GROUP, EVENTS, seconds=patience)
        if self.warehouse:
            until(self.warehouse.note.exists, "the warehouse serves", patience)
            self.warehouse.drained(seconds=patience)
        took = time.monotonic() - since
        self.account.recovered(took, bound)
        return took

    def judged(self, oracle: Oracle | None = None, versions: bool = True) -> Verdict:
        """The whole verdict of a settled rig, said to the account: topics, states, commits, memory, and the tables when there is a
        warehouse (which is stopped for it, in good order)."""
        oracle = oracle or Oracle(self, versions)
        deltas = any(key.startswith("analytics") for key in self.workers)
        verdict = oracle.look(deltas)
        self.audited(verdict)
        if self.warehouse:
            with self._lock:
                self._warehouse_kept = False
                assert self.warehouse.stop() == 0
            tables = self.warehouse.tables()
            try:
                oracle.look_at_tables(tables, verdict)
            finally:
                tables.close()
        self.say(verdict, deltas, self.warehouse is not None)
        return verdict

    def audited(self, verdict: Verdict) -> None:
        """Asks `liandong audit states`, which shares no code with the oracle nor with what it judges; only when the oracle found nothing.
        What it could not look at counts as a difference."""
        if verdict.broken:
            return

        async def ask() -> Report:
            if not self.warehouse:
                return await audit_states(Realm.LIVE, self.direct, None, still=AUDIT_SECONDS)
            headers = {"Authorization": f"Bearer {self.warehouse.keys['admin']}"}
            async with httpx.AsyncClient(base_url=self.warehouse.url, headers=headers, timeout=120) as read:
                return await audit_states(Realm.LIVE, self.direct, read, still=AUDIT_SECONDS)

        report = asyncio.run(ask())
        verdict.audit_differences = sum(report.counts.values()) + len(report.blocked)
        self.account.verdict({}, {f"audit: {name}": count for name, count in report.counts.items()} | dict.fromkeys(report.blocked, 1))

    def say(self, verdict: Verdict, deltas: bool, tables: bool = False) -> None:
        """Tells the account."""
        self.account.verdict(verdict.by_invariant(deltas, tables), verdict.broken)
        for code, count in sorted(self.exits.items()):
            if code:
                self.account.figure(f"exit {code}", count)

    def read(self, topic: str, start: Mapping[int, int] | None = None) -> list[ConsumerRecord]:
        """Every record of a topic from `start` (offset by partition; else its beginning), partition by partition."""
        return asyncio.run(self._read(topic, start or {}))

    async def _read(self, topic: str, start: Mapping[int, int]) -> list[ConsumerRecord]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.direct, auto_offset_reset="earliest")
        await consumer.start()
        try:
            tps = [TopicPartition(topic, p) for p in range(PARTITIONS)]
            consumer.assign(tps)
            ends, begins = await consumer.end_offsets(tps), await consumer.beginning_offsets(tps)
            for tp in tps:
                consumer.seek(tp, max(begins[tp], start.get(tp.partition, 0)))
            found: list[ConsumerRecord] = []
            deadline = time.monotonic() + 60
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
                assert time.monotonic() < deadline, f"{topic} could not be read"
            return sorted(found, key=lambda r: (r.partition, r.offset))
        finally:
            await consumer.stop()
