"""How tests run when their only question is whether a mutant lives: what differs most comes first, and the laws with few examples.

Hypothesis' profile `mutants`: few examples, always the same ones, and none made smaller. What a law asks for itself counts where it asks
for fewer.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

EXAMPLES = 25
SLOW = ("test_what_one_record_causes_is_bounded",)  # seconds: after all others

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


def pytest_sessionstart() -> None:
    """mutmut forks a process that has run all tests: what the core keeps of them would hide a mutant in what fills it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("streams.domain"):
            for kept in vars(module).values():
                if hasattr(kept, "cache_clear"):
                    kept.cache_clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """mutmut names the fastest tests first, so hundreds of cells of one table would go before all else: each function has its turn."""
    turns: Counter[str] = Counter()
    places: dict[str, tuple[bool, int]] = {}
    for item in items:
        name = item.nodeid.partition("[")[0]
        places[item.nodeid] = (_few_examples(item) or any(slow in name for slow in SLOW), turns[name])
        turns[name] += 1
    items.sort(key=lambda item: places[item.nodeid])


def _few_examples(item: pytest.Item) -> bool:
    """Whether it is a law; its own `@settings` would win over the profile."""
    law: Any = getattr(item, "obj", None)
    asked = getattr(law, "_hypothesis_internal_use_settings", None)
    if asked is not None:
        law._hypothesis_internal_use_settings = settings(settings.get_profile("mutants"), max_examples=min(EXAMPLES, asked.max_examples))
    return asked is not None
