"""Fixtures shared by all tests: a real broker, topics on it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import is_hypothesis_test, settings

from schemas.realms import Realm
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics

TEST_PARTITIONS = 4
QUICKER, FEWEST = 4, 10  # --quick
SETTINGS = "_hypothesis_internal_use_settings"  # where Hypothesis and its own plugin keep what a test asked for


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=20261122, help="chance of the fault tests; the same seed, the same faults")
    parser.addoption("--quick", action="store_true", help=f"one of {QUICKER} examples of each property, for the inner loop; all without it")
    parser.addoption("--write-results", action="store_true", help="write what the fault tests found to tests/chaos/RESULTS.md")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--quick"):
        for test in {item.obj for item in items if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj)}:
            quicken(test)


def quicken(test: Callable[..., None]) -> None:
    """One of QUICKER examples of a property, but FEWEST at least."""
    full: settings = getattr(test, SETTINGS)
    setattr(test, SETTINGS, settings(full, max_examples=max(full.max_examples // QUICKER, FEWEST)))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One real broker for the whole session: `.bootstrap`, `.pid`. Tests that kill or freeze a broker take `own_broker`."""
    started = Broker(tmp_path_factory.mktemp("broker"), heap_mb=256).start()
    yield started
    started.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of the test's own, to be killed, frozen and restarted."""
    started = Broker(tmp_path / "broker", heap_mb=256).start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def topics(broker: Broker) -> Callable[..., None]:
    """`topics("live", "sandbox")` makes all topics of these realms exist on the session's broker (4 partitions, department demo)."""

    def ensure(*realms: Realm | str, departments: Iterable[str] = ("demo",)) -> None:
        asyncio.run(ensure_topics(broker.bootstrap, realms or (Realm.LIVE,), TEST_PARTITIONS, departments))

    return ensure


@pytest.fixture
def new_topic(broker: Broker) -> Callable[..., Awaitable[str]]:
    """`await new_topic("events", partitions=4, **config)` creates a topic no other test uses and answers its name."""
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    async def create(stem: str, partitions: int = TEST_PARTITIONS, **config: str) -> str:
        name = f"test.{stem}.{next(_numbers)}"
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        try:
            settings = {key.replace("_", "."): value for key, value in config.items()}
            await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=settings)])
        finally:
            await admin.close()
        return name

    return create


_numbers = itertools.count()
