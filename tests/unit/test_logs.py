"""What may be said again and again, and what may not."""

from __future__ import annotations

import logging

from services.logs import Calm


def record(name: str, text: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, text, args, None)


def test_a_client_that_says_the_same_all_the_time_is_heard_three_times_and_then_counted() -> None:
    at = [0.0]
    calm = Calm(burst=3, seconds=30, clock=lambda: at[0])
    assert [calm.filter(record("aiokafka.conn", "no node %s", node)) for node in range(5)] == [True, True, True, False, False]
    at[0] = 31
    last = record("aiokafka.conn", "no node %s", 7)
    assert calm.filter(last)
    assert last.getMessage() == "no node 7 (said 2 times more since)"


def test_other_messages_and_our_own_are_never_held_back() -> None:
    calm = Calm(burst=1, seconds=30, clock=lambda: 0.0)
    assert calm.filter(record("aiokafka", "one"))
    assert calm.filter(record("aiokafka", "another"))
    assert all(calm.filter(record("streams.engine.runner", "decide crashed")) for _ in range(5))
