"""Every metric of the dashboard process."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CLIENTS = Gauge("liandong_sse_clients", "Open live streams.", ["realm"])
FRAMES = Counter("liandong_live_frames_total", "Deltas read from live.deltas into the ring.", ["realm"])
FRAME_AGE = Histogram(
    "liandong_live_frame_age_seconds",
    "From the append of a command's record (received_at) to its frame being in the ring; not measured in realm replay.",
    ["realm"],
    buckets=(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1, 2, 5, 10, 30, 60),
)
UNREADABLE = Counter(
    "liandong_live_unreadable_total", "Records of live.deltas that are no delta (skipped here; the sink keeps them).", ["realm"]
)
DROPPED = Counter("liandong_sse_dropped_total", "Streams ended by us.", ["reason"])
RESUMES = Counter("liandong_sse_resumes_total", "Streams begun from a vector, by where the missing frames came from.", ["source"])
SNAPSHOTS = Counter("liandong_snapshot_requests_total", "Snapshots asked of the read port, by its answer.", ["status"])
