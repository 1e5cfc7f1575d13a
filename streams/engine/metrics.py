"""Every metric of a worker, declared once. Seconds, counters end in _total, labels are few and bounded."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from streams.engine.ledger import Chunk

APPEND_TIME = 1  # Kafka: stamped by the broker
AGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class WorkerMetrics:
    def __init__(self, registry: CollectorRegistry, lane: str) -> None:
        self._lane = lane
        self._records = Counter("liandong_records", "Records decided", ["lane", "topic"], registry=registry)
        age = Histogram("liandong_event_age_seconds", "Append of a record to its decision", ["lane"], buckets=AGES, registry=registry)
        self.age = age.labels(lane)
        self.busy = Counter("liandong_decide_seconds", "Time spent deciding", ["lane"], registry=registry).labels(lane)
        self.outcomes = Counter("liandong_outcomes", "Answers to commands", ["outcome", "reason"], registry=registry)
        self.lag = Gauge("liandong_consumer_lag_records", "Records not committed yet", ["group", "topic", "partition"], registry=registry)
        self.commits = Counter("liandong_commits", "Offset commits", registry=registry)
        self.commit_failures = Counter("liandong_commit_failures", "Refused offset commits", registry=registry)
        self.dead_letters = Counter("liandong_dead_letters", "Records given up", ["reason"], registry=registry)
        self.quarantined = Counter("liandong_quarantined_cases", "Cases on which decide crashed", registry=registry)
        self.replayed = Counter("liandong_replayed_records", "Records said again from the outbox after a crash", registry=registry)
        self.dropped = Counter("liandong_dropped_repeats", "Repeated derived records dropped by their src mark", registry=registry)
        self.restore = Histogram("liandong_restore_seconds", "Restore of tables after a rebalance", registry=registry)
        self.restored = Counter("liandong_restored_records", "Changelog records read", registry=registry)
        self.repaired = Counter("liandong_repaired_keys", "Keys whose newest changelog record was a zombie's", registry=registry)
        self.keys = Gauge("liandong_table_keys", "Keys held", registry=registry)
        self.timers = Gauge("liandong_open_timers", "Keys that wait for a moment", registry=registry)
        self.lateness = Histogram("liandong_timer_lateness_seconds", "Due to settled", buckets=AGES, registry=registry)
        wake_ups = Counter(
            "liandong_wake_ups", "Wake-ups: sent; of these early by the broker's clock; without effect", ["kind"], registry=registry
        )
        self.wakes_sent, self.wakes_early, self.wakes_idle = map(wake_ups.labels, ("sent", "early", "idle"))

    def chunk(self, chunk: Chunk, busy: float) -> None:
        """Counts one decided chunk."""
        self._records.labels(self._lane, chunk.tp.topic).inc(len(chunk))
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
            self.outcomes.labels(outcome, reason).inc(count)
