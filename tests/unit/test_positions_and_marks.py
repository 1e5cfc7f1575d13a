"""What commands of every kind share: positions of what one record causes, and how a repeat is known."""

from __future__ import annotations

import msgspec
import pytest

from schemas.avro.incident_event.event import IncidentEvent
from streams.domain.commands import MARK_BYTES, Places, mark_of, remember, remembers
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up
from tests.unit.test_incident_clocks import Desk, at
from tests.unit.test_incident_life_cycle import CASE, command

SOURCE = Source("incident.commands", 0, 1)


@pytest.mark.parametrize("named", [0, 1, 50])
def test_positions_are_given_out_in_order_and_room_is_left_for_what_the_command_itself_causes(named: int) -> None:
    places = Places(SOURCE, 5, named)
    taken = []
    while not places.are_scarce:
        taken.append(places.take())
    assert taken == list(range(16, 256 - 24 - named)), "24 are left, and one for each organisation that it names"
    assert [places.take() for _ in range(24 + named)] == list(range(256 - 24 - named, 256))
    with pytest.raises(AssertionError):
        places.take()
    assert (places.source, places.now) == (SOURCE, 5)


def test_a_command_is_marked_by_the_first_bytes_of_its_id() -> None:
    asked = command("accept", "k")
    assert mark_of(asked).hex() == asked.command_id.replace("-", "")[: 2 * MARK_BYTES]


def test_the_last_sixty_four_commands_are_remembered() -> None:
    marks = [number.to_bytes(MARK_BYTES, "big") for number in range(1, 67)]
    recent = b""
    for mark in marks:
        recent = remember(recent, mark)
    assert len(recent) == 64 * MARK_BYTES
    assert [remembers(recent, mark) for mark in marks] == [False, False] + [True] * 64


def test_a_match_across_two_marks_is_none_and_hides_no_real_one() -> None:
    mark = b"abcdefgh"
    across = b"xxxxabcd" + b"efghxxxx"
    assert not remembers(across, mark)
    assert remembers(across + mark, mark)
    assert remembers(mark + across, mark)
    assert not remembers(b"xabcdefg" + b"hxxxxxxx" + across, mark)
    assert not remembers(b"", mark)


def test_what_has_no_room_left_waits_for_the_next_record_and_none_of_it_is_lost() -> None:
    desk = Desk("A20600", "23 09:00")
    late = desk.clock("accept")
    many = tuple(msgspec.structs.replace(late, holder=f"desk-{number}") for number in range(6))
    desk.state = msgspec.structs.replace(desk.case, clocks=many, state="handling")
    now = at("23 12:00")
    asked = command("convene", "c", orgs=tuple(f"org-{number}" for number in range(200)), actor_org="fire")
    said = decide(desk.case, asked, SOURCE, now)
    positions = [emit.position for emit in said.emits]
    assert len(set(positions)) == len(positions)
    assert max(positions) <= 255
    assert said.state
    assert 0 < said.state.next_due <= now, "the rest is due at once"
    events = [emit.record for emit in said.emits if isinstance(emit.record, IncidentEvent)]
    for offset in range(2, 12):
        rest = decide(said.state, wake_up(CASE, now, "live"), Source("incident.commands", 0, offset), now)
        events += [emit.record for emit in rest.emits if isinstance(emit.record, IncidentEvent)]
        said = rest
    assert [event.type for event in events].count("incident.clock_due") == 6
    assert [event.case_seq for event in events] == list(range(2, len(events) + 2))
    assert len({event.event_id for event in events}) == len(events)
