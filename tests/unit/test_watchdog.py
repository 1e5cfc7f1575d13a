"""The watchdog ends a worker that was told to stop and does not."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from streams.engine import watchdog
from streams.engine.exits import Exit
from streams.engine.watchdog import Limits, Watchdog


class Ended(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def _dies_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(code: Exit, why: str) -> NoReturn:
        raise Ended(code, why)

    monkeypatch.setattr(watchdog, "die", die)


def stopping(*, drained: bool) -> Watchdog:
    app: Any = SimpleNamespace(should_stop=True, ended=threading.Event())
    if drained:
        app.ended.set()
    unused: Any = None
    return Watchdog(app, unused, unused, unused, Limits(drain=0.01))


def test_a_worker_that_has_not_drained_in_time_ends_hard() -> None:
    with pytest.raises(Ended) as ended:
        stopping(drained=False).run()
    assert ended.value.args == (Exit.DRAIN_TIMED_OUT, "not drained 0.01 s after the stop began")


def test_a_worker_that_has_drained_is_left_to_its_own_end() -> None:
    stopping(drained=True).run()
