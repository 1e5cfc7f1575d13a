"""The faults of the soak, one entry each: what breaks, for how long, and its way back. None of them needs a person."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.cluster import Cluster, Node
from tests.chaos.proxy import Proxy
from tests.chaos.rig import COMMANDS, PARTITIONS, Rig
from tests.clickhouse_http import ClickHouseServer

SESSION = 6.0  # s, of the rig's workers


@dataclass
class Stage:
    """What there is to break."""

    cluster: Cluster
    rig: Rig
    server: ClickHouseServer
    to_server: Proxy  # between sink and ClickHouse
    rng: random.Random

    def wait(self, low: float, high: float) -> None:
        """A fault lasts as long as it lasts: this is time passing, not synchronisation."""
        time.sleep(self.rng.uniform(low, high))

    def worker(self) -> str:
        return self.rng.choice([key for key in self.rig.workers if key.startswith("case-live") and self.rig.kept(key)])

    def node(self) -> Node:
        return self.rng.choice(self.cluster.nodes)

    def leader(self) -> Node:
        return self.cluster.leader(COMMANDS, self.rng.randrange(PARTITIONS))


@dataclass(frozen=True)
class Fault:
    scenario: str
    name: str
    strike: Callable[[Stage], None]  # does it, waits, heals it

    @property
    def organ(self) -> str:
        """What it strikes; two faults at a time never strike the same."""
        return {"F2": "warehouse", "F7": "warehouse", "F5": "brokers", "F6": "brokers"}.get(self.scenario, "workers")


def choose(rng: random.Random) -> list[Fault]:
    """One fault, or two of different organs."""
    first, second = rng.sample(FAULTS, 2)
    return [first, second] if first.organ != second.organ and rng.random() < 0.4 else [first]


FAULTS: list[Fault] = []


def fault(scenario: str, name: str) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    def register(strike: Callable[[Stage], None]) -> Callable[[Stage], None]:
        FAULTS.append(Fault(scenario, name, strike))
        return strike

    return register


@fault("F1", "case worker killed")
def _kill_worker(stage: Stage) -> None:
    stage.rig.workers[stage.worker()].kill()
    stage.wait(0.5, 8)


@fault("F1", "analytics killed")
def _kill_analytics(stage: Stage) -> None:
    stage.rig.workers["analytics"].kill()
    stage.wait(0.5, 8)


@fault("F2", "sink killed")
def _kill_sink(stage: Stage) -> None:
    assert stage.rig.warehouse
    stage.rig.warehouse.kill()
    stage.wait(0.5, 8)


def _freeze(stage: Stage, key: str, low: float, high: float) -> None:
    worker = stage.rig.workers[key]
    worker.send_signal(signal.SIGSTOP)
    stage.wait(low, high)
    worker.send_signal(signal.SIGCONT)


@fault("F3", "case worker frozen within its session")
def _doze(stage: Stage) -> None:
    _freeze(stage, stage.worker(), 1, 0.6 * SESSION)


@fault("F3", "case worker frozen beyond its session")
def _zombie(stage: Stage) -> None:
    _freeze(stage, stage.worker(), 1.3 * SESSION, 2.5 * SESSION)


@fault("F3", "analytics frozen beyond its session")
def _zombie_analytics(stage: Stage) -> None:
    _freeze(stage, "analytics", 1.3 * SESSION, 2 * SESSION)


@fault("F3", "sink frozen")
def _zombie_sink(stage: Stage) -> None:
    assert stage.rig.warehouse
    process = stage.rig.warehouse.process
    assert process
    process.send_signal(signal.SIGSTOP)
    stage.wait(2, 15)
    process.send_signal(signal.SIGCONT)


@fault("F4", "scaled to three workers and back")
def _scale(stage: Stage) -> None:
    if not stage.rig.kept("case-livec"):
        stage.rig.keep("case-live", tag="c")
        stage.wait(6, 20)
    stage.rig.let_go("case-livec")


@fault("F4", "rolling restart")
def _rolling(stage: Stage) -> None:
    for key in ("case-livea", "case-liveb", "analytics"):
        before = stage.rig.workers[key].pid
        stage.rig.workers[key].terminate()
        stage.rig.restarted(key, before, 60)


@fault("F4", "rebalance storm")
def _storm(stage: Stage) -> None:
    for _ in range(stage.rng.randint(3, 5)):
        worker = stage.rig.workers[stage.worker()]
        worker.send_signal(stage.rng.choice([signal.SIGTERM, signal.SIGKILL]))
        stage.wait(2, 5)


@fault("F5", "leader killed")
def _kill_leader(stage: Stage) -> None:
    node = stage.leader()
    node.kill9()
    stage.wait(2, 10)
    node.start()


@fault("F5", "two of three brokers killed")
def _kill_two(stage: Stage) -> None:
    victims = stage.rng.sample(stage.cluster.nodes, 2)
    for node in victims:
        node.kill9()
    stage.wait(2, 8)
    stage.cluster.start()


@fault("F5", "all brokers killed")
def _kill_all(stage: Stage) -> None:
    stage.cluster.kill9()
    stage.wait(1, 10)
    stage.cluster.start()


@fault("F5", "broker frozen")
def _freeze_broker(stage: Stage) -> None:
    node = stage.node()
    node.pause()
    stage.wait(2, 12)
    node.resume()


@fault("F6", "broker black-holed")
def _black_hole(stage: Stage) -> None:
    _cut(stage, Proxy.black_hole, 3, 20)


@fault("F6", "answers of a broker lost")
def _lost_answers(stage: Stage) -> None:
    _cut(stage, Proxy.drop_replies, 2, 15)


@fault("F6", "connections half closed")
def _half_closed(stage: Stage) -> None:
    _cut(stage, Proxy.half_close, 2, 10)


@fault("F6", "connections reset again and again")
def _resets(stage: Stage) -> None:
    for _ in range(stage.rng.randint(2, 6)):
        for proxy in stage.cluster.proxies:
            proxy.reset()
        stage.wait(0.3, 2)


@fault("F6", "500 ms of jitter")
def _jitter(stage: Stage) -> None:
    for proxy in stage.cluster.proxies:
        proxy.delay(0.02, jitter=0.5, seed=stage.rng.randrange(1000))
    stage.wait(5, 20)
    for proxy in stage.cluster.proxies:
        proxy.heal()


def _cut(stage: Stage, how: Callable[[Proxy], None], low: float, high: float) -> None:
    proxy = stage.leader().proxy
    assert proxy
    how(proxy)
    stage.wait(low, high)
    proxy.heal()


@fault("F7", "ClickHouse killed")
def _kill_clickhouse(stage: Stage) -> None:
    stage.server.kill()
    stage.wait(1, 15)
    stage.server.start()


@fault("F7", "ClickHouse black-holed")
def _lose_clickhouse(stage: Stage) -> None:
    stage.to_server.black_hole()
    stage.wait(2, 20)
    stage.to_server.heal()


@fault("F7", "answers of ClickHouse lost")
def _lost_insert_answers(stage: Stage) -> None:
    stage.to_server.drop_replies()
    stage.wait(1, 10)
    stage.to_server.heal()


@fault("F7", "ClickHouse slow")
def _slow_clickhouse(stage: Stage) -> None:
    stage.to_server.delay(2.0, jitter=2.0)
    stage.wait(5, 20)
    stage.to_server.heal()


@fault("F9", "unreadable commands")
def _poison(stage: Stage) -> None:
    stage.rig.poison([stage.rng.randbytes(stage.rng.randint(0, 400)) for _ in range(stage.rng.randint(1, 20))])


@fault("F9", "commands sent again")
def _again(stage: Stage) -> None:
    stage.rig.send(cases=stage.rng.randint(1, 30), steps=3, first=stage.rng.randrange(1000))
