"""What the gateway counts. Names: liandong_, seconds, _total."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ACCEPTED = Counter("liandong_accepted_total", "Commands acknowledged by Kafka.", ["producer", "topic"])
REJECTED = Counter("liandong_rejected_total", "Requests and lines refused, by reason.", ["reason"])
ACK_SECONDS = Histogram(
    "liandong_ack_seconds",
    "From a readable request or chunk of lines to Kafka's acknowledgement.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
HTTP_SECONDS = Histogram(
    "liandong_http_seconds", "Duration of requests.", ["route"], buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
)
PENDING = Gauge("liandong_pending_cases", "Just accepted cases kept in memory until the read port shows them.")
