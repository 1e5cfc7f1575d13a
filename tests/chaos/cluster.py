"""One or three real Kafka brokers on loopback, each broker and controller in one, that tests kill, freeze and cut off.

Two listeners: INTERNAL for the brokers themselves and for the oracle, CLIENT for the processes under test. With `proxied` CLIENT is
advertised at a fault proxy's port, one for each broker, so that a client meets the fault wherever metadata sends it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from services.embedded.broker import Broker, _new_cluster_id, _wait_for
from services.embedded.ports import free_port
from tests.chaos.proxy import Proxy
from tests.helpers import until

T = TypeVar("T")


class Node(Broker):
    """A broker of a cluster: `.id` from 1. `.proxy` stands before its CLIENT listener, None in a cluster without."""

    def __init__(self, cluster: Cluster, number: int, home: Path, heap_mb: int) -> None:
        super().__init__(home, heap_mb=heap_mb)
        self.id = number
        self.proxy: Proxy | None = None
        self._cluster = cluster
        self._ports = {"port": free_port(), "controller_port": free_port(), "client_port": free_port()}
        if cluster.proxied:
            self.proxy = Proxy(self._ports["client_port"]).start()

    @property
    def client_port(self) -> int:
        """Where clients find it: the proxy's port if there is one."""
        return self.proxy.port if self.proxy else self._ports["client_port"]

    @property
    def controller_port(self) -> int:
        return self._ports["controller_port"]

    @property
    def direct(self) -> str:
        """The INTERNAL listener, which never passes a proxy."""
        return f"127.0.0.1:{self._ports['port']}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def quorum(self) -> tuple[int, int]:
        """(epoch, id of the controller that leads it) as this node last wrote them down; -1 for none."""
        record = self._log_dir / "__cluster_metadata-0" / "quorum-state"
        state = json.loads(record.read_text(encoding="utf-8"))
        return state["leaderEpoch"], state["leaderId"]

    def _choose_identity(self) -> None:
        self._node = {"cluster_id": self._cluster.id, **self._ports}

    def _write_properties(self, path: Path, log_dir: Path) -> None:
        super()._write_properties(path, log_dir)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in self._own_properties().items())

    def _own_properties(self) -> dict[str, Any]:
        """What differs from the embedded broker's; the last line of a name counts."""
        internal, client = self._ports["port"], self._ports["client_port"]
        replicas, in_sync = self._cluster.replication, self._cluster.min_in_sync
        return {
            "node.id": self.id,
            "controller.quorum.voters": self._cluster.voters,
            "listeners": f"INTERNAL://127.0.0.1:{internal},CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"INTERNAL://127.0.0.1:{internal},CLIENT://127.0.0.1:{self.client_port}",
            "listener.security.protocol.map": "INTERNAL:PLAINTEXT,CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INTERNAL",
            "default.replication.factor": replicas,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": in_sync,
            "min.insync.replicas": in_sync,
            # Quick failover; still patient enough for three JVMs that share two cores with the load.
            "controller.quorum.fetch.timeout.ms": 2000,
            "controller.quorum.election.timeout.ms": 1000,
            "broker.session.timeout.ms": 5000,
            "replica.lag.time.max.ms": 5000,
        } | self._cluster.properties


class Cluster:
    """Stands in for `services.embedded.broker.Broker` in a rig. `properties` go into every server.properties."""

    def __init__(
        self, home: Path, nodes: int = 1, *, proxied: bool = False, heap_mb: int = 256, properties: dict[str, Any] | None = None
    ) -> None:
        self.id = _new_cluster_id()
        self.proxied = proxied
        self.replication = nodes
        self.min_in_sync = 2 if nodes >= 3 else 1
        self.properties = properties or {}
        self.nodes = [Node(self, number, home / f"broker-{number}", heap_mb) for number in range(1, nodes + 1)]

    @property
    def voters(self) -> str:
        return ",".join(f"{node.id}@127.0.0.1:{node.controller_port}" for node in self.nodes)

    @property
    def bootstrap(self) -> str:
        """For the processes under test; through the proxies if there are any."""
        return ",".join(f"127.0.0.1:{node.client_port}" for node in self.nodes)

    @property
    def direct(self) -> str:
        """For the oracle: never through a proxy."""
        return ",".join(node.direct for node in self.nodes)

    @property
    def pid(self) -> int:
        return self.nodes[0].pid

    @property
    def proxies(self) -> list[Proxy]:
        return [node.proxy for node in self.nodes if node.proxy]

    def start(self, seconds: float = 120.0) -> Cluster:
        """Starts all that don't run and waits until each answers."""
        for node in (stopped := [node for node in self.nodes if not node.running]):
            node.launch()
        for node in stopped:
            node.wait(seconds)
        return self

    def stop(self) -> None:
        """Ends everything, proxies too, without ceremony: the last brokers of a quorum can't shut down in order."""
        for node in self.nodes:
            if node.running:
                node.kill9()
        for proxy in self.proxies:
            proxy.stop()

    def kill9(self) -> None:
        """A power cut: every node that runs."""
        for node in self.nodes:
            if node.running:
                node.kill9()

    def restart(self) -> None:
        """Starts all again; those that still run are stopped first."""
        for node in self.nodes:
            node.stop()
        self.start()

    def pause(self) -> None:
        for node in self.nodes:
            node.pause()

    def resume(self) -> None:
        for node in self.nodes:
            node.resume()

    def heal(self) -> Cluster:
        """Every proxy transparent, every node running and awake, every partition in sync: fit for the next test."""
        for proxy in self.proxies:
            proxy.heal()
        for node in self.nodes:
            if node.running:
                node.resume()
        self.start()
        self.in_sync()
        return self

    def wipe(self, *topics: str) -> Cluster:
        """Deletes topics, and with them the offsets committed on them; without names all that are not Kafka's own: room for a rig."""

        async def delete(admin: AIOKafkaAdminClient) -> bool:
            left = [name for name in await admin.list_topics() if (name in topics if topics else not name.startswith("__"))]
            if left:
                await admin.delete_topics(left)
            return not left

        async def forgotten(admin: AIOKafkaAdminClient) -> bool:
            """The coordinator hears of it later: till then a new topic of the same name has the old one's commits."""
            groups = [group for group, *_ in await admin.list_consumer_groups()]
            return not any([await admin.list_consumer_group_offsets(group) for group in groups])

        until(lambda: self.ask(delete), "topics deleted", every=0.2)
        if not topics:
            until(lambda: self.ask(forgotten), "commits deleted", every=0.2)
        return self

    def configure(self, topic: str, **settings: object) -> None:
        """Alters a topic; names with _ for dots."""

        async def alter(admin: AIOKafkaAdminClient) -> bool:
            given = {name.replace("_", "."): str(value) for name, value in settings.items()}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, given)])
            return True

        until(lambda: self.ask(alter), f"{topic} configured")

    def leader(self, topic: str, partition: int) -> Node:
        """The node that leads a partition now; AssertionError when none does for 30 s."""

        async def asked(admin: AIOKafkaAdminClient) -> int:
            (described,) = await admin.describe_topics([topic])
            return next((int(p["leader"]) for p in described["partitions"] if p["partition"] == partition), -1)

        return self._node(asked, f"a leader of {topic}-{partition}")

    def coordinator(self, group: str) -> Node:
        """The node that keeps a consumer group's offsets now."""

        async def asked(admin: AIOKafkaAdminClient) -> int:
            return int(await admin.find_coordinator(group))

        return self._node(asked, f"a coordinator of {group}")

    def controller(self) -> Node:
        """The node whose controller leads the quorum now."""

        def found() -> list[Node]:
            _, leader = max(node.quorum() for node in self.nodes)
            return self._running(leader)

        return until(found, "a controller", every=0.05)[0]

    def in_sync(self, seconds: float = 60.0) -> None:
        """Waits until every replica of every topic is in sync."""

        async def whole(admin: AIOKafkaAdminClient) -> bool:
            topics = await admin.describe_topics()
            return all(sorted(p["isr"]) == sorted(p["replicas"]) for topic in topics for p in topic["partitions"])

        until(lambda: self.ask(whole), "all replicas in sync", seconds, every=0.2)

    def ask(self, question: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T | None:
        """Puts a question to the brokers that run, past the proxies; None when they are not able to answer."""

        async def asked() -> T | None:
            admin = AIOKafkaAdminClient(bootstrap_servers=",".join(node.direct for node in self.nodes if node.running))
            try:
                await admin.start()
                return await question(admin)
            except (KafkaError, OSError):
                return None
            finally:
                await admin.close()

        return _wait_for(asked())

    def _node(self, question: Callable[[AIOKafkaAdminClient], Awaitable[int]], what: str) -> Node:
        return until(lambda: self._running(self.ask(question)), what, every=0.1)[0]

    def _running(self, number: int | None) -> list[Node]:
        """The node of this id if it runs."""
        return [node for node in self.nodes if node.id == number and node.running]
