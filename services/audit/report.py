"""What an audit found: figures, differences by kind with a few examples, and what could not be looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

EXAMPLES = 5


@dataclass(slots=True)
class Difference:
    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """One realm. A difference's name is "<where>.<what>", e.g. "log.gap", "table.behind", "facts.missing"."""

    realm: str
    figures: dict[str, dict[str, int]] = field(default_factory=dict)  # by kind of case
    differences: dict[tuple[str, str], Difference] = field(default_factory=dict)  # by kind of case and name
    blocked: list[str] = field(default_factory=list)  # what could not be looked at, and why

    def differs(self, kind: str, name: str, example: str, count: int = 1) -> None:
        found = self.differences.setdefault((kind, name), Difference())
        found.count += count
        if len(found.examples) < EXAMPLES:
            found.examples.append(example)

    @property
    def counts(self) -> dict[str, int]:
        """Differences by name, over all kinds of cases; empty when all agree."""
        found: dict[str, int] = {}
        for (_, name), difference in self.differences.items():
            found[name] = found.get(name, 0) + difference.count
        return found

    @property
    def agrees(self) -> bool:
        """Everything was looked at and nothing differs."""
        return not self.differences and not self.blocked

    @property
    def exit_code(self) -> int:
        """0 all agree; 1 something differs; 2 nothing differs as far as could be seen, and not all could."""
        return 1 if self.differences else 2 if self.blocked else 0

    def document(self) -> dict[str, Any]:
        differences = [
            {"kind": kind, "difference": name, "count": found.count, "examples": found.examples}
            for (kind, name), found in sorted(self.differences.items())
        ]
        return {
            "realm": self.realm, "agrees": self.agrees, "differences": differences, "could_not_look": self.blocked, "figures": self.figures,
        }  # fmt: skip
