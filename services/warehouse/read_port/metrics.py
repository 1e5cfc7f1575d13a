"""Metrics of the read port."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

QUERY_SECONDS = Histogram(
    "liandong_query_seconds", "one named query", ["query"], registry=None, buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10)
)
ANSWERS = Counter("liandong_read_answers_total", "answers of the read port", ["route", "status"], registry=None)


def register(registry: CollectorRegistry) -> None:
    for metric in (QUERY_SECONDS, ANSWERS):
        registry.register(metric)
