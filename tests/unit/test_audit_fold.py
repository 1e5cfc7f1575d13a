"""The auditor's fold: the readers' rule, the chain of each case, and every way in which a log can be wrong."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import services.audit
from schemas.avro.alarm_event.event import AlarmEvent
from schemas.avro.incident_event.event import IncidentEvent
from services.audit.fold import Fold
from services.audit.kinds import KINDS
from services.audit.report import Report
from services.audit.table import StateCheck, Table
from streams.engine.value import pack
from tests import numbered
from tests.audits import state_of
from tests.contract.test_row_hashes import clock

ALLOWED = {*sys.stdlib_module_names, "schemas", "aiokafka", "httpx"}
READER = "services.adapters.topic_log"
"""The one module of ours beside the auditor's own; it keeps the same rule."""


class Log:
    """A log of one partition, written record by record."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def put(self, event: IncidentEvent | AlarmEvent, **given: Any) -> Log:
        topic, offset = "incident.events", len(self.records)
        fields = {"key": event.case_id.encode(), "value": numbered.encode(event), "headers": [numbered.header(event)]}
        self.records.append(SimpleNamespace(topic=topic, partition=0, offset=offset, **(fields | given)))
        return self

    def put_all(self, *numbers: int) -> Log:
        for number in numbers:
            self.put(numbered.event(number, 0))
        return self

    def fold(self) -> tuple[Fold, Report]:
        report = Report("live")
        fold = Fold(KINDS[0], "live", report)
        fold.take(0, self.records)
        return fold, report


def counts(log: Log) -> dict[str, int]:
    return log.fold()[1].counts


def test_a_log_in_order_has_no_differences_and_repeats_are_dropped() -> None:
    fold, report = Log().put_all(0, 1, 2, 1, 2, 3, 4, 5).fold()
    assert report.counts == {}
    assert (fold.counts["events"], fold.counts["repeats"], {case: c.seq for case, c in fold.cases.items()}) == (
        6, 2, {"case-live-0-0": 5, "case-live-0-1": 1},
    )  # fmt: skip


def test_events_missing_from_the_middle_are_counted_once() -> None:
    assert counts(Log().put_all(0, 3, 4)) == {"log.gap": 2}


def test_a_copy_with_other_bytes_and_one_that_every_reader_drops_are_told_apart() -> None:
    assert counts(Log().put_all(0, 1).put(numbered.event(1, 0, holder="x"))) == {"log.copies_differ": 1}
    assert counts(Log().put_all(0, 2, 1)) == {"log.skipped": 1, "log.gap": 1}


@pytest.mark.parametrize(
    ("field", "name"), [("state_from", "log.state_from"), ("county_from", "log.county_from"), ("type_from", "log.type_from")]
)
def test_what_an_event_says_of_before_is_what_the_last_one_said(field: str, name: str) -> None:
    assert counts(Log().put_all(0).put(numbered.event(1, 0, **{field: "other"}))) == {name: 1}


def test_the_same_place_in_a_case_twice_by_other_commands_is_seen() -> None:
    again = numbered.event(1, 0, src_offset=9)
    assert counts(Log().put_all(0, 1).put(again)) == {"log.seq_twice": 1}


def after_end(**given: Any) -> dict[str, int]:
    county, kind = numbered.COUNTIES[0], numbered.TYPES[0]
    before = {"state_from": "closed", "county": county, "county_from": county, "incident_type": kind, "type_from": kind}
    return counts(Log().put_all(0, 1, 2, 3, 4).put(numbered.event(5, 0, case_id="case-live-0-0", case_seq=6, **before, **given)))


def test_nothing_follows_an_end_but_filing_and_reopening() -> None:
    assert after_end(state="handling", mirrored=False) == {"log.after_end": 1}
    assert after_end(state="handling", mirrored=True) == {"log.after_end": 1}
    assert after_end(state="handling", mirrored=False, type="incident.reopened") == {}
    assert after_end(state="handling", mirrored=True, rule="source_reopened") == {}
    assert after_end(state="archived", mirrored=False, type="incident.archived") == {}


def test_records_that_stand_where_they_should_not_are_seen() -> None:
    assert counts(Log().put(numbered.event(0, 0), key=b"other")) == {"log.misplaced": 1}
    assert counts(Log().put(numbered.event(0, 0, realm="drill"))) == {"log.misplaced": 1}
    assert counts(Log().put(numbered.event(0, 0), value=b"\x00\x00")) == {"log.unreadable": 1}
    assert counts(Log().put(numbered.event(0, 0), headers=[])) == {"log.without_source": 1}


def value(key: bytes, raw: bytes | None) -> Any:
    return SimpleNamespace(key=key, value=raw)


def check(*records: Any, numbers: range = range(5)) -> tuple[StateCheck, Report, Table]:
    fold, report = Log().put_all(*numbers).fold()
    fold.mark_end()
    table = Table()
    table.take(0, records)
    found = StateCheck(fold, report)
    found.compare(table)
    return found, report, table


def stored(number: int, version: int = -1, flags: int = 0, outbox: bytes = b"", **given: Any) -> Any:
    event = numbered.event(number, 0)
    state = numbered.encode(state_of(event, **given))
    return value(event.case_id.encode(), pack(number if version < 0 else version, flags, state, outbox))


def test_the_highest_version_wins_whatever_came_last() -> None:
    _, report, table = check(stored(4), stored(3))
    assert (report.counts, table.counts["lower_versions"]) == ({}, 1)
    assert check(stored(3, version=9), stored(4))[1].counts == {"table.behind": 1}


def test_marks_are_no_cases_and_flags_are_reported() -> None:
    _, report, table = check(value(b"\x00mark:a:0", pack(9, 0, b"\1", b"")), stored(4, flags=1, outbox=b"xyz"))
    assert (report.counts, table.counts["quarantined"], table.counts["with_outbox"], table.counts["states"]) == ({}, 1, 1, 1)


def test_missing_changed_and_unreadable_states_are_told_apart() -> None:
    assert check()[1].counts == {"table.missing": 1}
    assert check(stored(4, holder="x"))[1].counts == {"table.differs": 1}
    assert check(value(b"case-live-0-0", pack(4, 0, b"junk", b"")))[1].counts == {"table.unreadable": 1}


def test_a_clock_that_an_event_tells_otherwise_than_the_state_has_it_is_seen() -> None:
    told, other = clock("total"), clock("total", retracted=True)
    for held, expected in (((clock("sign"), told), {}), ((clock("sign"), other), {"table.differs": 1}), ((), {"table.differs": 1})):
        fold, report = Log().put_all(0, 1, 2, 3).put(numbered.event(4, 0, clocks=(told,))).fold()
        table = Table()
        table.take(0, [stored(4, clocks=held)])
        StateCheck(fold, report).compare(table)
        assert report.counts == expected


def test_a_state_ahead_is_judged_by_the_event_that_comes_later() -> None:
    found, report, _ = check(stored(4, outbox=b"its event"), numbers=range(4))
    assert list(found.ahead) == ["case-live-0-0"]
    found.judge({0: 4})  # not committed: the event may still be sent
    assert found.ahead
    late = Log().put_all(0, 1, 2, 3, 4).records[4:]
    found._fold.take(0, late)
    found.settle()
    assert (report.counts, found.ahead) == ({}, {})


@pytest.mark.parametrize(("outbox", "committed"), [(b"", 0), (b"its event", 5)])
def test_a_state_whose_event_can_no_longer_come_is_ahead_for_good(outbox: bytes, committed: int) -> None:
    found, report, _ = check(stored(4, outbox=outbox), numbers=range(4))
    found.judge({0: committed})
    assert (report.counts, found.ahead) == ({"table.ahead": 1}, {})


def alarm(seq: int, state: str, type_: str, before: str) -> AlarmEvent:
    values: dict[str, Any] = {name: 0 if kind == "int" else "" for name, kind in AlarmEvent.__annotations__.items()}
    values |= {"case_id": "line", "case_seq": seq, "state": state, "state_from": before, "type": type_, "realm": "live", "county": "440305"}
    return AlarmEvent(**values | {"county_from": "440305" if before else "", "src_topic": "alarm.commands", "src_offset": seq})


def test_an_alarm_line_is_raised_again_after_its_end_and_nothing_else_follows_it() -> None:
    steps = (("raised", "alarm.raised"), ("acknowledged", "alarm.acknowledged"), ("closed", "alarm.closed"))
    for last, expected in (("alarm.reopened", {}), ("alarm.raised", {}), ("alarm.pressed_again", {"log.after_end": 1})):
        log, before = Log(), ""
        for seq, (state, type_) in enumerate([*steps, ("raised", last)], 1):
            log.put(alarm(seq, state, type_, before))
            before = state
        report = Report("live")
        Fold(KINDS[1], "live", report).take(0, log.records)
        assert report.counts == expected


def test_the_auditor_imports_contracts_and_clients_only() -> None:
    found = set()
    reader = Path(*READER.split(".")).with_suffix(".py")
    folder = Path(services.audit.__path__[0])
    for path in (*folder.glob("*.py"), folder.parents[1] / reader):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module or "")
    assert {name for name in found if name.split(".")[0] not in ALLOWED and not name.startswith(("services.audit", READER))} == set()
