"""What is watched while faults go on: commits against answers (I8), and memory (I10)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

EVERY = 0.4  # s between samples
NEVER = 1 << 62
MEMORY_BYTES = 900_000_000  # of one process of the rig


@dataclass(frozen=True, slots=True)
class Sample:
    """Committed offsets of a group's input, then the ends of what it answers on, by partition."""

    committed: dict[int, int]
    ends: dict[int, int]


class Watch(threading.Thread):
    """`groups`: group -> (input topic, topic of its answers, partition by partition alike)."""

    def __init__(self, bootstrap: str, partitions: int, groups: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(daemon=True, name="watch")
        self.samples: list[Sample] = []
        self.processes: dict[str, int] = {}  # pid by name
        self.peaks: dict[str, int] = {}  # bytes of resident memory, by name
        self.memory_bound = MEMORY_BYTES
        self._brokers, self._partitions, self._groups = bootstrap, partitions, dict(groups)
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.is_set():
            with contextlib.suppress(Exception):  # brokers die here on purpose: begin again
                asyncio.run(self._watch())
            self._done.wait(EVERY)

    def stop(self) -> None:
        self._done.set()
        self.join(30)

    async def _watch(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._brokers, request_timeout_ms=5000)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._brokers, request_timeout_ms=5000)
        try:
            await admin.start()
            await consumer.start()
            while not self._done.is_set():
                self._weigh()
                for group, (asked, answers) in self._groups.items():
                    committed = await admin.list_consumer_group_offsets(group)
                    ends = await consumer.end_offsets([TopicPartition(answers, p) for p in range(self._partitions)])
                    done = {tp.partition: meta.offset for tp, meta in committed.items() if tp.topic == asked and meta.offset > 0}
                    self.samples.append(Sample(done, {tp.partition: end for tp, end in ends.items()}))
                await asyncio.sleep(EVERY)
        finally:
            await consumer.stop()
            await admin.close()

    def _weigh(self) -> None:
        for name, pid in list(self.processes.items()):
            with contextlib.suppress(psutil.Error):
                self.peaks[name] = max(self.peaks.get(name, 0), psutil.Process(pid).memory_info().rss)

    def too_big(self) -> int:
        """Processes that were seen above the bound."""
        return sum(peak > self.memory_bound for peak in self.peaks.values())

    def early_commits(self, answered: Mapping[int, Mapping[int, int]]) -> int:
        """Samples in which a commit stood above a record whose answer was not there yet. `answered`: partition -> offset of the record
        -> offset of its first answer. Looks at every sample once."""
        samples, self.samples = self.samples, []
        early = 0
        for partition in range(self._partitions):
            answers = answered.get(partition, {})
            latest: list[int] = []  # latest[n]: highest first answer of records 0 to n; NEVER when one has none
            for offset in range(max((sample.committed.get(partition, 0) for sample in samples), default=0)):
                latest.append(max(latest[-1] if latest else -1, answers.get(offset, NEVER)))
            for sample in samples:
                committed = sample.committed.get(partition, 0)
                early += committed > 0 and latest[committed - 1] >= sample.ends.get(partition, NEVER)
        return early
