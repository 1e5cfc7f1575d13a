"""Whether anything still waits on the old platform: records not read by a group, processes alive, outboxes not shipped."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from schemas import registry
from schemas.realms import REALMS, Realm
from services.embedded.state import read_state, still_ours
from services.notifier.standing import STREAM as NOTIFIER
from services.repartition.logs import Cluster, Reader, Span
from services.repartition.topics import Held, admin_of
from services.settings import Settings
from services.sink import intent
from services.sink.intent import Intent
from services.sink.plan import Planner
from services.sink.streams import STREAMS, Stream
from streams.agents import LANES, Lane

PLACE_SECONDS = 15.0  # above a worker's session


@dataclass(frozen=True, slots=True)
class Group:
    """A reader whose work must be done: a lane, a stream of the sink, or the notifier."""

    name: str
    topics: tuple[Held, ...]
    lane: Lane | None = None
    stream: Stream | None = None


def group_of(lane: Lane, realm: Realm) -> str:
    """Faust's consumer group of a lane (streams.app.build_app)."""
    return f"liandong.{realm}.{lane.name}" if lane.per_realm else f"liandong.{lane.name}"


def groups(held: Sequence[Held]) -> list[Group]:
    """Every group of the platform that reads one of these topics."""
    found = []
    for lane in LANES:
        inputs = [h for h in held if h.topic is lane.inputs]
        for realm in REALMS if lane.per_realm else (Realm.LIVE,):
            mine = tuple(h for h in inputs if not lane.per_realm or h.realm is realm)
            if mine:
                found.append(Group(group_of(lane, realm), mine, lane=lane))
    told = tuple(h for h in held if h.topic is NOTIFIER.topic)
    if told:
        found.append(Group(NOTIFIER.group, told))
    for stream in STREAMS:
        mine = tuple(h for h in held if h.topic in stream.topics)
        if mine:
            found.append(Group(stream.group, mine, stream=stream))
    return found


def alive(settings: Settings) -> list[str]:
    """Processes of the platform that still run, by state.json and the notes of run/."""
    found = set()
    for name, row in read_state(settings.state_file).get("processes", {}).items():
        if name != "broker" and still_ours(row["pid"], row["created"], row["command"]):
            found.add(name)
    for note in settings.run_dir.glob("*.json") if settings.run_dir.exists() else ():
        pid = json.loads(note.read_text(encoding="utf-8")).get("pid", 0)
        if pid and psutil.pid_exists(pid) and note.stem in " ".join(_command(pid)):
            found.add(note.stem)
    return sorted(found)


def _command(pid: int) -> list[str]:
    try:
        return list(psutil.Process(pid).cmdline())
    except psutil.Error:
        return []


async def members(bootstrap: str, wanted: Iterable[Group]) -> list[str]:
    """Groups that have members: workers on other machines, which no note here tells of. A static member that was just stopped keeps
    its place till its session is over, so this waits a while before it says so."""
    admin, names, deadline = await admin_of(bootstrap), [group.name for group in wanted], time.monotonic() + PLACE_SECONDS
    try:
        while True:
            known = {row[0] for row in await admin.list_consumer_groups()}
            found = []
            for name in known.intersection(names):
                for answer in await admin.describe_consumer_groups([name]):
                    found += [name for row in answer.groups if row[2] not in ("Empty", "Dead")]
            if not found or time.monotonic() > deadline:
                return sorted(found)
            await asyncio.sleep(0.5)
    finally:
        await admin.close()


async def waiting(cluster: Cluster, wanted: Iterable[Group]) -> list[str]:
    """What waits, in words; empty when nothing does."""
    admin = await admin_of(cluster.bootstrap)
    try:
        lines = []
        for group in wanted:
            committed = await _committed(admin, group.name)
            for held in group.topics:
                count = await _behind(cluster, group, held, committed)
                if count:
                    lines.append(f"{group.name}: {count} records of {held.name}")
        return lines
    finally:
        await admin.close()


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[Any, Any]:
    try:
        found: dict[Any, Any] = await admin.list_consumer_group_offsets(group)
    except GroupCoordinatorNotAvailableError:  # nobody has ever committed on this cluster
        return {}
    return found


async def _behind(cluster: Cluster, group: Group, held: Held, committed: dict[Any, Any]) -> int:
    """Records of a topic that the group has not done with. The sink commits only blocks with rows, so what it has passed over at an end
    (repeats, unreadable records) is judged by its own planner."""
    reader = Reader(cluster, held.name, held.partitions)
    span = await reader.span()
    starts, marks = dict(span.begins), {}
    for partition, begin in span.begins.items():
        meta = committed.get(TopicPartition(held.name, partition))
        if meta is not None and meta.offset >= 0:
            starts[partition] = max(meta.offset, begin)
    if group.stream:
        for partition, share in _done(held, committed).items():
            starts[partition] = max(share.end, starts[partition])
            marks[held.name, partition] = dict(share.after or {})
    behind = {p: span.ends[p] - at for p, at in starts.items() if span.ends[p] > at}
    if not behind or group.stream is None:
        return sum(behind.values())
    schemas = [v.id for v in registry.versions() if v.name == group.stream.type]
    planner = Planner({(held.name, p): at for p, at in starts.items()}, marks, schemas, group.stream.marked)
    async for partition, records in reader.batches(Span(starts, span.ends)):
        planner.add((held.name, partition), records, 0.0)
    rows = 0
    while planner.waiting:
        rows += len(planner.cut(1 << 60).rows)
    return rows


def _done(held: Held, committed: dict[Any, Any]) -> dict[int, Intent]:
    """The sink's commits by partition, of blocks that are whole: closed ones, and those before its last."""
    intents = {tp: found for tp, meta in committed.items() if (found := intent.decode(meta.offset, meta.metadata))}
    last = max((share.block for share in intents.values()), default=0)
    return {
        tp.partition: share for tp, share in intents.items() if tp.topic == held.name and (share.block < last or share.start == share.end)
    }
