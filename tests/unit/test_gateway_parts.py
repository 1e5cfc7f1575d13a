"""Small parts of the gateway: partitioner, memory of the just accepted, limits."""

from __future__ import annotations

import json

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from schemas.murmur import partition_of
from schemas.realms import Realm
from services.gateway import bodies, decoding, intake
from services.gateway.decoding import pointer_of
from services.gateway.intake import Accepted, Context
from services.gateway.limits import RateLimit
from services.gateway.pending import KEEP_MS, PendingMemory
from services.gateway.problems import Problem
from tests.principals import DESK, PRODUCER


@given(st.binary(max_size=64), st.integers(1, 64))
def test_a_key_has_the_partition_that_every_other_client_gives_it(key: bytes, partitions: int) -> None:
    everywhere = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, everywhere, everywhere)


def _accepted(number: int) -> Accepted:
    body = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-22T08:30:00+08:00", "event_id": str(number)}
    context = Context(PRODUCER, Realm.LIVE, 1_795_400_000_000, lambda _: "x")
    return intake.incident(decoding.decode(json.dumps(body).encode(), bodies.Incident), context)


def test_the_memory_of_the_just_accepted_is_bounded_and_keeps_the_newest() -> None:
    memory = PendingMemory(lambda: 0, limit=10)
    made = [_accepted(number) for number in range(40)]
    for accepted in made:
        memory.remember(accepted, 0)
    assert len(memory) <= 10
    for accepted in made[-5:]:
        found = memory.case(accepted.command.case_id)
        assert found is not None
        assert memory.case(accepted.case_number) == found
        assert memory.command(accepted.command.command_id) == found
    assert memory.case(made[0].command.case_id) is None
    assert memory.command(made[0].command.command_id) is None


def test_what_the_warehouse_never_showed_is_forgotten() -> None:
    now = [0]
    memory = PendingMemory(lambda: now[0])
    accepted = _accepted(1)
    memory.remember(accepted, 0)
    now[0] = KEEP_MS - 1
    assert memory.case(accepted.command.case_id) is not None
    now[0] = KEEP_MS
    assert memory.case(accepted.command.case_id) is None


def test_each_principal_has_a_window_of_its_own() -> None:
    limit = RateLimit("100/hour")
    limit.check(PRODUCER, 100)
    with pytest.raises(Problem, match="100 events per hour"):
        limit.check(PRODUCER)
    limit.check(DESK, 5_000)  # more than the window at once: allowed into an empty one
    with pytest.raises(Problem):
        limit.check(DESK)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Expected `int`, got `str` - at `$.place.lon`", ("Expected `int`, got `str`", "/place/lon")),
        ("Object contains unknown field `a/b` - at `$.place`", ("Object contains unknown field `a/b`", "/place/a~1b")),
        ("Object missing required field `type`", ("Object missing required field `type`", "/type")),
        ("Expected `str`, got `int` - at `$[3].x`", ("Expected `str`, got `int`", "/3/x")),
        ("Expected `object`, got `array`", ("Expected `object`, got `array`", "")),
    ],
)
def test_the_decoders_words_become_json_pointers(message: str, expected: tuple[str, str]) -> None:
    assert pointer_of(message) == expected
