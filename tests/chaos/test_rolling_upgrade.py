"""F12: two releases side by side in one group, under load, killed in the midst, and rolled back.

The first tests settled design section 6.2, the order of commitment: a worker of the old release dies in the midst of a chunk, one of the
next release takes over. What was said (events) and what is stored (the case table) must agree, and no two copies of an event may differ.

The later ones run the rule of schemas/README.md: a release reads version v+1 before any release writes it. What a new optional field in
a state goes through: the release between reads version 2 and still writes version 1, so a case that it rewrites loses the field (it is at
its default when the later release reads it again). That is the price of being able to roll back; a field of a state must bear it.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from schemas.avro.dead_letter.event import DeadLetter
from schemas.avro.incident_event.event import IncidentEvent
from schemas.codec import codec
from services.audit import fold, table
from streams.engine.exits import Exit
from streams.engine.value import unpack
from tests.chaos import oracle, releases
from tests.chaos.results import Account
from tests.chaos.rig import CHANGELOG, EVENTS, Rig, Verdict, first_on_path, judge
from tests.helpers import until
from tests.warehouse_process import WarehouseProcess

pytestmark = [pytest.mark.chaos, pytest.mark.broker]
DYNAMIC = "dynamic"  # members that leave at once: the partitions move


def upgraded(rig: Rig, point: str, old: tuple[str, ...], new: tuple[str, ...]) -> Verdict:
    rig.start("case-live", *old, failpoint=f"{point}@4")
    rig.ready("case-live")
    rig.send(cases=600, steps=1, pause=0.02)
    assert rig.ended("case-live") == -signal.SIGKILL
    rig.account.window(point)
    rig.start("case-live", *new, tag="next")
    rig.send(cases=200, steps=1, first=600)
    rig.settled(30)
    return judge(rig, versions=False)


@pytest.mark.scenario("F12", "another policy after a kill")
@pytest.mark.parametrize("point", ["after_changelog", "after_outputs"])
def test_with_an_outbox_old_and_new_code_agree_on_what_was_said(rig: Rig, account: Account, point: str) -> None:
    upgraded(rig, point, (), ("next_release",))
    account.held()


@pytest.mark.control("F12", "outputs before state, another policy after a kill")
def test_outputs_first_parts_what_was_said_from_what_is_stored(rig: Rig, account: Account) -> None:
    broken = upgraded(rig, "after_outputs", ("outputs_first",), ("next_release_outputs_first",)).broken
    assert broken.get("conflicts"), broken
    account.red("I1", "I4")


def flowing(rig: Rig, more: int = 200) -> None:
    """Waits for so many more acknowledged commands."""
    wanted = len(rig.ledger.acked) + more
    until(lambda: len(rig.ledger.acked) >= wanted, "load under way")


def joined(rig: Rig, name: str, *controls: str, tag: str, tree: Path | None = None, failpoint: str = "") -> str:
    """A kept worker of a release, ready. `tree`: the release's folder; today's by default."""
    rig.trees[name + tag] = tree or Path.cwd()
    key = rig.keep(name, DYNAMIC, *controls, tag=tag, failpoint=failpoint)
    rig.ready(name, tag)
    return key


def leaves(rig: Rig, key: str) -> None:
    """In good order, unless the machine is so busy that its lease ran out."""
    assert rig.let_go(key) in (0, Exit.LEASE_LOST)


@pytest.mark.scenario("F12", "two policies side by side, partitions to and fro, rolled back")
def test_two_policies_side_by_side_and_back_again_agree_on_what_was_said(rig: Rig, account: Account) -> None:
    old = joined(rig, "case-live", "next_policies", tag="old")
    load = rig.load(150)
    flowing(rig)
    new = joined(rig, "case-live", "next_release", tag="new", failpoint="after_changelog@8")
    until(lambda: rig.exits[-signal.SIGKILL] == 1, "the new one dies in the midst", 90)
    account.window("new killed after its changelog")
    rig.ready("case-live", "new")
    leaves(rig, old)
    flowing(rig)
    back = joined(rig, "case-live", "next_policies", tag="back")
    before = rig.workers[new].pid
    rig.signal(new, signal.SIGKILL)
    rig.restarted(new, before)
    leaves(rig, new)
    flowing(rig)
    load.stop()
    rig.settled(30)
    rig.judged(versions=False)
    account.held()
    told = [codec(IncidentEvent).decode(record.value).policy_version for record in rig.read(EVENTS)]
    assert back
    account.figure("events of the new policy", told.count("2026.2"))
    assert 0 < told.count("2026.2") < len(told)


@pytest.fixture
def two_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle and the auditor understand version 2 as well."""
    for module in (oracle, fold, table):
        monkeypatch.setattr(module, "codec", releases.tolerant)


def warehouse_of(rig: Rig, tree: Path, monkeypatch: pytest.MonkeyPatch, module: str = "services.cli") -> WarehouseProcess:
    """Kept, of a release. Workers that follow name their own."""
    for name, value in first_on_path(tree).items():
        monkeypatch.setenv(name, value)
    return rig.keep_warehouse(module=module)


@pytest.mark.scenario("F12", "a new field in events: read, then written, side by side, rolled back")
@pytest.mark.usefixtures("two_versions")
def test_a_new_field_in_events_passes_all_readers_of_the_release_between(
    rig: Rig, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Today's worker takes over what the later one left half done: it sends version 2 from the outbox, which it could not even read."""
    reads = releases.release(rig.home, "reads", ["incident_event"], written=False)
    writes = releases.release(rig.home, "writes", ["incident_event"], written=True)
    warehouse_of(rig, reads, monkeypatch)
    joined(rig, "case-live", tag="today")
    old_reader = joined(rig, "analytics", tag="today")
    load = rig.load(120)
    flowing(rig)
    joined(rig, "analytics", tag="reads", tree=reads)
    rig.signal("analyticsreads", signal.SIGKILL)
    leaves(rig, old_reader)
    new = joined(rig, "case-live", tag="writes", tree=writes, failpoint="after_changelog@8")
    until(lambda: rig.exits[-signal.SIGKILL] == 2, "the later release dies in the midst", 90)
    account.window("later release killed after its changelog")
    rig.ready("case-live", "writes")
    flowing(rig)
    leaves(rig, new)
    flowing(rig)
    load.stop()
    rig.settled(45)
    rig.judged()
    account.held()
    by_version = releases.channels((record.value for record in rig.read(EVENTS)), "incident_event")
    for version, found in by_version.items():
        account.figure(f"events of version {version}", len(found))
    assert by_version[1]
    assert set(by_version[2]) == {releases.WORD}


@pytest.mark.scenario("F12", "events of a version their readers never heard of")
@pytest.mark.usefixtures("two_versions")
def test_a_lane_that_is_too_old_for_an_event_stops_and_loses_nothing(rig: Rig, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule was broken. Lane and sink do not pass over the event, whose mark they could not come back to: the lane ends by name, the
    sink holds the stream and says so, and both go on as soon as a release runs that reads it."""
    writes = releases.release(rig.home, "writes", ["incident_event"], written=True)
    warehouse = warehouse_of(rig, Path.cwd(), monkeypatch)
    joined(rig, "analytics", tag="today")
    joined(rig, "case-live", tag="writes", tree=writes)
    rig.send(cases=100, steps=2)
    until(lambda: rig.exits[Exit.TOO_OLD], "analytics says that it is too old")
    rig.let_go("analyticstoday")
    until(lambda: b"waiting for an upgrade" in warehouse.log.read_bytes(), "the sink says that it is too old")
    assert warehouse.get("/v1/cases/none").status_code == 404, "reads are served all the same"
    monkeypatch.setenv("PYTHONPATH", first_on_path(writes)["PYTHONPATH"])
    assert warehouse.stop() == 0
    joined(rig, "analytics", tag="writes", tree=writes)
    rig.settled(30)
    rig.judged()
    account.held()


@pytest.mark.control("F12", "events of a version their readers never heard of, and the lane buries them")
@pytest.mark.usefixtures("two_versions")
def test_readers_that_bury_what_they_are_too_old_for_lose_it(rig: Rig, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is gone from Kafka, the letters hold the bytes; but a letter of a derived record is not sent again: the other readers would
    take it twice."""
    writes = releases.release(rig.home, "writes", ["incident_event"], written=True)
    monkeypatch.setenv("LIANDONG_TEST_UNGUARDED", "wait_for_upgrade")
    warehouse_of(rig, Path.cwd(), monkeypatch, "tests.chaos.unguarded")
    joined(rig, "analytics", "buries_all", tag="today")
    joined(rig, "case-live", tag="writes", tree=writes)
    rig.send(cases=100, steps=2)
    rig.settled(30)
    verdict = rig.judged()
    account.red("I1")
    letters = [codec(DeadLetter).decode(record.value) for record in rig.read("dead.letters")]
    assert {letter.reason for letter in letters} == {"unknown_schema"}
    for lane in ("analytics", "sink"):
        account.figure(f"letters of {lane}", sum(letter.lane == lane for letter in letters))
    assert verdict.missing_deltas == verdict.missing_facts == 200


@pytest.mark.scenario("F12", "a new field in the state: read, then written, side by side, rolled back")
@pytest.mark.usefixtures("two_versions")
def test_a_new_field_in_the_state_survives_partitions_to_and_fro_and_a_roll_back(rig: Rig, account: Account) -> None:
    """Rolled back one release too far, the worker ends by name instead of burying the commands of cases it cannot read."""
    reads = releases.release(rig.home, "reads", ["incident_case"], written=False)
    writes = releases.release(rig.home, "writes", ["incident_case"], written=True)
    between = joined(rig, "case-live", tag="reads", tree=reads)
    load = rig.load(100)
    flowing(rig)
    later = joined(rig, "case-live", tag="writes", tree=writes, failpoint="after_changelog@8")
    until(lambda: rig.exits[-signal.SIGKILL] == 1, "the later release dies in the midst", 90)
    account.window("later release killed after its changelog")
    rig.ready("case-live", "writes")
    leaves(rig, between)
    rig.send(cases=60, steps=2)
    joined(rig, "case-live", tag="back", tree=reads)
    leaves(rig, later)
    too_far = joined(rig, "case-live", tag="today")
    rig.send(cases=60, steps=2, from_step=2)
    until(lambda: rig.exits[Exit.TOO_OLD], "today's release says that it is too old", 60)
    account.window("one release too far back")
    rig.let_go(too_far)
    load.stop()
    rig.settled(45)
    rig.judged()
    account.held()
    states = [(record.key, unpack(record.value).state) for record in rig.read(CHANGELOG)]
    words = [(key, *releases.channels([state], "incident_case")[2]) for key, state in states if state]
    second = {key for key, *word in words if word}
    account.figure("states of version 2", sum(len(word) > 0 for _, *word in words))
    account.figure("cases rewritten in version 1", len({key for (key, *word) in words if not word} & second))
    assert second
