"""A worker process for fault tests: `python -m tests.chaos.worker NAME [CONTROL]`.

CONTROL switches one guard off (a negative control: the oracle must go red), or runs another release of the code.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from functools import partialmethod
from itertools import count
from typing import Any

import faust
import msgspec

from services import process, settings, worker
from streams import app
from streams.domain.incident import decide, rules, settling, wanting
from streams.domain.incident.events import about
from streams.engine import recovery, runner, shipment, value, working
from streams.engine.watchdog import Limits


def without_outbox() -> None:
    """State is stored before outputs are sent, and nothing remembers the outputs."""
    original = value.pack
    vars(working)["pack"] = lambda version, flags, state, outbox, due: original(version, flags, state, b"", due)


def outputs_first() -> None:
    """The cheaper order: outputs, then state, then offset; a replay decides anew."""
    without_outbox()
    shipment.Shipper._state_first = shipment.Shipper._outputs_first  # type: ignore[method-assign]


def ack_first() -> None:
    """The offset may be committed before anything is acknowledged; sending takes its time, as with a slow broker."""

    async def state_first(self: Any, chunk: Any, changes: Any, outputs: Any, log: Any, out: Any) -> None:
        chunk.ack()
        await asyncio.sleep(0.6)
        self._failpoints.hit("after_decide")
        await self._write_changelog(chunk.tp.partition, changes, *log)
        await self._send_outputs(outputs, *out)

    shipment.Shipper._state_first = state_first  # type: ignore[method-assign]


def last_wins() -> None:
    """On restore the newest record of a key wins, whoever wrote it."""

    def apply(part: dict[bytes, bytes], losers: set[bytes], key: bytes, value: bytes) -> None:
        part[key] = value

    vars(recovery)["apply"] = apply


def any_changelog() -> None:
    """On restore whatever the changelog holds is taken for all there was."""

    async def take(self: Any, changelog: str, ends: dict[int, int]) -> None:
        """Asks nothing."""

    recovery.BulkRecovery._check_whole = take  # type: ignore[method-assign]


def next_policies() -> None:
    """Reads the policies of the release after, 2026.2, and opens no case under them yet: as the word `read` in the lock makes it."""
    known = vars(rules)["policies"]
    vars(rules)["policies"] = lambda version: known("2026.1")


def next_release() -> None:
    """The release after: it opens cases under other policies."""
    next_policies()
    vars(decide)["latest"] = lambda: "2026.2"


def next_release_outputs_first() -> None:
    next_release()
    outputs_first()


def two_bodies() -> None:
    """Faust's concurrency=2: two agent bodies over one partition, of which the first is slow."""
    bodies = count()

    class Slow:
        def __init__(self, stream: Any) -> None:
            self._stream = stream
            self._first = next(bodies) == 0

        def noack(self) -> Slow:
            return self

        async def events(self) -> AsyncIterator[Any]:
            async for event in self._stream.noack().events():
                if self._first and event.value.tp.partition == 0:
                    await asyncio.sleep(0.3)
                yield event

    body_of = app._agent

    def agent(*given: Any) -> Any:
        body = body_of(*given)

        async def slow(stream: Any) -> None:
            await body(Slow(stream))

        return slow

    vars(app)["_agent"] = agent
    app.App.agent = partialmethod(faust.App.agent, concurrency=2)  # type: ignore[assignment]


def slow_restore() -> None:
    """As with a table of millions of keys; no guard is off."""
    read: Any = vars(recovery)["_read"]

    async def slow(*given: Any) -> Any:
        count = await read(*given)
        await asyncio.sleep(4.0)
        return count

    vars(recovery)["_read"] = slow


def buries_all() -> None:
    """What a later release wrote is passed over like any unreadable record."""
    vars(runner)["_written_by_us"] = lambda record, error: False


def timers_without_epoch() -> None:
    """A wake-up is taken at its word: it tells the first clock's warning, whether that still stands or was told already."""
    original = vars(decide)["settled"]

    def trusting(state: Any, command: Any, saying: Any) -> Any:
        if command.name != "wake" or not state.clocks:
            return original(state, command, saying)
        replace_ = msgspec.structs.replace
        clock = replace_(state.clocks[0], told=state.clocks[0].told | 1)
        after = replace_(state, seq=state.seq + 1, now=saying.now, clocks=(clock, *state.clocks[1:]))
        saying.say(state, after, settling._by_itself(command, command.occurred_at), "incident.clock_warning", **about(clock))
        return replace_(after, next_due=wanting.next_due(after))

    vars(decide)["settled"] = trusting


RELEASES = (buries_all, next_policies, next_release, next_release_outputs_first)
RESTORES = (last_wins, any_changelog, slow_restore)
CONTROLS = {f.__name__: f for f in (without_outbox, outputs_first, ack_first, two_bodies, timers_without_epoch, *RESTORES, *RELEASES)}
SWITCHES: dict[str, dict[str, Any]] = {
    "no_marks": {"marks": False},
    "no_lease": {"lease": False},
    "dynamic": {"instance": ""},  # another member of the group at each start
    "namesake": {"instance": "namesake-0"},  # as with a copied data directory
    "impatient": {"limits": Limits(recovery=8.0, chunk=8.0, broker=6.0, drain=4.0)},  # no guard off: a watchdog with little patience
}


def serve(this: process.Process) -> None:
    changes: dict[str, Any] = {"session_seconds": 6.0}  # keeps the tests short
    for control in sys.argv[2:]:
        changes |= SWITCHES.get(control, {})
        CONTROLS.get(control, lambda: None)()
    worker.run(*worker.build(this, **changes))


if __name__ == "__main__":
    sys.exit(process.run(process.Process(settings.load(), sys.argv[1]), serve))
