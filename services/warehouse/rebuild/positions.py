"""Moving a stream's commit back to its cuts: at its next start it reads on from there, with the marks of the rows that were carried."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from services.sink import intent, repair
from services.sink.kafka import Topics
from services.sink.marks import Marks
from services.sink.plan import Place
from services.sink.recover import Start, moved_intents
from services.warehouse.backend import Handle
from services.warehouse.rebuild.cuts import Cut


async def commit(handle: Handle, topics: Topics, cuts: Sequence[Cut], marks: Mapping[Place, Marks] | None = None) -> None:
    """One atomic commit of all partitions. `marks` are added to those of the carried rows."""
    stream = topics.stream
    known = await asyncio.to_thread(repair.marks_in_table, handle, stream)
    for place, more in (marks or {}).items():
        held = known.setdefault(place, {})
        for source, at in more.items():
            held[source] = max(at, held.get(source, (-1, -1)))
    newest = await asyncio.to_thread(repair.highest_block, handle, stream.facts)
    before = [found.block for offset, note in (await topics.commits()).values() if (found := intent.decode(offset, note))]
    # above every number in use, so that of all intents in the group only these count; `previous` is what the tables hold
    start = Start({cut.place: cut.at for cut in cuts}, known, block=max([newest, *before]) + 1, previous=newest)
    seat = await topics.sit([cut.place for cut in cuts])
    try:
        await seat.commit({place: (found.start, intent.encode(found)) for place, found in moved_intents(start).items()})
    finally:
        await seat.leave()
