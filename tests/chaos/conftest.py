"""The rig of the fault tests, their seed, and the account of what they found."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.embedded.broker import Broker
from tests.chaos.cluster import Cluster
from tests.chaos.results import Account, Entry, Run, entry_of
from tests.chaos.rig import Rig
from tests.chaos.standing import Standing, three_brokers

SPOKEN: list[Entry] = []
SAID = "said of a fault"
BEGAN = pytest.StashKey[float]()
MINE = pytest.StashKey[Entry]()


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Chance, the same again for the same `--seed` and test."""
    return random.Random(f"{request.config.getoption('--seed')} {request.node.name}")


@pytest.fixture
def account(request: pytest.FixtureRequest) -> Account:
    """Where a scenario or control says what the oracle found."""
    return Account(request.node.stash[MINE])


@pytest.fixture
def rig(own_broker: Broker, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """One broker of the test's own."""
    made = Rig(own_broker, tmp_path, Account(request.node.stash.get(MINE, Entry("", ""))))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three brokers behind proxies, for the tests of a module."""
    with three_brokers(tmp_path_factory.mktemp("brokers")) as made:
        yield made


@pytest.fixture(scope="module")
def standing(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Workers at work since the module's first test."""
    made = Standing(cluster, lambda: tmp_path_factory.mktemp("rig"))
    yield made
    made.close()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BEGAN] = time.time()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in ("scenario", "control"):
        mark = item.get_closest_marker(name)
        if mark:
            scenario, title = mark.args
            case = getattr(item, "callspec", None)
            item.stash[MINE] = Entry(scenario, f"{title}: {case.id}" if case else title, control=name == "control")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    entry = item.stash.get(MINE, None)
    if entry is None:
        return
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
    entry.seconds += report.duration
    if report.skipped and isinstance(report.longrepr, tuple):
        entry.skipped = report.longrepr[2].removeprefix("Skipped: ")
    elif report.failed and call.excinfo:
        entry.failed = entry.failed or f"{call.when}: {call.excinfo.exconly().splitlines()[0]}"[:200]
    if call.when == "teardown":
        report.user_properties.append((SAID, asdict(entry)))  # so it reaches the process that asked for the run


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    properties: list[tuple[str, Any]] = report.user_properties
    SPOKEN.extend(entry_of(said) for name, said in properties if name == SAID)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not SPOKEN:
        return
    terminalreporter.section(f"faults, seed {config.getoption('--seed')}")
    for entry in SPOKEN:
        judged = " ".join(name if not count else f"{name}!{count}" for name, count in entry.verdict.items())
        recovery = "".join(f" back {seconds:g}s" for seconds, _ in entry.recoveries)
        figures = "".join(f" {name} {value:g}" for name, value in entry.figures.items())
        kind = "control " if entry.control else ""
        terminalreporter.write_line(
            f"{entry.result:8}{entry.scenario:6}{kind}{entry.title} [{judged}]{recovery}{figures} {'; '.join(entry.windows)}"
        )
    if config.getoption("--write-results"):
        terminalreporter.write_line(f"written: {_run(config).save()}")


def _run(config: pytest.Config) -> Run:
    seed, began = config.getoption("--seed"), config.stash[BEGAN]
    start = datetime.fromtimestamp(began, UTC)
    return Run("chaos", seed, f"{start:%Y-%m-%d %H:%M}", f"make chaos SEED={seed}", commit(), time.time() - began, SPOKEN)


def commit() -> str:
    """The commit under test, with a + when files differ from it."""
    ran = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return ran.stdout.strip() or f"python {sys.version_info.major}.{sys.version_info.minor}"
