"""Every metric of a worker, declared once. Seconds, counters end in _total, labels are few and bounded."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from streams.engine.ledger import Chunk

APPEND_TIME = 1  # Kafka: stamped by the broker
AGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class WorkerMetrics:
    """Those of a process; each of its lanes counts under its own name by `LaneMetrics`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(name, what, ["lane", *labels], registry=registry)

        self.records = counter("liandong_records", "Records decided", "topic")
        self.age = Histogram("liandong_event_age_seconds", "Append of a record to its decision", ["lane"], buckets=AGES, registry=registry)
        self.busy = counter("liandong_decide_seconds", "Time spent deciding")
        self.outcomes = counter("liandong_outcomes", "Answers to commands", "outcome", "reason")
        self.lag = Gauge("liandong_consumer_lag_records", "Records not committed yet", ["group", "topic", "partition"], registry=registry)
        self.commits = counter("liandong_commits", "Offset commits")
        self.commit_failures = counter("liandong_commit_failures", "Refused offset commits")
        self.dead_letters = counter("liandong_dead_letters", "Records given up", "reason")
        self.quarantined = counter("liandong_quarantined_cases", "Cases on which decide crashed")
        self.replayed = counter("liandong_replayed_records", "Records said again from the outbox after a crash")
        self.dropped = counter("liandong_dropped_repeats", "Repeated derived records dropped by their src mark")
        self.restore = Histogram("liandong_restore_seconds", "Restore of tables after a rebalance", ["lane"], registry=registry)
        self.restored = counter("liandong_restored_records", "Changelog records read")
        self.repaired = counter("liandong_repaired_keys", "Keys whose newest changelog record was a zombie's")
        self.keys = Gauge("liandong_table_keys", "Keys held", ["lane"], registry=registry)
        self.timers = Gauge("liandong_open_timers", "Keys that wait for a moment", ["lane"], registry=registry)
        self.lateness = Histogram("liandong_timer_lateness_seconds", "Due to settled", ["lane"], buckets=AGES, registry=registry)
        self.wake_ups = counter("liandong_wake_ups", "Wake-ups: sent; of these early by the broker's clock; without effect", "kind")


class LaneMetrics:
    """A worker's metrics under one lane's name."""

    def __init__(self, worker: WorkerMetrics, lane: str) -> None:
        self._worker = worker
        self._lane = lane
        self.age = worker.age.labels(lane)
        self.busy = worker.busy.labels(lane)
        self.lag = worker.lag
        self.commits = worker.commits.labels(lane)
        self.commit_failures = worker.commit_failures.labels(lane)
        self.quarantined = worker.quarantined.labels(lane)
        self.replayed = worker.replayed.labels(lane)
        self.dropped = worker.dropped.labels(lane)
        self.restore = worker.restore.labels(lane)
        self.restored = worker.restored.labels(lane)
        self.repaired = worker.repaired.labels(lane)
        self.keys = worker.keys.labels(lane)
        self.timers = worker.timers.labels(lane)
        self.lateness = worker.lateness.labels(lane)
        self.wakes_sent, self.wakes_early, self.wakes_idle = (worker.wake_ups.labels(lane, kind) for kind in ("sent", "early", "idle"))

    def chunk(self, chunk: Chunk, busy: float) -> None:
        """Counts one decided chunk."""
        self._worker.records.labels(self._lane, chunk.tp.topic).inc(len(chunk))
        self.busy.inc(busy)
        now = time.time_ns() / 1e9
        for record in chunk.records[:: max(1, len(chunk) // 16)]:  # a sample: every record would cost more than deciding it
            if record.timestamp_type == APPEND_TIME:  # a record of history on its own time has no age
                self.age.observe(max(0.0, now - record.timestamp / 1000))

    def settled(self, due: int) -> None:
        """Counts a timer that was due (UTC milliseconds) and has just been settled."""
        self.lateness.observe(max(0.0, time.time_ns() / 1e9 - due / 1000))

    def tally(self, answers: Mapping[tuple[str, str], int]) -> None:
        """Counts outcomes by (outcome, reason)."""
        for (outcome, reason), count in answers.items():
            self._worker.outcomes.labels(self._lane, outcome, reason).inc(count)

    def buried(self, reason: str) -> None:
        """Counts one dead letter."""
        self._worker.dead_letters.labels(self._lane, reason).inc()
