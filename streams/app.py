"""build_app(lane, settings): the only faust.App(...) of the project, put together by plain calls."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import faust
from faust.serializers.schemas import Schema

from schemas.realms import Realm
from streams.agents import Lane
from streams.engine.consumer import Consumer
from streams.engine.exits import Exit, die
from streams.engine.failpoints import Failpoints
from streams.engine.following import Follower, Scheduled
from streams.engine.metrics import LaneMetrics, WorkerMetrics
from streams.engine.producer import Producer, Sendable
from streams.engine.recovery import Tables
from streams.engine.runner import Processor, Runner
from streams.engine.shipment import Shipper
from streams.engine.table import StateTable
from streams.engine.transport import Transport
from streams.engine.waker import Appended, Waker
from streams.engine.watchdog import Limits, Watchdog, probe
from streams.engine.wheel import Timed


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What one worker needs to know. Times in seconds."""

    bootstrap: str
    partitions: int
    realms: tuple[Realm, ...]  # one for a lane per realm
    departments: tuple[str, ...]
    data_dir: str
    version: str
    instance: str = ""  # name within the group that a restart keeps: it comes back without a rebalance; "": another member each time
    session_seconds: float = 10.0
    commit_seconds: float = 0.25
    chunk_records: int = 1000
    chunks_in_flight: int = 24
    failpoints: Failpoints = field(default_factory=Failpoints)
    limits: Limits = field(default_factory=Limits)
    # guards that only a negative control switches off
    lease: bool = True
    marks: bool = True


@dataclass(frozen=True, slots=True)
class LaneRuntime:
    """What the engine asks of the lane it runs."""

    processor: Processor
    chunk_records: int
    chunks_in_flight: int
    lease_seconds: float  # how long the process may sleep and still send
    fetch_wait_ms: int


class ChunkSchema(Schema[Any, Any]):
    """Hands the chunk through: records are decoded by the lane, which keeps the bytes of what it cannot read."""

    def compile(self, app: Any, **options: Any) -> Callable[..., Any]:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(message.key, message.value, message.headers, message)

        return decode


class App(faust.App):
    """Faust's app with our transport, tables and order of commitment."""

    lane: LaneRuntime
    state_table: StateTable | None
    metrics: LaneMetrics
    failpoints: Failpoints
    limits: Limits
    follower: Follower | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.ended = threading.Event()  # for the watchdog, which is a thread

    async def on_start(self) -> None:
        await super().on_start()
        if self.follower:
            self.follower.start()
            await self.wait(self.follower.ready.wait())  # the first record is read only after this returns
        tables: Any = self.tables
        # Not as a task: Faust starts those only after the first restore, and that one may stand still too.
        Watchdog(self, self.consumer, tables.recovery, asyncio.get_running_loop(), self.limits).start()

    async def on_stop(self) -> None:
        if self.follower:
            await self.follower.close()
        await super().on_stop()

    async def on_shutdown(self) -> None:
        await super().on_shutdown()
        self.ended.set()

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)


def build_app(
    lane: Lane,
    settings: WorkerSettings,
    metrics: WorkerMetrics,
    on_ready: Callable[[], None] = lambda: None,
    processor: Processor | None = None,
) -> App:
    """A Faust app that runs one lane. `processor` takes the place of the lane's own in tests of the engine."""
    name = f"{settings.realms[0]}.{lane.name}" if lane.per_realm else lane.name
    chosen = processor or lane.processor()
    session = settings.session_seconds
    app = App(
        f"liandong.{name}",
        broker=f"kafka://{settings.bootstrap.replace(',', ';')}",
        store="memory://",
        datadir=f"{settings.data_dir}/faust/{name}",
        autodiscover=False,
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=True,
        stream_recovery_delay=0.0,
        consumer_group_instance_id=settings.instance or None,
        canonical_url=f"http://{settings.instance}" if settings.instance else None,  # the assignor's name of a member: kept with the place
        broker_commit_interval=settings.commit_seconds,
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 5,
        broker_rebalance_timeout=max(20.0, session),
        broker_request_timeout=40.0,
        broker_max_poll_records=8 * settings.chunk_records,
        agent_supervisor="mode.CrashingSupervisor",
        loghandlers=[],
        TableManager=Tables,
    )
    lease = 0.75 * session if settings.lease else 0.0
    app.lane = LaneRuntime(chosen, settings.chunk_records, settings.chunks_in_flight, lease, lane.fetch_wait_ms(settings.realms[0]))
    timed = chosen if isinstance(chosen, Timed) else None
    app.state_table = StateTable(lane.table.in_realm(settings.realms[0]), timed is not None) if lane.table else None
    if isinstance(chosen, Scheduled):
        app.follower = Follower(settings.bootstrap, chosen.schedule)
    app.metrics = LaneMetrics(metrics, name)
    app.failpoints = settings.failpoints
    app.limits = settings.limits
    departments = settings.departments if lane.inputs.per_department else ("",)
    topics = [lane.inputs.in_realm(realm, department) for realm in settings.realms for department in departments]
    if timed is not None and len(topics) > 1:
        raise ValueError(f"lane {name} has timers and several inputs: a wake-up would not know where to go")
    app.agent(app.topic(*topics, schema=ChunkSchema()), name=name)(_agent(app, name, settings))
    app.task(_watch(app, settings, on_ready))
    if timed is not None and settings.realms[0].time_source == "wall":
        app.task(_wake(app, timed, settings.realms[0], topics[0]))
    return app


def _agent(app: App, name: str, settings: WorkerSettings) -> Callable[..., Any]:
    """The one agent body: take a chunk, decide it, let the shipper ack it."""
    runner: list[Runner] = []

    async def body(stream: Any) -> None:
        async for event in stream.noack().events():
            if not runner:
                producer: Any = app.producer
                assert isinstance(producer, Producer)
                await _check_partitions(producer, event.value.tp.topic, settings.partitions)
                shipper = Shipper(producer.guarded, app.state_table, app.failpoints, app.lane.processor.has_outbox)
                runner.append(
                    Runner(
                        name, app.lane.processor, app.state_table, shipper.ship, app.metrics,
                        settings.partitions, settings.version, settings.marks, settings.realms[0].time_source == "log",
                    )
                )  # fmt: skip
            chunk = event.value
            if chunk.take():
                try:
                    for _ in runner[0].steps(chunk):
                        consumer: Any = app.consumer
                        consumer.moves(chunk)
                        await asyncio.sleep(0)
                except Exception as error:
                    app.log.exception("a chunk could not be decided")
                    die(Exit.SHIPMENT_FAILED, repr(error).replace('"', "'"))
            await asyncio.sleep(0)

    return body


async def _check_partitions(producer: Producer, topic: str, wanted: int) -> None:
    """All topics of a platform have as many partitions; a worker that counts otherwise would part a key from its state."""
    found = len(await producer.guarded.partitions_for(topic))
    if found != wanted:
        die(Exit.WRONG_PARTITIONS, f"{topic} has {found} partitions, the settings say {wanted}")


def _watch(app: App, settings: WorkerSettings, on_ready: Callable[[], None]) -> Callable[[], Any]:
    async def watch() -> None:
        consumer: Any = app.consumer
        assert isinstance(consumer, Consumer)
        await consumer.positioned.wait()
        on_ready()
        await probe(app, settings.limits)

    return watch


def _wake(app: App, timed: Timed, realm: Realm, topic: str) -> Callable[[], Any]:
    """The waker of a lane whose states have timers: a lane of one realm, with one input."""

    async def append(partition: int, records: Sequence[Sendable]) -> Appended:
        producer: Any = app.producer
        sent = [
            (await producer.guarded.send_batch(batch, topic, partition=partition), batch.record_count())
            for batch in producer.guarded.batches(records)
        ]
        ends = [((await future).offset + count, future.result().timestamp) for future, count in sent]
        return Appended(ends[-1][0], min(at for _, at in ends))  # a batch may be stamped after the next: retries

    def owned() -> list[int]:
        consumer: Any = app.consumer
        return [tp.partition for tp, ledger in consumer.ledgers.items() if consumer.is_current(ledger)]

    async def wake() -> None:
        table = app.state_table
        assert table is not None
        await Waker(timed, realm, table.wheels, owned, append, lambda: time.time_ns() // 1_000_000, app.metrics, app.failpoints).run()

    return wake
