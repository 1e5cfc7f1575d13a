"""The aiokafka consumer in a thread of its own: our own arguments, exact positions, and commits that say how long the changelog was."""

from __future__ import annotations

import asyncio
from typing import Any

import aiokafka
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP, ensure_TPset
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.threads import MethodQueue

from streams.engine import patience
from streams.engine.exits import Exit, die
from streams.engine.membership import end_when_replaced

CALLS = 8  # calls into the consumer thread at a time
CHANGELOG_END = "changelog:"  # in a commit's metadata, before the changelog's end: what proves later that the changelog is still whole


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer."""

    @property
    def method_queue(self) -> MethodQueue:
        """Calls into this thread. Stock has two workers, of which the fetch holds one: a commit that waits for a broker that is
        away would hold up the seek of a restored worker and the question for lag."""
        if self._method_queue is None:
            self._method_queue = MethodQueue(loop=self.thread_loop, beacon=self.beacon, num_workers=CALLS)
        return self._method_queue

    async def on_start(self) -> None:
        async def drop() -> None:
            await self._ensure_consumer().stop()

        await patience.start("consumer", super().on_start, drop, lambda: self.should_stop)
        if self.app.conf.consumer_group_instance_id:
            end_when_replaced(self._ensure_consumer()._coordinator, self.app.conf.consumer_group_instance_id)

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = self.app.assignor
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=self.app.lane.fetch_wait_ms,  # type: ignore[attr-defined]  # stock: 1,500
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            check_crcs=conf.broker_check_crcs,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            max_poll_interval_ms=3_600_000,  # our watchdog ends a worker that stands still, much sooner
            metadata_max_age_ms=10_000,
            retry_backoff_ms=100,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    async def start_positions(self) -> dict[TP, int]:
        """Seeks every assigned partition to its commit, else to its beginning; stock code leaves the latter where it is."""
        consumer = self._ensure_consumer()
        partitions = list(consumer.assignment())
        committed = dict(zip(partitions, await asyncio.gather(*(consumer.committed(tp) for tp in partitions)), strict=True))
        ends = await consumer.end_offsets(partitions)
        lost = [f"{tp.topic}-{tp.partition} ends at {ends[tp]}, committed {at}" for tp, at in committed.items() if at and at > ends[tp]]
        if lost:
            die(Exit.INPUT_LOST, "; ".join(lost))
        fresh = [tp for tp, offset in committed.items() if offset is None]
        beginnings = await consumer.beginning_offsets(fresh) if fresh else {}
        starts = {}
        for tp in partitions:
            offset = committed[tp] if committed[tp] is not None else beginnings[tp]
            consumer.seek(tp, offset)
            starts[ensure_TP(tp)] = offset
        return starts

    async def seek_back(self, wanted: dict[TP, int]) -> None:
        consumer = self._ensure_consumer()
        mine = consumer.assignment()
        for tp, offset in wanted.items():
            partition = TopicPartition(tp.topic, tp.partition)
            if partition in mine:
                consumer.seek(partition, offset)

    async def commit_offsets(self, offsets: dict[TP, OffsetAndMetadata]) -> dict[TP, int]:
        """Commits those that are still ours and answers them."""
        consumer = self._ensure_consumer()
        mine = ensure_TPset(consumer.assignment())
        ours = {tp: told for tp, told in offsets.items() if tp in mine}
        if ours:
            await consumer.commit({TopicPartition(*tp): told for tp, told in ours.items()})
        return {tp: told.offset for tp, told in ours.items()}

    async def changelog_ends(self) -> dict[int, int]:
        """Where each changelog partition ended, at least, when the inputs of its number were last committed."""
        consumer = self._ensure_consumer()
        told = await consumer._coordinator.fetch_committed_offsets(
            list(consumer.assignment())
        )  # with metadata: aiokafka shows it nowhere else
        ends: dict[int, int] = {}
        for tp, commit in told.items():
            if commit.metadata.startswith(CHANGELOG_END):
                end = int(commit.metadata.removeprefix(CHANGELOG_END))
                ends[tp.partition] = max(end, ends.get(tp.partition, 0))
        return ends

    async def ends(self, tps: set[TP]) -> dict[TP, int]:
        """End offsets as the broker knows them now."""
        found = await self._ensure_consumer().end_offsets([TopicPartition(*tp) for tp in tps])
        return {ensure_TP(tp): offset for tp, offset in found.items()}
