"""What an audit of timers found: differences by name, what was told how late, what is still to come, and what could not be judged."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from services.audit.report import EXAMPLES, Difference


@dataclass(slots=True)
class TimersReport:
    """One realm. Lateness is the append time of the record that told a firing minus its due time, in milliseconds."""

    realm: str
    differences: dict[str, Difference] = field(default_factory=dict)
    not_looked_at: Counter[str] = field(default_factory=Counter)  # cases or events, by why the log does not say enough
    blocked: list[str] = field(default_factory=list)  # Kafka does not answer, or the like
    figures: Counter[str] = field(default_factory=Counter)
    late: Any = field(default_factory=lambda: array("q"))
    pending: Any = field(default_factory=lambda: array("q"))  # lateness so far of what is due and was not told yet
    seconds: float = 0.0

    def differs(self, name: str, example: str) -> None:
        found = self.differences.setdefault(name, Difference())
        found.count += 1
        if len(found.examples) < EXAMPLES:
            found.examples.append(example)

    @property
    def counts(self) -> dict[str, int]:
        return {name: found.count for name, found in self.differences.items()}

    @property
    def exact(self) -> bool:
        """Every timer was judged and nothing differs."""
        return not self.differences and not self.blocked and not self.not_looked_at

    @property
    def exit_code(self) -> int:
        """0 exact; 1 something differs; 2 nothing differs as far as could be seen, and not all could."""
        return 1 if self.differences else 0 if self.exact else 2

    def lateness(self) -> dict[str, int]:
        told = sorted(self.late)
        return {name: percentile(told, share) for name, share in (("p50", 50), ("p99", 99), ("max", 100))}

    def document(self) -> dict[str, Any]:
        differences = [
            {"difference": name, "count": found.count, "examples": found.examples} for name, found in sorted(self.differences.items())
        ]
        return {
            "realm": self.realm, "exact": self.exact, "differences": differences, "not_looked_at": dict(sorted(self.not_looked_at.items())),
            "could_not_look": self.blocked, "lateness_ms": self.lateness(),
            "pending": {"count": len(self.pending), "oldest_ms": max(self.pending, default=0)},
            "figures": dict(self.figures), "seconds": round(self.seconds, 3),
        }  # fmt: skip


def percentile(ascending: list[int], share: int) -> int:
    """The smallest value that so many in a hundred do not exceed; 0 of none."""
    return ascending[max(0, -(-len(ascending) * share // 100) - 1)] if ascending else 0
