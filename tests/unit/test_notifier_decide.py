"""Who is paged: the table of cases, typed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.notification.event import Notification
from schemas.avro.page.event import Page
from schemas.page_windows import page_windows
from schemas.policy.terms import Certainty
from services.notifier.decide import Plan, Tried, decide, instead, page_of
from services.notifier.throttle import Throttle, Way
from services.notifier.who import contacts, nobody_notified
from services.ports import Contact
from streams.domain.alarm.decide import decide as decide_alarm
from streams.domain.core import Source
from streams.domain.incident.decide import decide as decide_incident
from tests.fakes import FakeDirectory
from tests.pages import DESK, MINUTE, SMALL, START, notification, person
from tests.unit.test_alarm_life_cycle import command as press
from tests.unit.test_incident_clocks import Desk, at

SOURCE = Source("notifications", 1, 7)


def decided(people: Sequence[Contact], throttle: Throttle | None = None, at: int = START, told_at: int | None = None, **given: Any) -> Plan:
    asked = notification(**given)
    return decide(asked, f"p-{asked.case_number}", at if told_at is None else told_at, people, throttle or Throttle(SMALL), SMALL, at)


def page(plan: Plan, tried: Sequence[Tried] = (), **given: Any) -> Page:
    return page_of(notification(**given), "p", SOURCE, START, plan, tried)


def test_each_person_is_told_over_the_first_channel_he_wants() -> None:
    plan = decided([person("a", "sms", "webhook"), person("b", "webhook")])
    assert [(one.contact.person, one.channel.kind) for one in plan.sendings] == [("a", "sms"), ("b", "webhook")]
    assert page(plan, [Tried("a", "sms", "sent"), Tried("b", "webhook", "failed")]).status == "sent"


def test_a_full_window_leads_to_the_next_channel_and_then_to_the_bundle() -> None:
    throttle, people = Throttle(SMALL), [person("a", "sms", "webhook")]
    ways = [[one.channel.kind for one in decided(people, throttle, START + n).sendings] for n in range(4)]
    assert ways == [["sms"], ["webhook"], ["webhook"], []]
    assert [one.case_number for one in throttle.waiting(Way("a", "sms"))] == ["C-0"]


def test_what_waited_goes_with_the_next_message_that_may_go() -> None:
    throttle, people = Throttle(SMALL), [person("a", "sms")]
    for n in range(3):
        plan = decided(people, throttle, START + n, number=n)
    assert page(plan).status == "throttled"
    (sending,) = decided(people, throttle, START + MINUTE + 5, number=3).sendings
    assert [one.case_number for one in sending.bundle] == ["C-1", "C-2"]
    assert throttle.waiting(Way("a", "sms")) == ()


def test_life_in_danger_goes_over_every_channel_at_once_whatever_went_before() -> None:
    throttle, people = Throttle(SMALL), [person("a", "sms", "webhook")]
    for n in range(9):
        plan = decided(people, throttle, START + n, urgency=1)
        assert [one.channel.kind for one in plan.sendings] == ["sms", "webhook"]
        assert not plan.settled
    assert decided(people, throttle, START + 10).sendings == (), "but it fills the windows of the others"


def test_a_page_of_a_life_stays_alone_in_its_message() -> None:
    throttle, people = Throttle(SMALL), [person("a", "sms")]
    decided(people, throttle, START)
    decided(people, throttle, START + 1)
    (urgent,) = decided(people, throttle, START + MINUTE + 5, urgency=1).sendings
    assert urgent.bundle == ()
    assert len(throttle.waiting(Way("a", "sms"))) == 1


@pytest.mark.parametrize("realm", ["drill", "replay", "sandbox"])
def test_nobody_is_disturbed_but_in_realm_live_and_it_is_recorded_who_would_be(realm: str) -> None:
    plan = decided([person("a", "sms"), person("b")], realm=realm, urgency=1)
    assert plan.sendings == ()
    said = page(plan, realm=realm)
    assert (said.status, said.reason, said.persons, said.results) == ("suppressed", "not_live", ("a", "b"), ("suppressed", "suppressed"))


def test_what_happened_long_ago_is_recorded_and_told_to_nobody() -> None:
    assert decided([person("a", "sms")], at=START + SMALL.stale_ms, told_at=START).sendings
    assert decided([person("a", "sms")], at=START + SMALL.stale_ms + 1, told_at=START).spared == "too_old"


@pytest.mark.parametrize(
    ("people", "tried", "reason"),
    [
        ([], [], "nobody_on_duty"),
        ([person("a")], [], "no_channel"),
        ([person("a", "sms"), person("b")], [Tried("a", "sms", "failed")], "channels_failed"),
    ],
)
def test_when_nobody_could_be_told_it_is_said_so_and_why(people: list[Contact], tried: list[Tried], reason: str) -> None:
    said = page(decided(people), tried)
    assert (said.status, said.reason) == ("no_one_notified", reason)


def test_after_a_channel_that_failed_comes_the_next_one_and_the_bundle_with_it() -> None:
    throttle, people = Throttle(SMALL), [person("a", "sms", "phone")]
    sms = Way("a", "sms")
    for n in range(2):
        decided([person("a", "sms")], throttle, START + n, number=n)
    at = START + MINUTE + 5
    (first,) = decided(people, throttle, at, number=2).sendings
    second = instead(first, throttle, at)
    assert second is not None
    assert (second.channel.kind, [one.case_number for one in second.bundle]) == ("phone", ["C-1"])
    assert throttle.broken(sms)
    assert instead(second, throttle, at) is None
    assert [one.case_number for one in throttle.waiting(Way("a", "phone"))] == ["C-1"], "it waits on"


def test_over_a_way_that_is_broken_nobody_counts_as_told_by_a_bundle_to_come() -> None:
    throttle, people = Throttle(SMALL), [person("a", "sms")]
    (sending,) = decided(people, throttle, START).sendings
    assert instead(sending, throttle, START) is None
    plan = decided(people, throttle, START + 1)
    assert plan.settled == (Tried("a", "sms", "broken"),), "no message was sent, and none is counted"
    assert page(plan).reason == "channels_failed"
    throttle.ended(Way("a", "sms"), well=True)
    assert page(decided(people, throttle, START + 2)).status == "throttled"


def test_a_platform_without_any_roster_shows_its_pages_in_the_log() -> None:
    (desk,) = contacts(FakeDirectory(), "desk", DESK, START)
    assert (desk.person, [channel.kind for channel in desk.channels]) == (DESK, ["log"])
    assert contacts(FakeDirectory({"440303-desk": ()}), "desk", DESK, START) == (), "one roster is enough to know that nobody is there"


def test_a_head_is_asked_for_as_head_and_each_person_once() -> None:
    a, b = person("a", "sms"), person("b", "sms")
    known = FakeDirectory({DESK: [a, a, b]}, {DESK: [b]})
    assert contacts(known, "head", DESK, START) == (b,)
    assert contacts(known, "desk", DESK, START) == (a, b)


def test_an_incident_hears_that_nobody_was_notified_once_and_by_the_same_name() -> None:
    asked = notification(4)
    said = page_of(asked, "p", SOURCE, START, decided([]), [])
    command, again = nobody_notified(asked, said), nobody_notified(asked, said)
    assert command == again
    assert isinstance(command, IncidentCommand)
    assert (command.name, command.purpose, command.holder, command.reason) == ("nobody_notified", "handle", "应急局", "nobody_on_duty")
    assert command.case_id == asked.case_id


def test_the_case_understands_it_and_its_ladder_climbs() -> None:
    desk = Desk("A20600", "23 09:00")
    desk.wake("23 09:23")
    missed = [page for page in desk.pages if page.step == 2]
    assert [(page.target_kind, page.target_level) for page in missed] == [("head", "county"), ("desk", "city")]
    case = desk.case
    for number, asked in enumerate(missed):
        now = at("23 09:24") + number
        command = nobody_notified(asked, page_of(asked, f"p-{number}", SOURCE, now, Plan(now)))
        assert isinstance(command, IncidentCommand)
        decision = decide_incident(case, command, Source("incident.commands", 0, 900 + number), now)
        assert decision.state is not None
        case = decision.state
        events = [emit.record.type for emit in decision.emits if isinstance(emit.record, IncidentEvent)]
    assert events == ["incident.no_one_notified", "incident.unacknowledged"], "nobody of the step is left"


def test_an_alarm_hears_it_too_and_jumps() -> None:
    first = decide_alarm(None, press("press", "first"), Source("alarm.commands", 0, 1), START)
    assert first.state
    (asked,) = [emit.record for emit in first.emits if isinstance(emit.record, Notification)]
    command = nobody_notified(asked, page_of(asked, "p", SOURCE, START, Plan(START)))
    assert isinstance(command, AlarmCommand)
    assert (command.name, command.case_id, command.round, command.step) == ("nobody_notified", asked.case_id, 1, 0)
    jumped = decide_alarm(first.state, command, Source("alarm.commands", 0, 2), START)
    assert [(one.target_kind, one.step) for one in (emit.record for emit in jumped.emits) if isinstance(one, Notification)] == [("head", 1)]


@pytest.mark.parametrize("change", [{"kind": "alarm", "case_seq": 0}, {"clock": ""}, {"realm": "sandbox"}])
def test_others_hear_nothing(change: dict[str, Any]) -> None:
    asked = notification(4, **change)
    assert nobody_notified(asked, page_of(asked, "p", SOURCE, START, decided([], **change), [])) is None


def test_the_figures_have_a_source_and_claim_to_be_no_law() -> None:
    known = page_windows()
    assert known.certainty is Certainty.DESIGN
    assert known.source.startswith("Liandong: ")
    assert [(limit.most, limit.ms // MINUTE) for limit in known.of("phone")] == [(1, 1), (3, 15), (7, 60), (15, 180)]
    assert [(limit.most, limit.ms // MINUTE) for limit in known.of("sms")] == [(1, 1), (5, 15), (11, 60), (21, 180)]
    assert known.of("log") == ()
    assert known.longest_ms == 180 * MINUTE


def test_no_address_and_no_name_of_a_person_stands_in_a_page() -> None:
    plan = decided([person("a", "sms")])
    text = msgspec.json.encode(page(plan, [Tried("a", "sms", "sent")])).decode()
    assert "a@sms" not in text
    assert "姓名" not in text
