"""`python -m tests.chaos.unguarded run warehouse …` with LIANDONG_TEST_UNGUARDED: the process without that guard.

repair, marks, fence: the option of the sink's loop. owner: no seat and no owner at all, as the sink was before it had them.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any

from services.sink.options import Options
from services.sink.owner import Owner
from services.sink.seat import Seat
from services.warehouse import main as warehouse


async def anybody(self: Any) -> None:
    self.granted.set()
    await asyncio.Event().wait()


async def standing(self: Any) -> None:
    """A plain commit needs no member."""
    await self._connected()


async def idle(self: Any) -> None:
    await asyncio.Event().wait()


guard = os.environ["LIANDONG_TEST_UNGUARDED"]
off: dict[str, Any] = {"fence" if guard == "owner" else guard: False}
setattr(warehouse, "Options", partial(Options, **off))  # noqa: B010
if guard == "owner":
    for where, name, instead in ((Owner, "serve", anybody), (Seat, "take", standing), (Seat, "hold", idle)):
        setattr(where, name, instead)

if __name__ == "__main__":
    from services.cli import main

    main()
