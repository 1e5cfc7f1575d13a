"""Metrics of the sink. They join a process's registry when the sink starts there, not when this module is imported."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ROWS = Counter("liandong_sink_rows_total", "rows stored", ["stream"], registry=None)
BLOCK_SECONDS = Histogram(
    "liandong_sink_block_seconds", "one block: from its first insert to all tables whole", ["stream"], registry=None,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)  # fmt: skip
VISIBLE_SECONDS = Histogram(
    "liandong_ingest_to_visible_seconds", "age of a block's newest record when it can be read", ["stream"], registry=None,
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300),
)  # fmt: skip
REPAIRS = Counter("liandong_sink_repairs_total", "tables repaired after a stop or a failed insert", ["stream"], registry=None)
REPEATS = Counter("liandong_sink_repeats_total", "records dropped: their source's mark was already there", ["stream"], registry=None)
FAILURES = Counter("liandong_sink_failures_total", "inserts that failed and were repaired", ["stream"], registry=None)
MISSING = Counter("liandong_sink_missing_offsets_total", "offsets Kafka no longer had", ["stream"], registry=None)
DEAD_LETTERS = Counter("liandong_dead_letters_total", "records given up on", ["reason"], registry=None)
LAG = Gauge("liandong_consumer_lag_records", "records not yet stored", ["group", "topic", "partition"], registry=None)
COMMITS = Counter("liandong_commits_total", "offset commits", ["stream"], registry=None)
COMMIT_FAILURES = Counter("liandong_commit_failures_total", "offset commits that failed", ["stream"], registry=None)

ALL = (ROWS, BLOCK_SECONDS, VISIBLE_SECONDS, REPAIRS, REPEATS, FAILURES, MISSING, DEAD_LETTERS, LAG, COMMITS, COMMIT_FAILURES)


def register(registry: CollectorRegistry) -> None:
    """Makes the sink's metrics part of what this process shows."""
    for metric in ALL:
        registry.register(metric)
