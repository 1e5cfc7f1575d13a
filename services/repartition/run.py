"""The whole move, step by step; every step may be repeated, so a killed run is simply started again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import INTAKE
from services.embedded.broker import Broker, cluster_id_at
from services.embedded.state import clean_up, created_at, read_state, take_lock
from services.process import write_private
from services.repartition import carrying, copying, tables, topics
from services.repartition.copying import Account, Route
from services.repartition.logs import Cluster, Reader
from services.repartition.note import NOTE
from services.repartition.tables import TableAccount
from services.repartition.topics import TABLES, CannotRepartition, Held
from services.repartition.waiting import Group, alive, groups, members, waiting
from services.settings import Settings
from streams.engine.failpoints import for_process

SESSIONS_SECONDS = 75.0  # longer than any member's session (services.sink.seat: 60 s)


class Tell(Protocol):
    """Where progress goes."""

    def note(self, text: str) -> None: ...

    def bar(self, text: str, total: int) -> Callable[[int], None]:
        """Begins a bar; the answer moves it on."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked. `to`: brokers of the new cluster, "" for one of its own in `new`; `replication_factor` 0: 1, or 3 on a cluster."""

    old: Settings
    new: Path
    partitions: int
    to: str = ""
    clickhouse_url: str = ""
    replication_factor: int = 0

    @property
    def copies(self) -> int:
        return self.replication_factor or (3 if self.to else 1)


def repartition(order: Order, tell: Tell) -> dict[str, Any]:
    """Moves all and answers the account; its "equal" is False when something differs. CannotRepartition when it must not begin."""
    if order.new.resolve() == order.old.data_dir.resolve():
        raise CannotRepartition("the new data directory is the old one.")
    note = read_state(order.new / NOTE)
    if note.get("done"):
        return dict(note["account"])
    if not note and order.new.exists() and any(path.name != "supervisor.lock" for path in order.new.iterdir()):
        raise CannotRepartition(f"{order.new} holds something already: take an empty directory.")
    still = alive(order.old)
    if still:
        raise CannotRepartition(f"the old platform still runs ({', '.join(still)}): `liandong down --data-dir {order.old.data_dir}`.")
    with ExitStack() as stack:
        for directory in (order.old.data_dir, order.new):
            stack.callback(take_lock(directory).close)  # nobody starts either meanwhile
        clean_up({"processes": note.get("brokers", {})})
        clean_up({"processes": {n: row for n, row in read_state(order.old.state_file).get("processes", {}).items() if n == "broker"}})
        note |= {"done": False, "partitions": order.partitions, "brokers": {}}
        old = order.old.bootstrap or stack.enter_context(_broker(order, order.old.data_dir, note, tell))
        new = order.to or stack.enter_context(_broker(order, order.new, note, tell))
        return asyncio.run(_Move(order, old, new, note, tell).run())


@contextmanager
def _broker(order: Order, data_dir: Path, note: dict[str, Any], tell: Tell) -> Iterator[str]:
    """An embedded broker while the move lasts; noted, so that a run after a kill -9 ends what that one left."""
    tell.note(f"starting the broker of {data_dir}")
    broker = Broker(data_dir / "broker", heap_mb=order.old.broker_heap_mb, java=order.old.java).start()
    try:
        note["brokers"][str(data_dir)] = {"pid": broker.pid, "created": created_at(broker.pid), "command": broker.command()}
        _write_note(order, note)
        yield broker.bootstrap
    finally:
        broker.stop()


def _write_note(order: Order, note: Mapping[str, Any]) -> None:
    write_private(order.new / NOTE, json.dumps(note, indent=1))


class _Move:
    def __init__(self, order: Order, old: str, new: str, note: dict[str, Any], tell: Tell) -> None:
        self._order, self._old, self._new, self._note, self._tell = order, old, new, note, tell
        self._failpoints = for_process("repartition", order.old.failpoint)

    async def run(self) -> dict[str, Any]:
        began = time.monotonic()
        order = self._order
        log, target = await cluster_id_at(self._old), await cluster_id_at(self._new)
        if not log or not target:
            raise CannotRepartition(f"no Kafka cluster answers at {self._new if log else self._old}.")
        if log == target:
            raise CannotRepartition("both clusters are the same one.")
        if self._note.setdefault("from", log) != log or self._note["partitions"] != order.partitions:
            raise CannotRepartition(f"{order.new} was begun from cluster {self._note['from']}: take an empty directory.")
        async with Cluster(self._old) as old, Cluster(self._new) as new:
            account = await self._moved(Route(old, log, new, order.partitions), target)
        return account | {"seconds": round(time.monotonic() - began, 1)}

    async def _moved(self, route: Route, target: str) -> dict[str, Any]:
        order, tell, log = self._order, self._tell, route.log
        held, not_ours = await topics.held_topics(self._old)
        if not held:
            raise CannotRepartition("the old cluster has none of our topics.")
        readers = groups(held)
        waits = [f"{name} has members" for name in await self._members(readers)] or await waiting(route.old, readers)
        if waits:
            raise CannotRepartition("something still waits; start the old platform, let it finish, stop it:\n  " + "\n  ".join(waits))
        _write_note(order, self._note)
        tell.note(f"{len(held)} topics to {order.partitions} partitions")
        await topics.create(self._new, held, order.partitions, order.copies)
        accounts = await self._records(route, [h for h in held if h.topic not in TABLES])
        account: dict[str, Any] = {
            "from": log, "to": target, "data_dir": str(order.new), "bootstrap": order.to, "partitions": order.partitions,
            "topics": [a.shown() for a in accounts.values()], "tables": [], "carried_files": [], "carried_rows": {}, "not_ours": not_ours,
            "equal": all(a.equal for a in accounts.values()),
        }  # fmt: skip
        if account["equal"]:
            moved = await self._tables(route, held, readers, accounts)
            account |= {"tables": [t.shown() for t in moved], "equal": all(t.equal for t in moved)}
        if account["equal"]:
            await self._finish(held, readers, accounts, log, account)
        return account

    async def _members(self, readers: list[Group]) -> list[str]:
        """Groups that still have members when the sessions of all that have stopped are over: static members do not say that they go."""
        deadline = time.monotonic() + SESSIONS_SECONDS
        while (found := await members(self._old, readers)) and time.monotonic() < deadline:
            self._tell.note(f"{len(found)} groups still hold the place of a member; waiting till its session is over")
            await asyncio.sleep(SESSIONS_SECONDS / 10)
        return found

    async def _records(self, route: Route, held: list[Held]) -> dict[str, Account]:
        """Copies, then reads everything again on both sides and compares."""
        written = {}
        for one in held:
            size = await self._size(route.old, one)
            written[one.name] = await copying.copy(route, one, self._tell.bar(f"copying {one.name}", size), self._failpoints)
        accounts = {}
        for one in held:
            size = 2 * await self._size(route.old, one)
            accounts[one.name] = await copying.verify(route, one, self._tell.bar(f"comparing {one.name}", size))
            accounts[one.name].written = written[one.name]
        return accounts

    async def _size(self, cluster: Cluster, held: Held) -> int:
        return (await Reader(cluster, held.name, held.partitions).span()).records

    async def _tables(self, route: Route, held: list[Held], readers: list[Group], accounts: Mapping[str, Account]) -> list[TableAccount]:
        moved = []
        for group in readers:
            table = group.lane.table if group.lane else None
            if table is None:
                continue
            for one in held:
                if one.topic is table and (not table.per_realm or one.realm is group.topics[0].realm):
                    self._tell.note(f"table {one.name}")
                    inputs = [accounts[topic.name] for topic in group.topics]
                    moved.append(await tables.move(route, one, inputs, accounts))
        return moved

    async def _finish(
        self, held: list[Held], readers: list[Group], accounts: Mapping[str, Account], log: str, account: dict[str, Any]
    ) -> None:
        order = self._order
        for group in readers:
            if not group.stream:
                await _commit(self._new, group, accounts)
        account["carried_files"] = carrying.carry_files(order.old, order.new, log)
        account["carried_rows"] = await asyncio.to_thread(
            carrying.carry_rows, order.old, order.new, order.clickhouse_url, log, held, accounts
        )
        realms = ",".join(read_state(order.old.state_file).get("realms", [])) or order.old.realms
        found = {h.name.rpartition(f"{INTAKE.name}.")[2] for h in held if h.topic is INTAKE}
        more = {"bootstrap": order.to} if order.to else {}
        more |= {"clickhouse_url": order.clickhouse_url} if order.clickhouse_url else {}
        departments = sorted(found | set(order.old.department_list))
        carrying.write_settings(order.old, order.new, realms, departments, partitions=order.partitions, **more)
        await topics.settle(self._new, held, order.copies)  # last: from now on the broker deletes by age
        self._note |= {"done": True, "brokers": {}, "account": account}
        _write_note(order, self._note)


async def _commit(bootstrap: str, group: Group, accounts: Mapping[str, Account]) -> None:
    """What a lane or the notifier reads is answered: it begins at the copied ends."""
    ends = {TopicPartition(h.name, p): end for h in group.topics for p, end in accounts[h.name].ends.items()}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group.name, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(ends))
        await consumer.commit(ends)
    finally:
        await consumer.stop()
