"""The producer on aiokafka: idempotent, acks=all, one future for a run of records instead of one for each.

Each partition has a queue of ours and one batch under way: while that is acknowledged, the queue grows into the next batch,
so load makes batches large without a linger. aiokafka retries an idempotent batch for ever, so a deadline here only ends
the waiting: the record may still arrive, and `on_acked` is told then. While such overdue records hang, new ones are refused
at once; their arrival is the sign that the broker is back. A batch that fails for good leaves a hole in the producer's
sequence numbers: the producer is replaced by a new one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from schemas.murmur import partition_of
from services.ports import Acked, Fate, OnAcked, Record, Unavailable

log = structlog.get_logger(__name__)
BATCH_BYTES = 512 * 1024
MAX_REQUEST_BYTES = 2 * 1024 * 1024  # as `max.message.bytes` of the topics
AWAY = "no acknowledgement from Kafka in time"
FAILURES = (KafkaError, OSError, TimeoutError)


class KafkaProducer:
    """Fulfils ports.Producer. Connects on first use and again after a fatal error."""

    def __init__(self, bootstrap: str, client_id: str, *, deadline: float = 5.0) -> None:
        """`deadline`: seconds a caller waits for an acknowledgement."""
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._deadline = deadline
        self._producer: AIOKafkaProducer | None = None
        self._starting: asyncio.Task[AIOKafkaProducer] | None = None
        self._partitions: dict[str, list[_Queue]] = {}
        self._overdue: set[_Sending] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def available(self) -> bool:
        return self._producer is not None and not self._overdue and not self._closed

    async def enqueue(self, topic: str, records: Sequence[Record], on_acked: OnAcked | None = None) -> Awaitable[list[Fate]]:
        loop = asyncio.get_running_loop()
        sending = _Sending(len(records), loop.create_future(), on_acked)
        if not records:
            return sending.answer
        if self._overdue or self._closed:
            sending.fail_rest(AWAY)
            return sending.answer
        try:
            queues = self._partitions.get(topic)
            if queues is None:
                queues = await asyncio.wait_for(self._queues(topic), self._deadline)
        except FAILURES as error:
            sending.fail_rest(f"Kafka can't be reached: {error!r}")
            return sending.answer
        for index, record in enumerate(records):
            queue = queues[partition_of(record.key, len(queues))]
            queue.waiting.append((record, sending, index))
            if not queue.busy:
                queue.busy = True
                self._keep(loop.create_task(self._drain(queue)))
        timer = loop.call_later(self._deadline, self._give_up, sending)
        sending.answer.add_done_callback(lambda _: timer.cancel())
        return sending.answer

    async def send(self, topic: str, records: Sequence[Record], on_acked: OnAcked | None = None) -> list[Fate]:
        return await (await self.enqueue(topic, records, on_acked))

    async def connect(self) -> None:
        """Connects ahead of the first use. Does not raise when the broker is away: sends try again."""
        try:
            await asyncio.wait_for(self._connected(), self._deadline)
        except FAILURES as error:
            log.warning("kafka_away", error=repr(error))

    async def close(self) -> None:
        self._closed = True
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=self._deadline)
        for task in self._tasks | ({self._starting} if self._starting else set()):
            task.cancel()
        await self._drop(self._producer)

    # --- one partition ---

    async def _drain(self, queue: _Queue) -> None:
        """One batch after the other, each acknowledged before the next, till the queue is empty. Never raises."""
        producer = None
        run: list[_Waiting] = []
        try:
            while queue.waiting:
                producer = await self._connected()
                batch = producer.create_batch()
                run = queue.take(batch, producer)
                if not run:
                    continue
                future = await producer.send_batch(batch, queue.topic, partition=queue.partition)
                offset = (await future).offset
                self._overdue.difference_update([sending for _, sending, _ in run])
                if offset < 0:  # acknowledged as a repeat, without saying where it stands
                    raise KafkaError("acknowledged without an offset")
                _tell(run, queue.partition, offset)
                run = []
        except (*FAILURES, asyncio.CancelledError) as error:
            log.warning("kafka_send_failed", topic=queue.topic, partition=queue.partition, error=repr(error))
            for _, sending, index in [*run, *queue.waiting]:
                sending.fail(index, repr(error))
            queue.waiting.clear()
            if producer is not None:
                self._replace(producer)
        finally:
            queue.busy = False

    def _give_up(self, sending: _Sending) -> None:
        """The deadline has passed: who waits is told, what is under way is remembered, the rest will not be sent."""
        if sending.under_way is not None:
            self._overdue.add(sending)
        sending.fail_rest(AWAY)

    # --- connection ---

    async def _queues(self, topic: str) -> list[_Queue]:
        partitions = await (await self._connected()).partitions_for(topic)
        return self._partitions.setdefault(topic, [_Queue(topic, number) for number in range(len(partitions))])

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        if self._starting is None or self._starting.done():
            self._starting = asyncio.get_running_loop().create_task(self._start())
        return await asyncio.shield(self._starting)

    async def _start(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=int(self._deadline * 1000),
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer
        return producer

    def _replace(self, broken: AIOKafkaProducer) -> None:
        """The next send gets a new producer, with a new id and fresh sequence numbers."""
        self._overdue = {sending for sending in self._overdue if sending.under_way is not broken}
        if self._producer is broken:
            self._producer = None
            self._keep(asyncio.get_running_loop().create_task(self._drop(broken)))

    async def _drop(self, producer: AIOKafkaProducer | None) -> None:
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), self._deadline)
            except FAILURES as error:
                log.warning("kafka_stop_failed", error=repr(error))

    def _keep(self, task: asyncio.Task[None]) -> None:
        """The event loop itself holds tasks only weakly."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Sending:
    """The fates of one call's records, filled in as batches come back."""

    def __init__(self, count: int, answer: asyncio.Future[list[Fate]], on_acked: OnAcked | None) -> None:
        self.answer = answer
        self.under_way: AIOKafkaProducer | None = None  # who has some of its records
        self._fates: list[Fate | None] = [None] * count
        self._left = count
        self._on_acked = on_acked
        if count == 0:
            answer.set_result([])

    def acked(self, pairs: Sequence[tuple[int, Acked]]) -> None:
        try:
            if self._on_acked is not None:
                self._on_acked(pairs)
        except OSError as error:  # what could not be written into the ledger is not promised
            log.error("ack_not_recorded", error=str(error))
            for index, _ in pairs:
                self.fail(index, str(error))
        for index, fate in pairs:
            self._put(index, fate)

    def fail(self, index: int, detail: str) -> None:
        self._put(index, Unavailable(detail))

    def fail_rest(self, detail: str) -> None:
        for index, fate in enumerate(self._fates):
            if fate is None:
                self.fail(index, detail)

    def _put(self, index: int, fate: Fate) -> None:
        if self._fates[index] is None:
            self._fates[index] = fate
            self._left -= 1
            if self._left == 0:
                self.answer.set_result([f for f in self._fates if f is not None])


_Waiting = tuple[Record, _Sending, int]


class _Queue:
    """Records of one partition that wait for their batch."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.waiting: deque[_Waiting] = deque()
        self.busy = False

    def take(self, batch: BatchBuilder, producer: AIOKafkaProducer) -> list[_Waiting]:
        """Fills `batch` with the oldest records; those whose callers have given up are left out."""
        run: list[_Waiting] = []
        while self.waiting:
            item = self.waiting[0]
            record, sending, _ = item
            if not sending.answer.done():
                if batch.append(key=record.key, value=record.value, timestamp=record.timestamp, headers=record.headers) is None:
                    break
                sending.under_way = producer
                run.append(item)
            self.waiting.popleft()
        return run


def _tell(run: Sequence[_Waiting], partition: int, offset: int) -> None:
    """Each call gets its acknowledgements of this batch together; `offset`: of the batch's first record."""
    first = 0
    while first < len(run):
        sending = run[first][1]
        end = first
        while end < len(run) and run[end][1] is sending:
            end += 1
        sending.acked([(run[place][2], Acked(partition, offset + place)) for place in range(first, end)])
        first = end
