"""`liandong status`: how a platform does, in words or as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import psutil
import typer

from services.clock import now_ms
from services.commands.options import DEFAULT, AsJson, DataDir, print_json, running
from services.commands.scrape import Reading, by_labels, quantile, read_all, since

LATENCIES = {
    "accepted to acknowledged by Kafka": "liandong_ack_seconds",
    "appended to decided": "liandong_event_age_seconds",
    "appended to queryable": "liandong_ingest_to_visible_seconds",
    "accepted to live frame": "liandong_live_frame_age_seconds",
    "notified to told": "liandong_page_seconds",
}


def status(
    *,
    data_dir: DataDir = DEFAULT,
    as_json: AsJson = False,
    window: Annotated[float, typer.Option(help="Seconds over which rates are measured.")] = 2.0,
) -> None:
    """Say how the platform does: rates, lag, failures, restarts, freshness. Exit code 3 when none runs, 1 when not all is ready."""
    _, state = running(data_dir)
    ports = {name: row["metrics_port"] for name, row in state["processes"].items() if row["metrics_port"]}
    ports["supervisor"] = state["supervisor_metrics_port"]
    began, (first, _) = time.monotonic(), read_all(ports)
    time.sleep(window)
    second, silent = read_all(ports)
    report = summarise(state, first, second, time.monotonic() - began, silent)
    if as_json:
        print_json(report)
    else:
        for line in words(report):
            typer.echo(line)
    if not report["all_ready"]:
        raise typer.Exit(1)


def summarise(state: dict[str, Any], first: Reading, second: Reading, seconds: float, silent: list[str]) -> dict[str, Any]:
    """The report: totals since each process's start, rates over the `seconds` between both readings."""
    rise = since(first, second)
    processes = {
        name: {
            "state": row["state"],
            "pid": row["pid"],
            "restarts": row["restarts"],
            "answers": name not in silent,
            "memory_mb": _memory_mb(row["pid"]),
        }
        for name, row in state["processes"].items()
    }
    return {
        "all_ready": all(row["state"] == "ready" and row["answers"] for row in processes.values()),
        "uptime_seconds": (now_ms() - state["started_at"]) / 1000,
        "realms": state["realms"],
        "processes": processes,
        "memory_mb": sum(row["memory_mb"] for row in processes.values()),
        "producers": _rates(rise, second, seconds, "liandong_accepted_total", "producer", "topic"),
        "rejected": _totals(second, "liandong_rejected_total", "reason"),
        "lanes": _rates(rise, second, seconds, "liandong_records_total", "lane", "topic"),
        "sink": _rates(rise, second, seconds, "liandong_sink_rows_total", "stream"),
        "lag": [
            {"group": group, "topic": topic, "records": int(records)}
            for (group, topic), records in sorted(by_labels(second, "liandong_consumer_lag_records", "group", "topic").items())
        ],
        "outcomes": _totals(second, "liandong_outcomes_total", "outcome"),
        "refusals": {
            reason: count
            for (outcome, reason), count in _pairs(second, "liandong_outcomes_total", "outcome", "reason")
            if outcome == "refused" and reason
        },
        "dead_letters": _totals(second, "liandong_dead_letters_total", "reason"),
        "commit_failures": int(sum(by_labels(second, "liandong_commit_failures_total").values())),
        "open_timers": int(sum(by_labels(second, "liandong_open_timers").values())),
        "pages": _totals(second, "liandong_pages_total", "status"),
        "pages_waiting": int(sum(by_labels(second, "liandong_pages_waiting").values())),
        "desks_without_duty": int(sum(by_labels(second, "liandong_roster_gaps").values())),
        "live_screens": int(sum(by_labels(second, "liandong_sse_clients").values())),
        "restarts": {name: row["restarts"] for name, row in processes.items() if row["restarts"]},
        "clock_skew_seconds": round(sum(by_labels(second, "liandong_clock_skew_seconds").values()), 3),
        "latency_seconds": {
            what: {"p50": quantile(chosen, name, 0.5), "p99": quantile(chosen, name, 0.99), "over": over}
            for what, name in LATENCIES.items()
            for chosen, over in [(rise, "window") if quantile(rise, name, 0.5) is not None else (second, "start")]
            if quantile(chosen, name, 0.5) is not None
        },
    }


def words(report: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    rows = report["processes"]
    troubled = [
        f"{name} ({row['state'] if row['state'] != 'ready' else 'does not answer'})" for name, row in rows.items() if not _well(row)
    ]
    yield f"All {len(rows)} processes run." if report["all_ready"] else f"Not ready: {', '.join(troubled)}."
    yield f"Up for {_duration(report['uptime_seconds'])}, realms {', '.join(report['realms'])}, {report['memory_mb']:.0f} MB of memory."
    for row in report["producers"]:
        yield f"{row['producer']} sends {row['per_second']:.1f}/s to {row['topic']} ({row['total']:,} so far)."
    for row in report["lanes"]:
        yield f"Lane {row['lane']} decides {row['per_second']:.1f}/s from {row['topic']} ({row['total']:,} so far)."
    stored = sum(row["per_second"] for row in report["sink"])
    yield f"The warehouse stores {stored:.1f} rows/s ({sum(row['total'] for row in report['sink']):,} so far)."
    behind = [f"{row['topic']} by {row['records']:,} ({row['group']})" for row in report["lag"] if row["records"]]
    yield f"Behind: {'; '.join(behind)}." if behind else "Nobody is behind."
    for what, figures in report["latency_seconds"].items():
        yield f"From {what}: half within {_milliseconds(figures['p50'])}, 99 % within {_milliseconds(figures['p99'])}."
    yield f"Outcomes: {_listed(report['outcomes'])}. Refusals: {_listed(report['refusals'])}."
    yield f"Rejected at the gateway: {_listed(report['rejected'])}."
    yield f"Pages: {_listed(report['pages'])}; {report['pages_waiting']} wait. Desks with nobody on duty: {report['desks_without_duty']}."
    yield f"Dead letters: {_listed(report['dead_letters'])}."
    yield f"Restarts: {_listed(report['restarts'])}. Failed commits: {report['commit_failures']}."
    yield f"Live screens: {report['live_screens']}. Open timers: {report['open_timers']}."
    yield f"The clock moved by {report['clock_skew_seconds']:+.3f} s against the monotonic one."


def _well(row: dict[str, Any]) -> bool:
    return bool(row["state"] == "ready" and row["answers"])


def _rates(rise: Reading, total: Reading, seconds: float, name: str, *labels: str) -> list[dict[str, Any]]:
    rises = by_labels(rise, name, *labels)
    return [
        dict(zip(labels, values, strict=True)) | {"per_second": rises.get(values, 0.0) / seconds, "total": int(count)}
        for values, count in sorted(by_labels(total, name, *labels).items())
    ]


def _totals(reading: Reading, name: str, label: str) -> dict[str, int]:
    return {value: int(count) for (value,), count in sorted(by_labels(reading, name, label).items())}


def _pairs(reading: Reading, name: str, *labels: str) -> list[tuple[tuple[str, ...], int]]:
    return [(values, int(count)) for values, count in sorted(by_labels(reading, name, *labels).items())]


def _memory_mb(pid: int) -> float:
    """Resident memory; 0 for one that doesn't run."""
    if not pid:
        return 0.0
    try:
        return float(round(psutil.Process(pid).memory_info().rss / 1e6, 1))
    except psutil.Error:
        return 0.0


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "none"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else _duration(seconds)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
