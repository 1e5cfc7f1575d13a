"""Which warehouse process works, when several run by intent or by mistake. One does; the others serve reads and wait.

Two hard fences make it exact, and neither needs a clock: a `Seat` in each stream's group, for the commits, and a `fence` in the
tables of a ClickHouse server, for the inserts. Alone they would let each newcomer push out the one before. So a process first takes the
seat of one more group, and only when it is empty or was its own: that seat decides who works, the fences make sure of it.

Not done: a lease in time, checked before each insert. The check and the insert are two steps, and a request can lie in the network
between them for as long as it likes; a server that refuses the insert itself leaves no such gap, and a newcomer need not wait a
lease out. Not done either: an assignor of a real consumer group for each stream. A group rebalances by itself, so a process could come to
own half of the streams, and a restart would wait for the session of its former self.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import structlog

from services.sink.seat import Occupant, Seat, SeatLost
from streams.engine.exits import Exit, die

SESSION_SECONDS = 10.0  # so long after a crash of the one that works another takes over
LOOK_SECONDS = 1.0


class Owner:
    """`name` survives restarts of this process, and no other living one has it. `serve()` waits till this process may work, sets
    `granted`, and keeps it so. `other`: who works instead, "" if nobody else. `what`: the process, for people."""

    def __init__(self, bootstrap: str, group: str, name: str, what: str = "warehouse") -> None:
        self.granted = asyncio.Event()
        self.waiting = asyncio.Event()
        self.other = ""
        self._me, self._what = Occupant.here(name), what
        self._bootstrap, self._group = bootstrap, group
        self._log: Any = structlog.get_logger("sink")

    async def serve(self) -> None:
        """Runs till it is cancelled; ends the process when another one has taken over."""
        seat = Seat(self._bootstrap, self._group, [], self._me, SESSION_SECONDS)
        try:
            await self._empty(seat)
            while True:
                await seat.take()
                self.other = ""
                self.granted.set()
                try:
                    await seat.hold()
                except SeatLost as lost:
                    # After a standstill longer than the session the seat may be empty: then the streams' seats are still ours.
                    found = await seat.taken_by()
                    if found:
                        die(Exit.OWNER_LOST, f"{lost}; {found.at} works now")
                    self._log.warning("owner's session had ended, nobody else came")
        finally:
            await seat.leave()

    async def turn(self, stop: asyncio.Event) -> bool:
        """Waits till this process may work; False when `stop` came first."""
        waits = [asyncio.create_task(self.granted.wait()), asyncio.create_task(stop.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        return not stop.is_set()

    def report(self) -> dict[str, Any]:
        return {"works": self.granted.is_set(), "waits_for": self.other}

    async def _empty(self, seat: Seat) -> None:
        while (found := await seat.taken_by()) and found.name != self._me.name:
            if found.at != self.other:
                self._log.warning(f"another {self._what} process works, waiting", other=found.at)
            self.other = found.at
            self.waiting.set()
            await asyncio.sleep(LOOK_SECONDS)
        if self.other:
            self._log.warning("taking over", other=self.other)


async def hold(seat: Seat, stream: str) -> None:
    """Keeps a stream's seat; ends the process when it is lost."""
    try:
        await seat.hold()
    except SeatLost as lost:
        end(stream, lost)


def end(stream: str, lost: Exception) -> NoReturn:
    """Nothing may be committed or inserted after this."""
    die(Exit.OWNER_LOST, f"{stream}: {str(lost)[:200]}")
