"""Topic `config` as a process reads it: what nobody can read, or what is of another release, is told; the relay stamps by it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from schemas.avro.activation.event import Activation
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_report.event import IncidentReport
from schemas.codec import codec
from schemas.errors import UnknownPolicy
from schemas.policies import latest, lend, policies
from schemas.policy import store
from schemas.policy.schedule import Schedule
from streams.agents.relay import RelayProcessor
from streams.domain.core import Source
from streams.engine import following
from streams.engine.following import Follower, Scheduled

ACTIVATIONS, REPORTS = codec(Activation), codec(IncidentReport)


def activation(version: str = "2026.1", moment: int = 100, **more: Any) -> Activation:
    made: dict[str, Any] = {"fingerprint": store.fingerprint("2026.1"), "realm": "live", "principal": "admin", "person": "", "org": ""}
    made |= {"reason": "why", "at": 1}
    return Activation(version=version, active_from=moment, **made | more)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the log said."""
    said: list[str] = []
    monkeypatch.setattr(following.log, "error", lambda text, *arguments: said.append(text % arguments))
    return said


def test_what_is_read_holds_and_nothing_is_told_of_it(told: list[str]) -> None:
    follower = Follower("nowhere", Schedule())
    follower.take(ACTIVATIONS.encode(activation()), "config:0:0")
    assert follower.schedule.standing("live", 100) == activation()
    assert told == []


def test_a_withdrawal_takes_the_plan_away_and_is_no_version_that_is_not_known(told: list[str]) -> None:
    follower = Follower("nowhere", Schedule())
    for record in (activation(), activation(moment=200), activation("", 200, fingerprint="")):
        follower.take(ACTIVATIONS.encode(record), "config:0:0")
    assert follower.schedule.of("live") == (activation(),)
    assert told == []


@pytest.mark.parametrize("value", [None, b"", b"rubbish", REPORTS.encode(IncidentReport("1", 1, "A10100", "440305", "2026"))])
def test_what_nobody_can_read_is_passed_over_and_told(told: list[str], value: bytes | None) -> None:
    follower = Follower("nowhere", Schedule())
    follower.take(value, "config:3:7")
    assert follower.schedule.of("live") == ()
    assert "the activation at config:3:7 cannot be read" in told[0]


@pytest.mark.parametrize("wrong", [{"version": "2099.1"}, {"fingerprint": "another"}])
def test_a_version_that_is_not_this_releases_own_holds_all_the_same_and_is_told(told: list[str], wrong: dict[str, Any]) -> None:
    follower = Follower("nowhere", Schedule())
    follower.take(ACTIVATIONS.encode(activation(**wrong)), "config:0:0")
    assert follower.schedule.version("live", 100) == wrong.get("version", "2026.1")
    assert "are not those of this release" in told[0]


async def test_who_waits_for_a_record_goes_on_once_it_is_read() -> None:
    follower = Follower("nowhere", Schedule())
    waiting = asyncio.create_task(follower.reached(2, 5))
    for read in (5, 6):
        await asyncio.sleep(0)
        assert not waiting.done()
        follower.advanced({2: read})
    await waiting


def test_the_relay_gives_a_case_what_held_when_its_record_was_appended() -> None:
    processor = RelayProcessor()
    assert isinstance(processor, Scheduled)
    processor.schedule.put(activation("2030.1", 100))
    processor.schedule.put(activation("2030.2", 200))
    report = REPORTS.encode(IncidentReport("1", 1, "A10100", "440305", "2026-11-22T09:00:00+08:00"))
    later = 1_795_359_600_000
    processor.schedule.put(activation("2030.3", later + 1))
    for at, version in ((later, "2030.2"), (later + 1, "2030.3")):
        record = ConsumerRecord("intake.demo", 0, 1, at, 0, b"k", report, None, 0, 0, ())
        _, (emit,) = processor.process(record, Source("intake.demo", 0, 1), b"")
        assert isinstance(emit.record, IncidentCommand)
        assert emit.record.policy_version == version


def test_a_fingerprint_is_of_the_contents_and_a_draft_that_is_lent_has_a_name_of_its_own() -> None:
    assert store.fingerprint(latest()) == store.released(latest()).digest
    with pytest.raises(UnknownPolicy):
        store.fingerprint("1999.1")
    name = lend(policies("2026.1"))
    assert name == f"2026.1 {store.fingerprint('2026.1')[:12]}"
    assert policies(name) is policies("2026.1")
    with pytest.raises(UnknownPolicy):
        policies("2026.1 another")
