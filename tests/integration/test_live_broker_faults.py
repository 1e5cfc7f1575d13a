"""What the live stream does while its broker is frozen, and after it was killed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from schemas.realms import Realm
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from tests.browser.stage import Stage
from tests.helpers import until
from tests.sse import Live

pytestmark = pytest.mark.broker


def test_a_frozen_broker_is_told_by_the_clock_and_a_killed_one_loses_no_frame(own_broker: Broker, tmp_path: Path) -> None:
    asyncio.run(ensure_topics(own_broker.bootstrap, [Realm.LIVE], 2))
    with Stage(own_broker.bootstrap, 2, tmp_path / "stage", [Realm.LIVE]) as stage, Live(stage.url, stage.keys["screen"]) as live:

        def source_age() -> int:
            return int(live.clocks(1)[-1].data["broker_age_ms"])

        until(lambda: source_age() < 1000, "the source is seen alive")
        own_broker.pause()
        try:
            until(lambda: source_age() > 3000, "the clock says that the source is silent", 10)
        finally:
            own_broker.resume()
        until(lambda: source_age() < 1000, "the source is seen alive again")
        first = stage.write(stage.incident())[0]
        assert [e.data["offset"] for e in live.deltas(1)] == [first.offset]

        own_broker.kill9()
        until(lambda: source_age() > 3000, "the clock says that the source is silent", 10)
        own_broker.restart()
        began = time.monotonic()
        until(lambda: source_age() < 1000, "the source is seen alive again", 60)
        print(f"broker back → stream alive: {time.monotonic() - began:.1f} s")
        written = stage.write(*(stage.incident() for _ in range(10)))
        seen = [(e.data["partition"], e.data["offset"]) for e in live.deltas(10)]
        assert sorted(seen) == sorted((w.partition, w.offset) for w in written)
