"""How tests run when their only question is whether a mutant lives: those that end it soonest first, and the laws with few examples.

mutmut names every test that reaches the changed function, often a thousand, the fastest first. Most mutants fall to the first few dozen,
so the others are not even collected before these have passed. Hypothesis' profile `mutants`: few examples, always the same ones, and
none made smaller; what a law asks for itself counts where it asks for fewer.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest
from _pytest.main import pytest_runtestloop as run_all
from hypothesis import HealthCheck, Phase, settings

EXAMPLES = 25
FIRST = 150  # tests of the first stage
SLOW = ("test_what_one_record_causes_is_bounded",)  # seconds each: left out, what they ask is asked of the parts too
CELLS = 60  # of one table, evenly taken: what only another cell would notice counts as not noticed
LATER: pytest.StashKey[list[str]] = pytest.StashKey()

settings.register_profile(
    "mutants",
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("mutants")


def pytest_configure(config: pytest.Config) -> None:
    """mutmut forks a process that has run all tests: what the core keeps of them would hide a mutant in what fills it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("streams.domain"):
            for kept in vars(module).values():
                if hasattr(kept, "cache_clear") and kept.__module__ == name:
                    kept.cache_clear()
    config.args, config.stash[LATER] = _stages(config.args)


def _stages(named: list[str]) -> tuple[list[str], list[str]]:
    """The fast tests of small files, which are those that say much in one test; then the rest."""
    if len(named) <= 2 * FIRST or not all("::" in name for name in named):
        return named, []
    sizes = Counter(name.partition("::")[0] for name in named)
    fast = [name for name in named[: len(named) * 4 // 5] if "/property/" not in name]
    first = set(sorted(fast, key=lambda name: sizes[name.partition("::")[0]])[:FIRST])
    return [name for name in named if name in first], [name for name in named if name not in first]


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    done = yield
    later = session.config.stash[LATER]
    if later and not session.testsfailed:
        session.perform_collect(later)
        return run_all(session)
    return done


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hundreds of cells of one table would go before all else: each function has its turn, then its second cell. The laws come last."""
    cells = Counter(item.nodeid.partition("[")[0] for item in items)
    turns: Counter[str] = Counter()
    places: dict[str, tuple[bool, int]] = {}
    for item in items:
        name = item.nodeid.partition("[")[0]
        every = -(-cells[name] // CELLS)
        if turns[name] % every == 0 and not any(slow in name for slow in SLOW):
            places[item.nodeid] = (_few_examples(item), turns[name])
        turns[name] += 1
    items[:] = sorted((item for item in items if item.nodeid in places), key=lambda item: places[item.nodeid])


def _few_examples(item: pytest.Item) -> bool:
    """Whether it is a law; its own `@settings` would win over the profile."""
    law: Any = getattr(item, "obj", None)
    asked = getattr(law, "_hypothesis_internal_use_settings", None)
    if asked is not None:
        law._hypothesis_internal_use_settings = settings(settings.get_profile("mutants"), max_examples=min(EXAMPLES, asked.max_examples))
    return asked is not None
