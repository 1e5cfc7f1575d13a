"""Where a stream begins after any stop: from the last commit, the tables, and if need be the records of the open block."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from services.sink import container, intent, repair
from services.sink.intent import Intent
from services.sink.letters import undecodable
from services.sink.marks import Marks
from services.sink.plan import Block, Place, Planner, Record
from services.sink.repair import Inconsistent
from services.sink.streams import Stream
from services.warehouse.backend import Handle, WarehouseError

T = TypeVar("T")
Ranges = dict[Place, tuple[int, int]]
Reread = Callable[[Ranges], Awaitable[Mapping[Place, Sequence[Record]]]]
Commits = Mapping[Place, tuple[int, str]]  # committed offset and metadata


class Unreadable(Exception):
    """The engine cannot read the rows of the open block: a record is not what its frame says."""


@dataclass(slots=True)
class Start:
    """`positions`: next offset by partition (a partition without one is read from its beginning); `block`: last number ever used;
    `previous`: newest block in the facts; `moved`: positions are not those of the last commits, so they must be committed, all at once,
    before anything else: a later commit names only the partitions of its block."""

    positions: dict[Place, int] = field(default_factory=dict)
    marks: dict[Place, Marks] = field(default_factory=dict)
    block: int = 0
    previous: int = 0
    repairs: int = 0
    moved: bool = False
    note: str = "fresh"


@dataclass(frozen=True, slots=True)
class Recovery:
    """`repairing` False skips every repair: the negative control of the fault tests. `hit` is told where a test may kill it."""

    stream: Stream
    handle: Handle
    reread: Reread
    schemas: Sequence[int]
    repairing: bool = True
    hit: Callable[[str], None] = lambda point: None

    async def run(self, commits: Commits, places: Sequence[Place]) -> Start:
        """Makes the open block whole and answers where to go on. Inconsistent when the tables cannot be what a stop leaves."""
        await self._ask(repair.settle)
        intents = {place: found for place, (offset, note) in commits.items() if (found := intent.decode(offset, note))}
        newest = await asyncio.to_thread(repair.highest_block, self.handle, self.stream.facts)
        levels = [await asyncio.to_thread(repair.highest_block, self.handle, rollup) for rollup in self.stream.rollups]
        last = max((i.block for i in intents.values()), default=0)
        start = Start(block=max(last, newest, *levels), previous=newest)
        share = {place: i for place, i in intents.items() if i.block == last}
        if not share:
            if newest:
                await self._from_tables(start, "offsets lost: going on after the newest rows of the tables")
        elif newest < _first(share).previous or (not _is_open(share) and newest < last and _first(share).rows):
            await self._from_tables(start, "tables behind the commit: rewound to the tables")
        else:
            self._from_commits(start, intents, share)
            if _is_open(share):
                try:
                    start.repairs += await self._finish(share)
                    start.previous = last if _first(share).rows else newest
                except Unreadable:
                    intents |= await self._before(share)
                    start.positions |= {place: intents[place].end for place in share}
                    start.moved, start.note = True, "open block with unreadable records: read anew"
            await self._marks(start, intents)
            if newest and any(place not in intents for place in places):
                await self._fill_in(start, [place for place in places if place not in intents])
        if start.repairs:
            self.hit("sink_in_repair")
        if self.repairing:
            start.repairs += await self._ask(repair.repair_rollups)
        return start

    async def _ask(self, question: Callable[..., T], *more: int) -> T:
        return await asyncio.to_thread(question, self.handle, self.stream, *more)

    async def _from_tables(self, start: Start, note: str) -> None:
        start.positions = await self._ask(repair.offsets_in_table)
        start.marks = await self._ask(repair.marks_in_table)
        start.moved, start.note = True, note

    async def _fill_in(self, start: Start, uncommitted: Sequence[Place]) -> None:
        """Partitions whose commit expired (Kafka forgets them one by one when nothing comes for a week) go on after their newest row."""
        offsets, marks = await self._ask(repair.offsets_in_table), await self._ask(repair.marks_in_table)
        for place in uncommitted:
            if place in offsets:
                start.positions[place], start.marks[place] = offsets[place], marks.get(place, {})

    def _from_commits(self, start: Start, intents: Mapping[Place, Intent], share: Mapping[Place, Intent]) -> None:
        first = _first(share)
        alike = {(i.digest, i.rows, i.partitions) for i in share.values()}
        if len(share) != first.partitions or len(alike) != 1:
            raise Inconsistent(f"{self.stream.name}: the commit of block {first.block} is torn: {sorted(share)}")
        start.positions = {place: i.end for place, i in intents.items()}
        start.note = "open block" if _is_open(share) else "closed block"

    async def _marks(self, start: Start, intents: Mapping[Place, Intent]) -> None:
        """Asked when the open block is whole: then the facts hold what a commit had no room for."""
        in_table = {} if all(i.after is not None for i in intents.values()) else await self._ask(repair.marks_in_table)
        start.marks = {place: dict(i.after) if i.after is not None else in_table.get(place, {}) for place, i in intents.items()}

    async def _finish(self, share: Mapping[Place, Intent]) -> int:
        """Facts of the open block, if they are missing. Answers 1 if they were."""
        first = _first(share)
        found = await self._ask(repair.rows_of, first.block)
        if found == first.rows or not self.repairing:
            return 0
        if found:
            raise Inconsistent(f"{self.stream.facts}: block {first.block} has {found} rows of {first.rows}")
        block = await self._block_again(share)
        made = container.build(block.schema_id, first.block, block.month, block.rows)
        try:
            await asyncio.to_thread(self.handle.insert_avro, self.stream.facts, made, repair.query_id(self.stream, f"{first.block}-facts"))
        except WarehouseError as error:
            if error.broken_input and not await self._ask(repair.rows_of, first.block):
                raise Unreadable from error
            raise
        return 1

    async def _before(self, share: Mapping[Place, Intent]) -> dict[Place, Intent]:
        """Closed intents where the open block began: none of its rows is stored, the loop finds out which are unreadable."""
        in_table = {} if all(i.before is not None for i in share.values()) else await self._ask(repair.marks_in_table, _first(share).block)
        before = {place: dict(i.before) if i.before is not None else in_table.get(place, {}) for place, i in share.items()}
        return {place: replace(i, end=i.start, before=before[place], after=before[place]) for place, i in share.items()}

    async def _block_again(self, share: Mapping[Place, Intent]) -> Block:
        """The open block as it was, from Kafka."""
        first = _first(share)
        in_table = {} if all(i.before is not None for i in share.values()) else await self._ask(repair.marks_in_table, first.block)
        before = {place: dict(i.before) if i.before is not None else in_table.get(place, {}) for place, i in share.items()}
        planner = Planner({place: i.start for place, i in share.items()}, before, self.schemas, self.stream.marked)
        for place, records in (await self.reread({place: (i.start, i.end) for place, i in share.items()})).items():
            if records:
                planner.add(place, records, 0.0)
        block = planner.cut(limit=1 << 60)
        if len(block.rows) != first.rows:  # the block may have been written without rows the engine refused
            bad = {id(record) for record in await asyncio.to_thread(undecodable, self.stream, block.rows)}
            block.rows = [row for row in block.rows if id(row) not in bad]
        if planner.waiting or len(block.rows) != first.rows or block.digest != first.digest:
            raise Inconsistent(f"{self.stream.name}: Kafka no longer holds what block {first.block} was made of (the topic was made anew?)")
        return block


def moved_intents(start: Start) -> dict[Place, Intent]:
    """After a move: one closed intent for every partition, committed at once, so that none keeps a position of before."""
    share = Intent(0, 0, start.block, start.previous, 0, len(start.positions), "", {}, {})
    marks = {place: start.marks.get(place, {}) for place in start.positions}
    return {
        place: replace(share, start=position, end=position, before=marks[place], after=marks[place])
        for place, position in start.positions.items()
    }


def _first(share: Mapping[Place, Intent]) -> Intent:
    return next(iter(share.values()))


def _is_open(share: Mapping[Place, Intent]) -> bool:
    return any(i.start != i.end for i in share.values())
