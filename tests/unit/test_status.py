"""What `liandong status` makes of metrics."""

from __future__ import annotations

from typing import Any

import pytest

from services.commands.scrape import by_labels, parse, quantile, since
from services.commands.status import summarise, words

GATEWAY = """# TYPE liandong_accepted_total counter
liandong_accepted_total{producer="demo-producer",topic="incident.commands"} %d
"""
WORKER = """# TYPE liandong_records_total counter
liandong_records_total{lane="case-live",topic="incident.commands"} 40
# TYPE liandong_outcomes_total counter
liandong_outcomes_total{outcome="applied",reason=""} 38
liandong_outcomes_total{outcome="refused",reason="not allowed in this state"} 2
# TYPE liandong_consumer_lag_records gauge
liandong_consumer_lag_records{group="case",topic="incident.commands",partition="0"} 3
liandong_consumer_lag_records{group="case",topic="incident.commands",partition="1"} 4
"""
HISTOGRAM = """# TYPE liandong_ack_seconds histogram
liandong_ack_seconds_bucket{le="0.01"} 50
liandong_ack_seconds_bucket{le="0.02"} 99
liandong_ack_seconds_bucket{le="+Inf"} 100
"""


def state(**processes: str) -> dict[str, Any]:
    rows = {name: {"state": what, "pid": 0, "restarts": 0, "metrics_port": 1} for name, what in processes.items()}
    return {"processes": rows, "started_at": 0, "realms": ["live"]}


def test_readings_of_several_processes_add_up() -> None:
    reading = parse([GATEWAY % 5, GATEWAY % 7])
    assert by_labels(reading, "liandong_accepted_total", "topic") == {("incident.commands",): 12}


def test_a_restarted_counter_counts_from_zero() -> None:
    rise = since(parse([GATEWAY % 90]), parse([GATEWAY % 6]))
    assert by_labels(rise, "liandong_accepted_total") == {(): 6}


def test_quantiles_lie_within_their_bucket() -> None:
    reading = parse([HISTOGRAM])
    assert quantile(reading, "liandong_ack_seconds", 0.5) == pytest.approx(0.01)
    assert quantile(reading, "liandong_ack_seconds", 0.99) == pytest.approx(0.02)
    assert quantile(reading, "liandong_ack_seconds", 0.999) == pytest.approx(0.02)
    assert quantile(reading, "liandong_http_seconds", 0.5) is None


def test_the_report_has_rates_lag_and_outcomes() -> None:
    first, second = parse([GATEWAY % 10, WORKER]), parse([GATEWAY % 30, WORKER])
    report = summarise(state(gateway="ready"), first, second, 2.0, [])
    assert report["all_ready"]
    assert report["producers"] == [{"producer": "demo-producer", "topic": "incident.commands", "per_second": 10.0, "total": 30}]
    assert report["lag"] == [{"group": "case", "topic": "incident.commands", "records": 7}]
    assert report["outcomes"] == {"applied": 38, "refused": 2}
    assert report["refusals"] == {"not allowed in this state": 2}


def test_words_say_what_is_wrong() -> None:
    report = summarise(state(gateway="ready", warehouse="backing off", relay="ready"), {}, parse([WORKER]), 1.0, ["relay"])
    said = "\n".join(words(report))
    assert "Not ready: warehouse (backing off), relay (does not answer)." in said
    assert "Behind: incident.commands by 7 (case)." in said


def test_words_say_that_all_is_well() -> None:
    said = list(words(summarise(state(gateway="ready"), {}, {}, 1.0, [])))
    assert said[0] == "All 1 processes run."
    assert "Nobody is behind." in said


def test_it_says_how_many_pages_reached_somebody_and_which_wait() -> None:
    notifier = """# TYPE liandong_pages_total counter
liandong_pages_total{kind="incident",status="sent",reason=""} 5
liandong_pages_total{kind="alarm",status="sent",reason=""} 2
liandong_pages_total{kind="incident",status="no_one_notified",reason="nobody_on_duty"} 1
# TYPE liandong_pages_waiting gauge
liandong_pages_waiting 4
# TYPE liandong_roster_gaps gauge
liandong_roster_gaps 3
"""
    report = summarise(state(notifier="ready"), parse([notifier]), parse([notifier]), 1.0, [])
    assert report["pages"] == {"sent": 7, "no_one_notified": 1}
    assert "Pages: no_one_notified 1, sent 7; 4 wait. Desks with nobody on duty: 3." in list(words(report))
