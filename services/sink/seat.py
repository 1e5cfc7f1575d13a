"""A seat in a consumer group: the right to commit its offsets, which the next one to sit down takes away.

The sink assigns partitions to itself, since its positions come from the commit's metadata and the tables. A plain commit of such a consumer
carries no generation, so Kafka would take it from a process that woke up after another took over. A seat joins the group as its
one static member, always under the same `group.instance.id`: whoever joins last replaces the one before at once, without a rebalance
and without waiting for a session to end, and the broker refuses every later commit and heartbeat of the one before.

aiokafka's own group consumer is not used: after a loss it joins again by itself and would send a stale commit under its new generation.
A seat's generation and member id never change. aiokafka 0.14 sends no instance id with heartbeats and commits (it speaks versions 1 and 3
of them), so the broker says UNKNOWN_MEMBER_ID where a newer client reads FENCED_INSTANCE_ID.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from aiokafka import OffsetAndMetadata
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import IllegalGenerationError, KafkaError, UnknownMemberIdError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from services.sink.plan import Place

INSTANCE = "sink"
PROTOCOL = "sink"  # of the assignment; another client's consumer in the group is refused for it
FENCED_INSTANCE_ID = 82  # aiokafka 0.14 has no name for it
TAKEN = (UnknownMemberIdError, IllegalGenerationError)
SESSION_SECONDS = 60.0  # a seat that is not taken survives a broker or a network that is away so long
REBALANCE_SECONDS = 10.0
HEARTBEAT_SECONDS = 2.0
REFUSAL_SECONDS = 0.2


AWAY = (KafkaError, OSError)


class SeatLost(Exception):
    """Another process sits here now, or the session ended: nothing may be committed any more."""


@dataclass(frozen=True, slots=True)
class Occupant:
    """Who says to sit in a group: a name that outlives restarts, and where it runs, for people."""

    name: str
    at: str = ""

    @classmethod
    def here(cls, name: str) -> Occupant:
        return cls(name, f"{socket.gethostname()}:{os.getpid()}")

    def encode(self) -> bytes:
        return f"{self.name} {self.at}".encode()

    @classmethod
    def decode(cls, text: bytes) -> Occupant:
        return cls(*text.decode(errors="replace").split(" ", 1))


class Seat:
    """`take()` first; then `commit` and `hold`. `session`: seconds without a heartbeat after which the seat is free."""

    def __init__(self, bootstrap: str, group: str, places: Sequence[Place], occupant: Occupant, session: float = SESSION_SECONDS) -> None:
        self.group = group
        self._occupant = occupant
        self._assignment = [(topic, [part for _, part in parts]) for topic, parts in groupby(sorted(places), lambda place: place[0])]
        self._session = session
        self._client = AIOKafkaClient(bootstrap_servers=bootstrap, client_id=f"liandong-sink-{occupant.at}")
        self._coordinator: Any = None
        self._generation, self._member = -1, ""
        self._bootstrapped = False

    async def taken_by(self) -> Occupant | None:
        """Who sits here now; None when nobody does. Waits for a broker that is away."""
        await self._connected()
        while True:
            with contextlib.suppress(*AWAY):
                group = (await self._ask(DescribeGroupsRequest([self.group]))).groups[0]
                self._check(group[0])
                for _, _, host, metadata, *_ in group[5]:
                    return Occupant.decode(ConsumerProtocol.METADATA.decode(metadata).user_data) if metadata else Occupant("?", host)
                return None
            await asyncio.sleep(REFUSAL_SECONDS)

    async def take(self) -> None:
        """Sits down; the one before, if any, is refused from here on. Waits for a broker that is away. KafkaError when it refuses us."""
        await self._connected()
        topics = [topic for topic, _ in self._assignment]
        metadata = ConsumerProtocol.METADATA(0, topics, self._occupant.encode()).encode()
        share = ConsumerProtocol.ASSIGNMENT(0, self._assignment, b"").encode()
        milliseconds = (int(self._session * 1000), int(REBALANCE_SECONDS * 1000))
        while True:
            joined = await self._patiently(JoinGroupRequest(self.group, *milliseconds, "", INSTANCE, "consumer", [(PROTOCOL, metadata)]))
            leads = joined.leader_id == joined.member_id
            given = [(joined.member_id, share)] if leads else []
            with contextlib.suppress(*TAKEN):  # another one sat down in between: now it is our turn
                await self._patiently(SyncGroupRequest(self.group, joined.generation_id, joined.member_id, INSTANCE, given))
                break
        self._generation, self._member = joined.generation_id, joined.member_id

    async def commit(self, offsets: Mapping[Place, OffsetAndMetadata | tuple[int, str]]) -> None:
        """One atomic commit of all these partitions. SeatLost when another sits here; KafkaError when the broker is away."""
        by_topic = groupby(sorted(offsets.items()), lambda item: item[0][0])
        topics = [(topic, [(place[1], meta[0], meta[1]) for place, meta in items]) for topic, items in by_topic]
        request = OffsetCommitRequest(self.group, self._generation, self._member, OffsetCommitRequest.DEFAULT_RETENTION_TIME, topics)
        answer = await self._ask(request)
        for _, partitions in answer.topics:
            for _, code in partitions:
                self._check(code)

    async def hold(self) -> None:
        """Keeps the session alive. Ends only by SeatLost; a broker that is away is waited for."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            with contextlib.suppress(*AWAY):
                self._check((await self._ask(HeartbeatRequest(self.group, self._generation, self._member))).error_code)

    async def leave(self) -> None:
        """Gets up, so that the next one need not wait, and closes."""
        with contextlib.suppress(*AWAY, SeatLost):
            if self._generation >= 0:
                await self._ask(LeaveGroupRequest(self.group, self._member))
        await self._client.close()

    async def _connected(self) -> None:
        while not self._bootstrapped:
            with contextlib.suppress(*AWAY):
                await self._client.bootstrap()
                self._bootstrapped = True
                return
            await asyncio.sleep(REFUSAL_SECONDS)

    async def _patiently(self, request: Any) -> Any:
        """Asks again while the broker is not ready for it. SeatLost is left out: who sits down has lost nothing."""
        while True:
            answer = None
            with contextlib.suppress(*AWAY):
                answer = await self._ask(request)
            if answer is not None:
                error = for_code(answer.error_code)
                if not answer.error_code:
                    return answer
                if error in TAKEN or not error.retriable:
                    raise error(f"{self.group}: {error.message} ({answer.error_code})")
                self._coordinator = None
            await asyncio.sleep(REFUSAL_SECONDS)

    async def _ask(self, request: Any) -> Any:
        try:
            if self._coordinator is None:
                self._coordinator = await self._client.coordinator_lookup(CoordinationType.GROUP, self.group)
            return await self._client.send(self._coordinator, request, group=ConnectionGroup.COORDINATION)
        except AWAY:
            self._coordinator = None
            raise

    def _check(self, code: int) -> None:
        error = for_code(code)
        if error in TAKEN or code == FENCED_INSTANCE_ID:
            raise SeatLost(f"{self.group}: {error.__name__} ({code})")
        if code:
            self._coordinator = None  # it may have moved
            raise error(f"{self.group}: {code}")
