"""The producer on aiokafka: idempotent, acks=all, one future for a run of records instead of one for each.

aiokafka retries an idempotent batch for ever, so a deadline here only ends the waiting: the record may still arrive, and
`on_acked` is told then. While such overdue records hang, new ones are refused at once; their arrival is the sign that the
broker is back. A batch that fails for good leaves a hole in the producer's sequence numbers: it is replaced by a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.adapters.murmur import partition_of
from services.ports import Acked, Fate, OnAcked, Record, Unavailable

log = structlog.get_logger(__name__)
MAX_REQUEST_BYTES = 2 * 1024 * 1024  # as `max.message.bytes` of the topics
BATCH_BYTES = 512 * 1024
AWAY = "no acknowledgement from Kafka in time"


class KafkaProducer:
    """Fulfils ports.Producer. Connects on first use and again after a fatal error."""

    def __init__(self, bootstrap: str, client_id: str, *, deadline: float = 5.0, linger_ms: int = 0) -> None:
        """`deadline`: seconds a caller waits for an acknowledgement."""
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._deadline = deadline
        self._linger_ms = linger_ms
        self._producer: AIOKafkaProducer | None = None
        self._starting: asyncio.Task[AIOKafkaProducer] | None = None
        self._overdue: set[_Sending] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def available(self) -> bool:
        return self._producer is not None and not self._overdue

    async def enqueue(self, topic: str, records: Sequence[Record], on_acked: OnAcked | None = None) -> Awaitable[list[Fate]]:
        if not records:
            return _resolved([])
        if self._overdue or self._closed:
            return _resolved([Unavailable(AWAY)] * len(records))
        loop = asyncio.get_running_loop()
        sending = _Sending(len(records), loop.create_future(), on_acked)
        submission = loop.create_task(self._submit(topic, records, sending))
        self._keep(submission)
        timer = loop.call_later(self._deadline, self._give_up, sending, submission)
        sending.answer.add_done_callback(lambda _: timer.cancel())
        waiting: set[asyncio.Future[Any]] = {submission, sending.answer}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return sending.answer

    async def send(self, topic: str, records: Sequence[Record], on_acked: OnAcked | None = None) -> list[Fate]:
        return await (await self.enqueue(topic, records, on_acked))

    async def connect(self) -> None:
        """Connects ahead of the first use. Does not raise when the broker is away: sends try again."""
        try:
            await asyncio.wait_for(self._connected(), self._deadline)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("kafka_away", error=repr(error))

    async def close(self) -> None:
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        await self._drop(self._producer)

    async def _submit(self, topic: str, records: Sequence[Record], sending: _Sending) -> None:
        """Puts the records into the send buffer, in order. Never raises."""
        producer = None
        try:
            producer = sending.producer = await self._connected()
            count = len(await producer.partitions_for(topic))
            if len(records) == 1:
                record = records[0]
                partition = partition_of(record.key, count)
                future = await producer.send(
                    topic, record.value, record.key, partition, timestamp_ms=record.timestamp, headers=list(record.headers)
                )
                self._follow(producer, future, sending, [0], partition)
                return
            groups: dict[int, list[int]] = {}
            for index, record in enumerate(records):
                groups.setdefault(partition_of(record.key, count), []).append(index)
            for partition, indices in groups.items():
                await self._submit_run(producer, topic, partition, [(index, records[index]) for index in indices], sending)
        except (KafkaError, OSError, asyncio.CancelledError) as error:
            log.warning("kafka_send_failed", topic=topic, error=repr(error))
            sending.fail_rest(repr(error))
            if producer is not None and producer._sender.sender_task.done():
                self._replace(producer)

    async def _submit_run(
        self, producer: AIOKafkaProducer, topic: str, partition: int, run: Sequence[tuple[int, Record]], sending: _Sending
    ) -> None:
        """Records of one partition with their indices, in as many batches as they fill."""
        while run:
            batch = producer.create_batch()
            indices = []
            for index, record in run:
                if batch.append(key=record.key, value=record.value, timestamp=record.timestamp, headers=record.headers) is None:
                    break
                indices.append(index)
            batch.close()  # or aiokafka may add single records of others to it
            future = await producer.send_batch(batch, topic, partition=partition)
            self._follow(producer, future, sending, indices, partition)
            run = run[len(indices) :]

    def _follow(
        self, producer: AIOKafkaProducer, future: asyncio.Future[object], sending: _Sending, indices: list[int], partition: int
    ) -> None:
        """Tells `sending` when the batch at `future` is acknowledged or has failed."""
        sending.submitted += len(indices)

        def done(batch: asyncio.Future[object]) -> None:
            error = batch.exception() if not batch.cancelled() else asyncio.CancelledError()
            offset = -1 if error else getattr(batch.result(), "offset", -1)
            self._overdue.discard(sending)
            if offset < 0:  # failed, or acknowledged without saying where
                log.warning("kafka_batch_failed", partition=partition, error=repr(error))
                sending.fail(indices, repr(error))
                self._replace(producer)
            else:
                sending.acked([(index, Acked(partition, offset + place)) for place, index in enumerate(indices)])

        future.add_done_callback(done)

    def _give_up(self, sending: _Sending, submission: asyncio.Task[None]) -> None:
        """The deadline has passed: who waits is told, what hangs is remembered."""
        submission.cancel()
        if sending.submitted:
            self._overdue.add(sending)
        sending.fail_rest(AWAY)

    # --- connection ---

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
            linger_ms=self._linger_ms,
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
        self._overdue = {sending for sending in self._overdue if sending.producer is not broken}
        if self._producer is broken:
            self._producer = None
            self._keep(asyncio.get_running_loop().create_task(self._drop(broken)))

    async def _drop(self, producer: AIOKafkaProducer | None) -> None:
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), self._deadline)
            except (TimeoutError, KafkaError) as error:
                log.warning("kafka_stop_failed", error=repr(error))

    def _keep(self, task: asyncio.Task[None]) -> None:
        """The event loop itself holds tasks only weakly."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Sending:
    """The fates of one call's records, filled in as batches come back."""

    def __init__(self, count: int, answer: asyncio.Future[list[Fate]], on_acked: OnAcked | None) -> None:
        self.answer = answer
        self.submitted = 0
        self.producer: AIOKafkaProducer | None = None
        self._fates: list[Fate | None] = [None] * count
        self._left = count
        self._on_acked = on_acked

    def acked(self, pairs: list[tuple[int, Acked]]) -> None:
        try:
            if self._on_acked is not None:
                self._on_acked(pairs)
        except OSError as error:  # what could not be written into the ledger is not promised
            log.error("ack_not_recorded", error=str(error))
            self.fail([index for index, _ in pairs], str(error))
        for index, fate in pairs:
            self._put(index, fate)

    def fail(self, indices: Sequence[int], detail: str) -> None:
        fate = Unavailable(detail)
        for index in indices:
            self._put(index, fate)

    def fail_rest(self, detail: str) -> None:
        self.fail([index for index, fate in enumerate(self._fates) if fate is None], detail)

    def _put(self, index: int, fate: Fate) -> None:
        if self._fates[index] is None:
            self._fates[index] = fate
            self._left -= 1
            if self._left == 0 and not self.answer.done():
                self.answer.set_result([f for f in self._fates if f is not None])


def _resolved(fates: list[Fate]) -> asyncio.Future[list[Fate]]:
    future: asyncio.Future[list[Fate]] = asyncio.get_running_loop().create_future()
    future.set_result(fates)
    return future
