"""The wheel, the layout of values that have timers, and what the runner does with them."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry

from schemas.avro.dead_letter.event import DeadLetter
from schemas.codec import codec
from schemas.realms import Realm
from services.audit.table import parse
from services.repartition.copying import Account, Route
from services.repartition.tables import TableAccount, planned
from streams.agents.relay import RelayProcessor
from streams.app import WorkerSettings, build_app
from streams.engine import runner
from streams.engine.metrics import WorkerMetrics
from streams.engine.source import src_of
from streams.engine.value import QUARANTINED, Value, due_of, outbox_at, pack, unpack, version_of, without_outbox
from streams.engine.wheel import SLACK, Timed, Wheel
from streams.engine.working import MARK
from tests.timed_worker import LANE
from tests.timers import LOG, WALL, Bells, Worker, is_wake_up, kept, outcomes, record, rung

AT = 1_795_300_000_000


def test_a_value_written_before_there_were_timers_reads_as_one_without() -> None:
    before = struct.pack("<qBI", 7, QUARANTINED, 5) + b"state" + b"outbox"
    assert unpack(before) == Value(7, QUARANTINED, b"state", b"outbox", 0)
    assert pack(7, QUARANTINED, b"state", b"outbox") == before
    assert (due_of(before), without_outbox(before)) == (0, before[:-6])


@pytest.mark.parametrize("flags", [0, QUARANTINED])
@pytest.mark.parametrize("due", [0, 1, AT])
def test_a_value_gives_back_its_parts_with_and_without_a_timer(flags: int, due: int) -> None:
    raw = pack(9, flags, b"state", b"outbox", due)
    assert unpack(raw) == Value(9, flags, b"state", b"outbox", due)
    assert (version_of(raw), due_of(raw), raw[outbox_at(raw) :]) == (9, due, b"outbox")
    assert unpack(without_outbox(raw)) == Value(9, flags, b"state", b"", due)
    audited = parse(raw)
    assert (audited.state, audited.outbox, audited.flags & QUARANTINED) == (b"state", b"outbox", flags)


def test_a_wheel_gives_what_is_due_oldest_first_and_ties_by_key() -> None:
    wheel = Wheel({b"b": pack(1, 0, b"s", b"", 20), b"none": pack(1, 0, b"s", b""), b"c": pack(1, 0, b"s", b"", 10)})
    wheel.move(b"a", 0, 20)
    assert (wheel.first(), wheel.open) == (10, 3)
    assert wheel.pop(9) is None
    assert [wheel.pop(20) for _ in range(4)] == [(10, b"c"), (20, b"a"), (20, b"b"), None]


def test_a_wheel_counts_keys_and_forgets_stale_entries() -> None:
    part = {b"%d" % number: pack(1, 0, b"s", b"", AT + number) for number in range(150)}  # the last 50 stay as they are
    wheel, chance = Wheel(part), random.Random(1)
    for turn in range(50_000):
        key, due = b"%d" % chance.randrange(100), chance.choice([0, AT + chance.randrange(1000)])
        wheel.move(key, due_of(part[key]), due)
        part[key] = pack(1, 0, b"s", b"", due)
        if turn % 10 == 0:
            wheel.tidy()
    open_keys = {key: due_of(value) for key, value in part.items() if due_of(value)}
    assert wheel.open == len(open_keys)
    assert len(wheel) <= 2 * wheel.open + SLACK + 10
    found = {}
    while (entry := wheel.pop(AT + 1000)) is not None:
        if wheel.holds(*entry):
            found[entry[1]] = entry[0]
    assert found == open_keys


def test_a_processor_without_next_due_and_wake_has_no_timers() -> None:
    assert isinstance(Bells(), Timed)
    assert not isinstance(RelayProcessor(), Timed)


def test_a_lane_with_timers_has_one_input(tmp_path: Path) -> None:
    settings = WorkerSettings("127.0.0.1:9", 4, (Realm.LIVE, Realm.DRILL), (), str(tmp_path), "test")
    with pytest.raises(ValueError, match="several inputs"):
        build_app(LANE, settings, WorkerMetrics(CollectorRegistry()))


def test_a_timer_survives_the_worker_in_the_value_it_is_stored_with() -> None:
    changes, _ = Worker(WALL).run([record(WALL, 0, AT, b"a", b"arm 50 20"), record(WALL, 1, AT + 1, b"b", b"arm 5")])
    again = Worker(WALL, changes)
    assert again.table.timers() == 2
    assert [again.table.wheels[0].pop(AT + 100) for _ in range(3)] == [(AT + 6, b"b"), (AT + 20, b"a"), None]


def test_an_early_a_stale_and_a_doubled_wake_up_change_nothing() -> None:
    worker = Worker(WALL)
    worker.run([record(WALL, 0, AT, b"a", b"arm 50")])
    before = unpack(worker.table.parts[0][b"a"])
    assert worker.run([record(WALL, 1, AT + 49, b"a", b"wake")])[1] == []
    assert unpack(worker.table.parts[0][b"a"])[2:] == before[2:]
    assert rung(worker.run([record(WALL, 2, AT + 50, b"a", b"wake")])[1]) == [("a", 0, AT + 50)]
    after = unpack(worker.table.parts[0][b"a"])
    assert worker.run([record(WALL, 3, AT + 50, b"a", b"wake"), record(WALL, 4, AT + 99, b"a", b"wake")])[1] == []
    assert unpack(worker.table.parts[0][b"a"])[2:] == after[2:]
    assert worker.table.timers() == 0


def test_a_command_settles_what_was_due_before_it() -> None:
    worker = Worker(WALL)
    said = worker.run([record(WALL, 0, AT, b"a", b"arm 10 90"), record(WALL, 1, AT + 30, b"a", b"cancel")])[1]
    assert rung(said) == [("a", 0, AT + 10)]
    assert worker.table.timers() == 0


def test_how_late_a_timer_was_settled_is_measured_on_wall_time_only() -> None:
    for topic, measured in ((WALL, 1), (LOG, 0)):
        worker = Worker(topic)
        worker.run([record(topic, 0, AT, b"a", b"arm 10"), record(topic, 1, AT + 30, b"a", b"wake")])
        counts = [s.value for m in worker.metrics.lateness.collect() for s in m.samples if s.name.endswith("_count")]
        assert counts == [measured]


class Broken(Bells):
    """Crashes on a wake-up."""

    def process(self, record, source, state):  # type: ignore[no-untyped-def]
        if record.value == b"wake":
            raise RuntimeError("no")
        return super().process(record, source, state)


@pytest.mark.parametrize("topic", [WALL, LOG])
def test_a_key_on_whose_wake_up_decide_crashes_is_quarantined_and_not_woken_again(topic: str) -> None:
    worker = Worker(topic, processor=Broken())
    log = [record(topic, 0, AT, b"a", b"arm 10 20"), record(topic, 1, AT + 5, b"b", b"arm 1")]
    log += [record(topic, 2, AT + 100, b"a", b"wake")] if topic == WALL else [record(topic, 2, AT + 100, b"c", b"arm 900")]
    said = worker.run(log)[1]
    letters = [codec(DeadLetter).decode(output.value) for output in said if output.topic.endswith("dead.letters")]
    assert (b"a", b"wake", "decide_crashed") in [(letter.key, letter.value, letter.reason) for letter in letters]
    assert unpack(worker.table.parts[0][b"a"])[1:2] == (QUARANTINED,)
    assert due_of(worker.table.parts[0][b"a"]) == 0
    assert worker.table.timers() == 1, "another key's timer goes on"


class Deaf(Bells):
    """Never settles anything."""

    def process(self, record, source, state):  # type: ignore[no-untyped-def]
        return (state, ()) if record.value == b"wake" else super().process(record, source, state)


def test_on_log_time_a_timer_that_will_not_go_holds_nothing_up() -> None:
    worker = Worker(LOG, processor=Deaf())
    worker.run([record(LOG, 0, AT, b"a", b"arm 10")])
    said = worker.run([record(LOG, offset, AT + 10 * offset, b"b", b"arm 5") for offset in range(1, 4)])[1]
    assert [one.outcome for one in outcomes(said) if one.case_id == "b"].count("armed") == 3
    assert due_of(worker.table.parts[0][b"a"]) == AT + 10, "and is tried again before each record"


def test_on_log_time_settlements_have_places_of_their_own_above_all_before_them() -> None:
    worker = Worker(LOG)
    armed = [record(LOG, offset, AT, b"%03d" % offset, b"arm 10 10") for offset in range(600)]
    worker.run(armed)
    said = worker.run([record(LOG, 600, AT + 10, b"x", b"arm")])[1]
    assert [key for key, _, _ in rung(said)] == [f"{offset:03d}" for offset in range(600) for _ in range(2)]
    places = [src_of(output.headers) for output in said[:-1]]
    assert {(src.topic, src.partition) for src in places if src} == {(f"{LOG}.timers", 0)}
    numbers = [(src.offset, src.position) for src in places if src]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == (600 << 24, 0)
    last = src_of(said[-1].headers)
    assert last is not None
    assert (last.topic, last.offset) == (LOG, 600)


def test_on_log_time_a_key_due_at_its_own_record_is_settled_and_then_decided() -> None:
    said = Worker(LOG).run([record(LOG, 0, AT, b"a", b"arm 10"), record(LOG, 1, AT + 30, b"a", b"arm 5")])[1]
    assert [(one.outcome, one.received_at) for one in outcomes(said)] == [("armed", AT), ("rang", AT + 10), ("armed", AT + 30)]


def rings_due_together() -> list[ConsumerRecord]:
    armed = [record(LOG, offset, AT, key, b"arm 10") for offset, key in enumerate((b"a", b"b", b"c"))]
    return [*armed, record(LOG, 3, AT + 10, b"b", b"arm 5")]


def test_on_log_time_what_a_whole_changelog_holds_is_said_again_byte_for_byte_and_once() -> None:
    log = rings_due_together()
    changes, said = Worker(LOG).run(log)
    assert len(rung(said)) == 3
    assert Worker(LOG, changes).run(log)[1] == said
    again = Worker(LOG, changes)
    assert [output for one in log for output in again.run([one])[1]] == said


class Mute(Bells):
    """A release that rings key a without a word."""

    def process(self, record, source, state):  # type: ignore[no-untyped-def]
        after, said = super().process(record, source, state)
        return (after, ()) if record.key == b"a" and record.value == b"wake" else (after, said)


@pytest.mark.parametrize("stored", [b"b", b"c"])
def test_on_log_time_a_stored_settlement_makes_room_for_a_release_that_says_more_before_it(stored: bytes) -> None:
    log = rings_due_together()
    changes, before = Worker(LOG, processor=Mute()).run(log)
    assert [key for key, _, _ in rung(before)] == ["b", "c"]
    said = Worker(LOG, [change for change in changes if change[0] == stored]).run(log)[1]
    assert [key for key, _, _ in rung(kept(said))] == ["a", "b", "c"]
    assert [output.headers[1] for output in said] == [("ce_id", dict(output.headers)["src"]) for output in said]


def test_a_letter_stored_beside_a_record_that_said_nothing_is_said_again_however_the_log_is_cut() -> None:
    log = [record(WALL, 0, AT, b"a", b"wake"), record(WALL, 1, AT, b"b", b"nonsense"), record(WALL, 2, AT, b"b", b"arm 5")]
    changes, said = Worker(WALL).run(log)
    assert [output.topic for output in said] == ["dead.letters", "outcomes"]
    again = Worker(WALL, changes)
    assert [output for one in log for output in again.run([one])[1]] == said


def test_a_timer_moves_with_its_key_to_another_number_of_partitions() -> None:
    route = Route(None, "old", None, 3)  # type: ignore[arg-type]
    commands = Account("bells.commands", ends={0: 50, 1: 60, 2: 70})
    old = {0: {b"%d" % number: pack(900, 0, b"state", b"outbox", AT + number) for number in range(20)}}
    new = planned(route, TableAccount("bells"), old, [commands], {})
    moved = {key: value for part in new.values() for key, value in part.items() if not key.startswith(MARK)}
    assert {key: due_of(value) for key, value in moved.items()} == {b"%d" % number: AT + number for number in range(20)}
    assert sum(Wheel(part).open for part in new.values()) == 20


def test_a_wake_up_says_that_it_is_one() -> None:
    assert is_wake_up(record(WALL, 0, AT, b"a", b"wake", [("wake", b"1")]))
    assert not is_wake_up(record(WALL, 0, AT, b"a", b"wake"))


def test_many_timers_before_one_record_let_the_loop_have_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SLICE_SECONDS", 0.0)
    worker = Worker(LOG)
    worker.run([record(LOG, number, 0, b"key-%d" % number, b"arm 10") for number in range(50)])
    steps = worker.steps([record(LOG, 50, 1_000, b"another", b"arm 5")])
    assert sum(1 for _ in steps) >= 50, "after each of them"
    assert len(rung(worker.shipped.pop()[1])) == 50


@pytest.mark.parametrize("topic", [LOG, WALL])
def test_a_chunk_whose_partition_was_restored_while_it_was_decided_says_nothing(topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SLICE_SECONDS", 0.0)
    worker = Worker(topic)
    chunk = [record(topic, number, number, b"key-%d" % number, b"arm 5") for number in range(10)]
    steps = worker.steps(chunk)
    next(steps)
    worker.table.restore({0: {}})
    assert len(list(steps)) >= 9
    assert worker.shipped == []
    assert worker.table.parts == {0: {}}
    assert worker.run(chunk)[0], "it is decided again by whoever has the partition now"
