"""Every metric of the notifier process."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

PAGES = Counter("liandong_pages_total", "Notifications answered, by what became of them.", ["kind", "status", "reason"])
PAGE_SECONDS = Histogram(
    "liandong_page_seconds",
    "From the append of a notification of realm live to its messages being taken over by their channels.",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900),
)
MESSAGES = Counter("liandong_page_messages_total", "Messages, by kind of channel and how they ended.", ["channel", "result"])
WAITING = Gauge("liandong_pages_waiting", "Pages that wait for somebody's next bundle.")
BUNDLES = Counter("liandong_page_bundles_total", "Bundles of what had waited, by how they ended.", ["result"])
UNDER_WAY = Gauge("liandong_pages_under_way", "Notifications read whose result is not yet acknowledged.")
REPEATS = Counter("liandong_page_repeats_total", "Notifications read again after a stop whose result was there already.")
UNREADABLE = Counter("liandong_notifications_unreadable_total", "Notifications whose bytes are none.")
LAG = Gauge("liandong_consumer_lag_records", "Notifications not yet answered.", ["group", "topic", "partition"])
COMMITS = Counter("liandong_commits_total", "Offset commits.")
COMMIT_FAILURES = Counter("liandong_commit_failures_total", "Offset commits that failed.")
GAPS = Gauge("liandong_roster_gaps", "Desks with a roster and nobody on duty now.")
DUTY_EVENTS = Counter("liandong_duty_events_total", "Gaps found, filled and come true.", ["type"])
HEARTBEATS = Counter("liandong_heartbeats_total", "Signs of life to outside, by how they ended.", ["result"])
